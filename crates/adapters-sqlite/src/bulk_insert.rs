//! Inserts many atividades in one transaction.

use std::collections::{HashMap, HashSet};

use domain::{AtividadeRecord, Descricao, Error, Idempotency, InvalidField, ProjetoRef, search_key};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, FromQueryResult, Statement, raw_sql};
use serde_json::{Value, json};

use crate::atividade_row::{AtividadeRow, COLUMNS};
use crate::idempotency::{self, Reservation};
use crate::value::{id_text, microseconds};
use crate::{SqliteDatabase, db_error};

#[derive(FromQueryResult)]
struct IdRow {
    id: String,
}

/// Inserts `records` and returns them as stored, in the same order. A repeated `idempotency` returns the first result.
pub(crate) async fn insert_all(
    database: &SqliteDatabase,
    records: &[AtividadeRecord],
    idempotency: Option<&Idempotency>,
) -> Result<Vec<AtividadeRow>, Error> {
    match store(database, records, idempotency).await {
        Err(error) if db_error::is_foreign_key(&error) => Err(unknown_projetos(database, records).await?),
        stored => stored.map_err(db_error::into_domain)?,
    }
}

async fn store(
    database: &SqliteDatabase,
    records: &[AtividadeRecord],
    idempotency: Option<&Idempotency>,
) -> Result<Result<Vec<AtividadeRow>, Error>, DbErr> {
    let Some(now) = records.first().map(|record| record.criado_em) else { return Ok(Ok(Vec::new())) };
    let transaction = match idempotency::reserve(database, idempotency, now).await? {
        Reservation::Acquired(transaction) => transaction,
        Reservation::Replay(rows) => return Ok(Ok(rows)),
        Reservation::Rejected(error) => return Ok(Err(error)),
    };
    let rows: Value = records.iter().map(to_json).collect();
    let rows = rows.to_string();
    transaction
        .execute_raw(raw_sql!(
            Sqlite,
            r#"
            INSERT INTO atividades
                (id, nome, nome_busca, descricao, ativo, id_projeto, criado_por, criado_em, atualizado_em)
            SELECT value ->> 'id', value ->> 'nome', value ->> 'nome_busca', value ->> 'descricao', value ->> 'ativo',
                   value ->> 'id_projeto', value ->> 'criado_por', value ->> 'criado_em', value ->> 'criado_em'
            FROM json_each({rows})
            "#
        ))
        .await?;
    transaction
        .execute_raw(raw_sql!(
            Sqlite,
            r#"
            INSERT INTO atividade_projetos (id_atividade, id_projeto, lugar)
            SELECT r.value ->> 'id', o.value, o.key + 1 FROM json_each({rows}) r, json_each(r.value, '$.outros') o
            "#
        ))
        .await?;
    let stored = format!(
        "SELECT {COLUMNS} FROM json_each(?1) r JOIN atividades a ON a.id = r.value ->> 'id'
         JOIN projetos p ON p.id = a.id_projeto"
    );
    let stored = Statement::from_sql_and_values(DbBackend::Sqlite, stored, [rows.into()]);
    let stored = AtividadeRow::find_by_statement(stored);
    let stored = stored.all(&transaction).await?;
    let mut stored: HashMap<_, _> = stored.into_iter().map(|row| (row.id.clone(), row)).collect();
    let rows: Vec<_> = records.iter().filter_map(|record| stored.remove(&id_text(record.id.0))).collect();
    idempotency::complete(transaction, idempotency, now, &rows).await?;
    Ok(Ok(rows))
}

fn to_json(record: &AtividadeRecord) -> Value {
    let AtividadeRecord { id, nome, descricao, ativo, projetos, criado_por, criado_em } = record;
    let outros: Value = projetos.others().iter().map(|projeto| id_text(projeto.0)).collect();
    json!({
        "id": id_text(id.0), "nome": nome.as_str(), "nome_busca": search_key(nome.as_str()),
        "descricao": descricao.as_ref().map(Descricao::as_str), "ativo": ativo, "id_projeto": id_text(projetos.first().0),
        "outros": outros, "criado_por": criado_por, "criado_em": microseconds(*criado_em),
    })
}

/// Returns `Invalid` with each projeto of `records` that does not exist.
async fn unknown_projetos(database: &SqliteDatabase, records: &[AtividadeRecord]) -> Result<Error, Error> {
    let unknown = find_unknown(database, records.iter().flat_map(|record| record.projetos.iter())).await?;
    let of_record = |(item, record): (usize, &AtividadeRecord)| {
        let fields = record.projetos.unknown(|projeto| !unknown.contains(&id_text(projeto.0)));
        fields.into_iter().map(move |field| InvalidField { item: Some(item), ..field })
    };
    Ok(Error::Invalid(records.iter().enumerate().flat_map(of_record).collect()))
}

/// Returns the ids of those of `projetos` that do not exist.
pub(crate) async fn find_unknown(
    database: &SqliteDatabase,
    projetos: impl Iterator<Item = ProjetoRef>,
) -> Result<HashSet<String>, Error> {
    let ids: Value = projetos.map(|projeto| id_text(projeto.0)).collect();
    let ids = ids.to_string();
    let unknown: Vec<IdRow> = database
        .fetch_all(raw_sql!(
            Sqlite,
            "SELECT value AS id FROM json_each({ids}) WHERE NOT EXISTS (SELECT 1 FROM projetos p WHERE p.id = value)"
        ))
        .await?;
    Ok(unknown.into_iter().map(|row| row.id).collect())
}
