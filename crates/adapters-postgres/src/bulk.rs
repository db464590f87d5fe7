//! Storing many atividades at once: all of them or none.

use std::collections::HashSet;

use domain::{AtividadeRecord, Error, Idempotency, Violation};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::atividade_repository::{AtividadeRow, IdRow};
use crate::database::read_all;
use crate::db_error::DbError;
use crate::idempotency::{self, Beginning};
use crate::pool::Lease;
use crate::{PostgresDatabase, db_error};

const OPERATION: &str = "atividades.insert_all";
const FOREIGN_KEY: &str = "atividades_id_projeto_fkey";

/// What stores all, or none and answers nothing when the projeto of one of them is unknown: `$1` is the time of the
/// first, `$2` an array of objects.
const INSERT: &str = "
    WITH novas AS MATERIALIZED (
        SELECT r.*, p.nome AS nome_projeto, $1::timestamptz + depois * interval '1 microsecond' AS criado_em
        FROM ROWS FROM (jsonb_to_recordset($2::jsonb) AS (
            id uuid, nome text, descricao text, ativo boolean, id_projeto uuid, criado_por text, depois bigint
        )) WITH ORDINALITY AS r (id, nome, descricao, ativo, id_projeto, criado_por, depois, lugar)
        LEFT JOIN projetos p ON p.id = r.id_projeto
    ), inserted AS (
        INSERT INTO atividades (id, nome, descricao, ativo, id_projeto, criado_por, criado_em, atualizado_em)
        SELECT id, nome, descricao, ativo, id_projeto, criado_por, criado_em, criado_em FROM novas
        WHERE NOT EXISTS (SELECT FROM novas WHERE nome_projeto IS NULL)
        RETURNING *
    )
    SELECT i.id, i.nome, i.descricao, i.ativo, i.id_projeto, i.criado_por, i.criado_em, i.atualizado_em,
           n.nome_projeto
    FROM inserted i JOIN novas n USING (id)
    ORDER BY n.lugar";

const UNKNOWN: &str = "
    SELECT i.id::uuid FROM jsonb_array_elements_text($1::jsonb) i (id)
    WHERE NOT EXISTS (SELECT FROM projetos p WHERE p.id = i.id::uuid)";

/// Stores `records` and answers them as stored, in their order; or what was answered to `once` before.
pub(crate) async fn insert(
    database: &PostgresDatabase,
    records: &[AtividadeRecord],
    once: Option<&Idempotency>,
) -> Result<Vec<AtividadeRow>, Error> {
    let Some(now) = records.first().map(|record| record.criado_em) else { return Ok(Vec::new()) };
    match attempt(database, records, now, once).await {
        // None of them when they came to be known in between.
        Err(unknown) if unknown.is_unknown_projeto() => match which_are_unknown(database, records).await? {
            Some(faults) => Err(faults),
            None => attempt(database, records, now, once).await,
        },
        done => done,
    }
}

async fn attempt(
    database: &PostgresDatabase,
    records: &[AtividadeRecord],
    now: OffsetDateTime,
    once: Option<&Idempotency>,
) -> Result<Vec<AtividadeRow>, Error> {
    let unknown = || Error::invalid("id_projeto", Violation::UnknownProjeto);
    let stored = match once {
        None => database.alone(OPERATION, 1, |lease| store(lease, records, now)).await.map(Some),
        Some(once) => database.alone(OPERATION, 6, |lease| store_once(lease, records, now, once)).await,
    };
    let rows = stored.map_err(|error| db_error::on(error, FOREIGN_KEY, unknown()))?.ok_or(Error::KeyReused)?;
    if rows.len() == records.len() { Ok(rows) } else { Err(unknown()) }
}

async fn store(
    mut lease: Lease,
    records: &[AtividadeRecord],
    now: OffsetDateTime,
) -> Result<Vec<AtividadeRow>, DbError> {
    read_all(lease.query(INSERT, &[&now, &json_of(records, now)]).await?)
}

/// The same for a request that counts once. Nothing when its key stands for another one.
async fn store_once(
    lease: Lease,
    records: &[AtividadeRecord],
    now: OffsetDateTime,
    once: &Idempotency,
) -> Result<Option<Vec<AtividadeRow>>, DbError> {
    let mut transaction = match idempotency::begin(lease, Some(once), now).await? {
        Beginning::New(transaction) => transaction,
        Beginning::Known(rows) => return Ok(Some(rows)),
        Beginning::Reused => return Ok(None),
    };
    let rows = read_all(transaction.query(INSERT, &[&now, &json_of(records, now)]).await?)?;
    // What was refused is not remembered.
    if rows.len() == records.len() {
        idempotency::end(transaction, Some(once), &rows).await?;
    }
    Ok(Some(rows))
}

fn json_of(records: &[AtividadeRecord], now: OffsetDateTime) -> Value {
    let object = |record: &AtividadeRecord| {
        let AtividadeRecord { id, nome, descricao, ativo, projeto, criado_por, criado_em } = record;
        json!({
            "id": id.0, "nome": nome.as_str(), "descricao": descricao.as_ref().map(domain::Descricao::as_str),
            "ativo": ativo, "id_projeto": projeto.0, "criado_por": criado_por,
            "depois": i64::try_from((*criado_em - now).whole_microseconds()).unwrap_or_default(),
        })
    };
    records.iter().map(object).collect()
}

/// The fault of each record whose projeto does not exist, if there is one.
async fn which_are_unknown(database: &PostgresDatabase, records: &[AtividadeRecord]) -> Result<Option<Error>, Error> {
    let ids: Value = records.iter().map(|record| json!(record.projeto.0)).collect();
    let unknown: Vec<IdRow> = database.search("atividades.unknown_projetos", UNKNOWN, &[&ids]).await?;
    let unknown: HashSet<_> = unknown.into_iter().map(|IdRow(id)| id).collect();
    let items = records.iter().enumerate().filter(|(_, record)| unknown.contains(&record.projeto.0));
    let faults = Error::invalid_items(items.map(|(item, _)| item), "id_projeto", Violation::UnknownProjeto);
    Ok((!unknown.is_empty()).then_some(faults))
}
