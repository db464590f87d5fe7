//! Inserting several atividades with one statement.

use std::collections::HashSet;

use domain::{AtividadeRecord, Descricao, Error, Idempotency, Violation};
use sea_orm::sea_query::extension::postgres::PgFunc;
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, Statement, raw_sql};
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::atividade_row::{AtividadeRow, FOREIGN_KEY};
use crate::entity::projeto;
use crate::idempotency::{self, Reservation};
use crate::{PostgresDatabase, db_error};

const OPERATION: &str = "atividades.insert_all";

/// Inserts all `records` or none and returns the rows in their order. Returns the stored response if the key of `once` was
/// used before.
pub(crate) async fn insert(
    database: &PostgresDatabase,
    records: &[AtividadeRecord],
    once: Option<&Idempotency>,
) -> Result<Vec<AtividadeRow>, Error> {
    let Some(now) = records.first().map(|record| record.criado_em) else { return Ok(Vec::new()) };
    match attempt(database, records, now, once).await {
        // None is unknown if another request created the projetos meanwhile.
        Err(unknown) if unknown.is_unknown_projeto() => match find_unknown(database, records).await? {
            Some(errors) => Err(errors),
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
        None => insert_all(&database.write(OPERATION), records, now).await.map(Ok),
        Some(once) => insert_once(database, records, now, once).await,
    };
    let rows = stored.map_err(|error| db_error::on_constraint(&error, FOREIGN_KEY, unknown()))??;
    if rows.len() == records.len() { Ok(rows) } else { Err(unknown()) }
}

/// What a statement does if the projeto of a record does not exist.
#[derive(Clone, Copy)]
pub(crate) enum OnUnknown {
    /// It inserts the other records.
    Omit,
    /// It inserts no record.
    Abort,
}

/// Inserts `records` and returns the inserted rows in their order.
pub(crate) fn statement(records: &[AtividadeRecord], now: OffsetDateTime, on_unknown: OnUnknown) -> Statement {
    let (records, is_aborted) = (to_json(records, now), matches!(on_unknown, OnUnknown::Abort));
    raw_sql!(
        Postgres,
        r#"WITH novas AS MATERIALIZED (
               SELECT r.*, p.nome AS nome_projeto, {now}::timestamptz + depois * interval '1 microsecond' AS criado_em
               FROM ROWS FROM (jsonb_to_recordset({records}::jsonb) AS (
                   id uuid, nome text, descricao text, ativo boolean, id_projeto uuid, criado_por text, depois bigint
               )) WITH ORDINALITY AS r (id, nome, descricao, ativo, id_projeto, criado_por, depois, lugar)
               LEFT JOIN projetos p ON p.id = r.id_projeto
           ), inserted AS (
               INSERT INTO atividades (id, nome, descricao, ativo, id_projeto, criado_por, criado_em, atualizado_em)
               SELECT id, nome, descricao, ativo, id_projeto, criado_por, criado_em, criado_em FROM novas
               WHERE nome_projeto IS NOT NULL
                 AND NOT ({is_aborted}::boolean AND EXISTS (SELECT FROM novas WHERE nome_projeto IS NULL))
               RETURNING *
           )
           SELECT i.id, i.nome, i.descricao, i.ativo, i.id_projeto, i.criado_por, i.criado_em, i.atualizado_em,
                  n.nome_projeto
           FROM inserted i JOIN novas n USING (id)
           ORDER BY n.lugar"#
    )
}

async fn insert_all(
    connection: &impl ConnectionTrait,
    records: &[AtividadeRecord],
    now: OffsetDateTime,
) -> Result<Vec<AtividadeRow>, DbErr> {
    AtividadeRow::find_by_statement(statement(records, now, OnUnknown::Abort)).all(connection).await
}

/// Inserts `records` once for the idempotency key `once`.
async fn insert_once(
    database: &PostgresDatabase,
    records: &[AtividadeRecord],
    now: OffsetDateTime,
    once: &Idempotency,
) -> Result<Result<Vec<AtividadeRow>, Error>, DbErr> {
    let transaction = match idempotency::reserve(database, OPERATION, once, now).await? {
        Reservation::Acquired(transaction) => *transaction,
        Reservation::Ended(result) => return Ok(result),
    };
    let rows = insert_all(&transaction, records, now).await?;
    // A rejected request does not use its key.
    if rows.len() == records.len() {
        idempotency::commit(transaction, once, &rows).await?;
    } else {
        transaction.rollback().await?;
    }
    Ok(Ok(rows))
}

/// Encodes times as microseconds after `now`, because JSON has no type for them.
fn to_json(records: &[AtividadeRecord], now: OffsetDateTime) -> Value {
    let object = |record: &AtividadeRecord| {
        let AtividadeRecord { id, nome, descricao, ativo, projeto, criado_por, criado_em } = record;
        json!({
            "id": id.0, "nome": nome.as_str(), "descricao": descricao.as_ref().map(Descricao::as_str),
            "ativo": ativo, "id_projeto": projeto.0, "criado_por": criado_por,
            "depois": i64::try_from((*criado_em - now).whole_microseconds()).unwrap_or_default(),
        })
    };
    records.iter().map(object).collect()
}

/// Returns an error for each record whose projeto does not exist, if there is one.
async fn find_unknown(database: &PostgresDatabase, records: &[AtividadeRecord]) -> Result<Option<Error>, Error> {
    let ids: Vec<Uuid> = records.iter().map(|record| record.projeto.0).collect();
    let known = projeto::Entity::find().select_only().column(projeto::Column::Id);
    let known = known.filter(Expr::col(projeto::Column::Id).eq(PgFunc::any(ids))).into_tuple::<Uuid>();
    let known = known.all(&database.read("atividades.unknown_projetos")).await;
    let known: HashSet<_> = known.map_err(|error| db_error::into_domain(&error))?.into_iter().collect();
    let unknown = records.iter().enumerate().filter(|(_, record)| !known.contains(&record.projeto.0));
    let unknown: Vec<_> = unknown.map(|(index, _)| index).collect();
    let is_any = !unknown.is_empty();
    Ok(is_any.then(|| Error::invalid_items(unknown, "id_projeto", Violation::UnknownProjeto)))
}
