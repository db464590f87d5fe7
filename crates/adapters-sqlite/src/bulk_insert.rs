//! Inserts many atividades in one transaction.

use std::collections::{HashMap, HashSet};

use domain::{AtividadeRecord, Descricao, Error, Idempotency, Violation, search_key};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, raw_sql};
use serde_json::{Value, json};

use crate::atividade_row::AtividadeRow;
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
    let unknown = || Error::invalid("id_projeto", Violation::UnknownProjeto);
    let stored = store(database, records, idempotency).await;
    match stored.map_err(|error| db_error::on_foreign_key(error, unknown())) {
        Err(error) if error.is_unknown_projeto() => Err(unknown_projetos(database, records).await?),
        stored => stored?,
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
    let stored = AtividadeRow::find_by_statement(raw_sql!(
        Sqlite,
        r#"
        SELECT a.id, a.nome, a.descricao, a.ativo, a.id_projeto, a.criado_por, a.criado_em, a.atualizado_em,
               p.nome AS nome_projeto
        FROM json_each({rows}) r
        JOIN atividades a ON a.id = r.value ->> 'id'
        JOIN projetos p ON p.id = a.id_projeto
        "#
    ));
    let stored = stored.all(&transaction).await?;
    let mut stored: HashMap<_, _> = stored.into_iter().map(|row| (row.id.clone(), row)).collect();
    let rows: Vec<_> = records.iter().filter_map(|record| stored.remove(&id_text(record.id.0))).collect();
    idempotency::complete(transaction, idempotency, now, &rows).await?;
    Ok(Ok(rows))
}

fn to_json(record: &AtividadeRecord) -> Value {
    let AtividadeRecord { id, nome, descricao, ativo, projeto, criado_por, criado_em } = record;
    json!({
        "id": id_text(id.0), "nome": nome.as_str(), "nome_busca": search_key(nome.as_str()),
        "descricao": descricao.as_ref().map(Descricao::as_str), "ativo": ativo, "id_projeto": id_text(projeto.0),
        "criado_por": criado_por, "criado_em": microseconds(*criado_em),
    })
}

/// Returns `Invalid` with the index of each record whose projeto does not exist.
async fn unknown_projetos(database: &SqliteDatabase, records: &[AtividadeRecord]) -> Result<Error, Error> {
    let ids: Value = records.iter().map(|record| json!(id_text(record.projeto.0))).collect();
    let ids = ids.to_string();
    let unknown: Vec<IdRow> = database
        .fetch_all(raw_sql!(
            Sqlite,
            "SELECT value AS id FROM json_each({ids}) WHERE NOT EXISTS (SELECT 1 FROM projetos p WHERE p.id = value)"
        ))
        .await?;
    let unknown: HashSet<_> = unknown.into_iter().map(|row| row.id).collect();
    let items = records.iter().enumerate().filter(|(_, record)| unknown.contains(&id_text(record.projeto.0)));
    Ok(Error::invalid_items(items.map(|(item, _)| item), "id_projeto", Violation::UnknownProjeto))
}
