//! Storing many atividades at once: all of them or none.

use std::collections::{HashMap, HashSet};

use domain::{AtividadeRecord, Descricao, Error, Idempotency, Violation, search_key};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, raw_sql};
use serde_json::{Value, json};

use crate::atividade_repository::AtividadeRow;
use crate::idempotency::{self, Beginning};
use crate::value::{id_text, microseconds};
use crate::{SqliteDatabase, db_error};

#[derive(FromQueryResult)]
struct IdRow {
    id: String,
}

/// Stores `records` and answers them as stored, in their order; or what was answered to `once` before.
pub(crate) async fn insert(
    database: &SqliteDatabase,
    records: &[AtividadeRecord],
    once: Option<&Idempotency>,
) -> Result<Vec<AtividadeRow>, Error> {
    let unknown = || Error::invalid("id_projeto", Violation::UnknownProjeto);
    let stored = store(database, records, once).await;
    match stored.map_err(|error| db_error::on_foreign_key(error, unknown())) {
        Err(error) if error.is_unknown_projeto() => Err(which_are_unknown(database, records).await?),
        stored => stored?,
    }
}

/// Nothing, unless the key of `once` is accepted.
async fn store(
    database: &SqliteDatabase,
    records: &[AtividadeRecord],
    once: Option<&Idempotency>,
) -> Result<Result<Vec<AtividadeRow>, Error>, DbErr> {
    let Some(now) = records.first().map(|record| record.criado_em) else { return Ok(Ok(Vec::new())) };
    let transaction = match idempotency::begin(database, once, now).await? {
        Beginning::New(transaction) => transaction,
        Beginning::Known(rows) => return Ok(Ok(rows)),
        Beginning::Refused(error) => return Ok(Err(error)),
    };
    let rows: Value = records.iter().map(row).collect();
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
    idempotency::end(transaction, once, now, &rows).await?;
    Ok(Ok(rows))
}

fn row(record: &AtividadeRecord) -> Value {
    let AtividadeRecord { id, nome, descricao, ativo, projeto, criado_por, criado_em } = record;
    json!({
        "id": id_text(id.0), "nome": nome.as_str(), "nome_busca": search_key(nome.as_str()),
        "descricao": descricao.as_ref().map(Descricao::as_str), "ativo": ativo, "id_projeto": id_text(projeto.0),
        "criado_por": criado_por, "criado_em": microseconds(*criado_em),
    })
}

/// The fault of each record whose projeto does not exist.
async fn which_are_unknown(database: &SqliteDatabase, records: &[AtividadeRecord]) -> Result<Error, Error> {
    let ids: Value = records.iter().map(|record| json!(id_text(record.projeto.0))).collect();
    let ids = ids.to_string();
    let unknown: Vec<IdRow> = database
        .rows(raw_sql!(
            Sqlite,
            "SELECT value AS id FROM json_each({ids}) WHERE NOT EXISTS (SELECT 1 FROM projetos p WHERE p.id = value)"
        ))
        .await?;
    let unknown: HashSet<_> = unknown.into_iter().map(|row| row.id).collect();
    let items = records.iter().enumerate().filter(|(_, record)| unknown.contains(&id_text(record.projeto.0)));
    Ok(Error::invalid_items(items.map(|(item, _)| item), "id_projeto", Violation::UnknownProjeto))
}
