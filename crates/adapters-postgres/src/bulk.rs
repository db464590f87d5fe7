//! Storing many atividades at once: all of them or none.

use std::collections::{HashMap, HashSet};

use domain::{AtividadeRecord, Error, Idempotency, Violation};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, raw_sql};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::atividade_repository::AtividadeRow;
use crate::idempotency::{self, Beginning};
use crate::{PostgresDatabase, db_error};

const FOREIGN_KEY: &str = "atividades_id_projeto_fkey";

#[derive(FromQueryResult)]
struct IdRow {
    id: Uuid,
}

/// Stores `records` and answers them as stored, in their order; or what was answered to `once` before.
pub(crate) async fn insert(
    database: &PostgresDatabase,
    records: &[AtividadeRecord],
    once: Option<&Idempotency>,
) -> Result<Vec<AtividadeRow>, Error> {
    let unknown = || Error::invalid("id_projeto", Violation::UnknownProjeto);
    let stored = database.within("atividades.insert_all", database.limit(6), store(database, records, once)).await;
    match stored.map_err(|error| db_error::on(error, FOREIGN_KEY, unknown())) {
        Err(error) if error.is_unknown_projeto() => Err(which_are_unknown(database, records).await?),
        stored => stored?.ok_or(Error::KeyReused),
    }
}

/// Nothing when the key of `once` stands for another request.
async fn store(
    database: &PostgresDatabase,
    records: &[AtividadeRecord],
    once: Option<&Idempotency>,
) -> Result<Option<Vec<AtividadeRow>>, DbErr> {
    let Some(now) = records.first().map(|record| record.criado_em) else { return Ok(Some(Vec::new())) };
    let transaction = match idempotency::begin(database, once, now).await? {
        Beginning::New(transaction) => transaction,
        Beginning::Known(rows) => return Ok(Some(rows)),
        Beginning::Reused => return Ok(None),
    };
    let rows: Value = records
        .iter()
        .map(|record| {
            let AtividadeRecord { id, nome, descricao, ativo, projeto, criado_por, criado_em } = record;
            json!({
                "id": id.0, "nome": nome.as_str(), "descricao": descricao.as_ref().map(domain::Descricao::as_str),
                "ativo": ativo, "id_projeto": projeto.0, "criado_por": criado_por,
                "depois": i64::try_from((*criado_em - now).whole_microseconds()).unwrap_or_default(),
            })
        })
        .collect();
    transaction
        .execute_raw(raw_sql!(
            Postgres,
            r#"
            INSERT INTO atividades (id, nome, descricao, ativo, id_projeto, criado_por, criado_em, atualizado_em)
            SELECT id, nome, descricao, ativo, id_projeto, criado_por, em, em
            FROM jsonb_to_recordset({rows}) AS r (
                id uuid, nome text, descricao text, ativo boolean, id_projeto uuid, criado_por text, depois bigint
            ), LATERAL (SELECT {now} + depois * interval '1 microsecond' AS em) l
            "#
        ))
        .await?;
    // In a statement of its own, which sees the newest names: a projeto can be younger than the one before.
    let ids: Value = records.iter().map(|record| json!(record.id.0)).collect();
    let stored = AtividadeRow::find_by_statement(raw_sql!(
        Postgres,
        r#"
        SELECT a.id, a.nome, a.descricao, a.ativo, a.id_projeto, a.criado_por, a.criado_em, a.atualizado_em,
               p.nome AS nome_projeto
        FROM jsonb_array_elements_text({ids}) i (id)
        JOIN atividades a ON a.id = i.id::uuid
        JOIN projetos p ON p.id = a.id_projeto
        "#
    ));
    let mut stored: HashMap<_, _> = stored.all(&transaction).await?.into_iter().map(|row| (row.id, row)).collect();
    let rows: Vec<_> = records.iter().filter_map(|record| stored.remove(&record.id.0)).collect();
    idempotency::end(transaction, once, &rows).await?;
    Ok(Some(rows))
}

/// The fault of each record whose projeto does not exist.
async fn which_are_unknown(database: &PostgresDatabase, records: &[AtividadeRecord]) -> Result<Error, Error> {
    let ids: Value = records.iter().map(|record| json!(record.projeto.0)).collect();
    let unknown: Vec<IdRow> = database
        .read(
            "atividades.unknown_projetos",
            raw_sql!(
                Postgres,
                r#"
            SELECT i.id::uuid AS id FROM jsonb_array_elements_text({ids}) i (id)
            WHERE NOT EXISTS (SELECT FROM projetos p WHERE p.id = i.id::uuid)
            "#
            ),
        )
        .await?;
    let unknown: HashSet<_> = unknown.into_iter().map(|row| row.id).collect();
    let items = records.iter().enumerate().filter(|(_, record)| unknown.contains(&record.projeto.0));
    Ok(Error::invalid_items(items.map(|(item, _)| item), "id_projeto", Violation::UnknownProjeto))
}
