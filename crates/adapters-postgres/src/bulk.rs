//! Inserting several atividades with one statement.

use std::collections::HashSet;

use domain::{AtividadeRecord, Descricao, Error, Idempotency, InvalidField};
use sea_orm::sea_query::extension::postgres::PgFunc;
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, Statement, raw_sql};
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::atividade_row::{AtividadeRow, is_unknown_projeto};
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
    loop {
        if let Some(rows) = attempt(database, records, now, once).await? {
            return Ok(rows);
        }
        let unknown = find_unknown(database, records).await?;
        if !unknown.is_empty() {
            return Err(Error::Invalid(unknown));
        }
        // Another request created the projetos meanwhile.
    }
}

/// Returns `None` if a projeto does not exist.
async fn attempt(
    database: &PostgresDatabase,
    records: &[AtividadeRecord],
    now: OffsetDateTime,
    once: Option<&Idempotency>,
) -> Result<Option<Vec<AtividadeRow>>, Error> {
    let stored = match once {
        None => insert_all(&database.write(OPERATION), records, now).await.map(Ok),
        Some(once) => insert_once(database, records, now, once).await,
    };
    let rows = match stored {
        Err(error) if !is_unknown_projeto(&error) => return Err(db_error::into_domain(&error)),
        Err(_) => Vec::new(),
        Ok(rows) => rows?,
    };
    Ok((rows.len() == records.len()).then_some(rows))
}

/// What a statement does if a projeto of a record does not exist.
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
                   id uuid, nome text, descricao text, ativo boolean, id_projeto uuid, outros jsonb, criado_por text,
                   depois bigint
               )) WITH ORDINALITY AS r (id, nome, descricao, ativo, id_projeto, outros, criado_por, depois, lugar)
               LEFT JOIN projetos p ON p.id = r.id_projeto
           ), ligacoes AS MATERIALIZED (
               SELECT n.id AS id_atividade, o.id_projeto::uuid, o.lugar, p.nome
               FROM novas n
               CROSS JOIN jsonb_array_elements_text(n.outros) WITH ORDINALITY AS o (id_projeto, lugar)
               LEFT JOIN projetos p ON p.id = o.id_projeto::uuid
           ), completas AS MATERIALIZED (
               SELECT * FROM novas
               WHERE nome_projeto IS NOT NULL AND id NOT IN (SELECT id_atividade FROM ligacoes WHERE nome IS NULL)
           ), inserted AS (
               INSERT INTO atividades (id, nome, descricao, ativo, id_projeto, criado_por, criado_em, atualizado_em)
               SELECT id, nome, descricao, ativo, id_projeto, criado_por, criado_em, criado_em FROM completas
               WHERE NOT {is_aborted}::boolean OR (SELECT count(*) FROM completas) = (SELECT count(*) FROM novas)
               RETURNING *
           ), linked AS (
               INSERT INTO atividade_projetos (id_atividade, id_projeto, lugar)
               SELECT id_atividade, l.id_projeto, l.lugar FROM ligacoes l JOIN inserted i ON i.id = id_atividade
           )
           SELECT i.id, i.nome, i.descricao, i.ativo, i.id_projeto, i.criado_por, i.criado_em, i.atualizado_em,
                  n.nome_projeto,
                  (SELECT jsonb_agg(jsonb_build_object('id', l.id_projeto, 'nome', l.nome) ORDER BY l.lugar)
                   FROM ligacoes l WHERE l.id_atividade = i.id) AS outros_projetos
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
        let AtividadeRecord { id, nome, descricao, ativo, projetos, criado_por, criado_em } = record;
        let outros: Vec<_> = projetos.others().iter().map(|projeto| projeto.0).collect();
        json!({
            "id": id.0, "nome": nome.as_str(), "descricao": descricao.as_ref().map(Descricao::as_str),
            "ativo": ativo, "id_projeto": projetos.first().0, "outros": outros, "criado_por": criado_por,
            "depois": i64::try_from((*criado_em - now).whole_microseconds()).unwrap_or_default(),
        })
    };
    records.iter().map(object).collect()
}

/// Returns an entry for each projeto of `records` that does not exist.
async fn find_unknown(database: &PostgresDatabase, records: &[AtividadeRecord]) -> Result<Vec<InvalidField>, Error> {
    let ids: HashSet<Uuid> = records.iter().flat_map(|record| record.projetos.iter()).map(|id| id.0).collect();
    let known = projeto::Entity::find().select_only().column(projeto::Column::Id);
    let known = known.filter(Expr::col(projeto::Column::Id).eq(PgFunc::any(Vec::from_iter(ids)))).into_tuple::<Uuid>();
    let known = known.all(&database.read("atividades.unknown_projetos")).await;
    let known: HashSet<_> = known.map_err(|error| db_error::into_domain(&error))?.into_iter().collect();
    let of_record = |(item, record): (usize, &AtividadeRecord)| {
        let unknown = record.projetos.unknown(|projeto| known.contains(&projeto.0));
        unknown.into_iter().map(move |field| InvalidField { item: Some(item), ..field })
    };
    Ok(records.iter().enumerate().flat_map(of_record).collect())
}
