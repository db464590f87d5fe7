//! Idempotent requests: the transaction of a request also stores its key and response.

use domain::{Error, Idempotency};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait as _, FromQueryResult, QueryFilter, QuerySelect,
    raw_sql,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

use crate::entity::idempotencia::{Column, Entity};
use crate::operation::Transaction;
use crate::{PostgresDatabase, db_error};

/// Bounds the time for which one statement holds locks.
const EXPIRED_KEYS_PER_STATEMENT: i64 = 1000;
/// The statements of an idempotent request: three to reserve its key, its own, and one to store the response.
const MAX_STATEMENTS: u32 = 5;

impl PostgresDatabase {
    /// Deletes the keys that have expired at `now` and returns their number. Skips keys that a request or another replica
    /// has locked.
    ///
    /// # Errors
    /// `Unavailable` if the database does not respond.
    pub async fn delete_expired_keys(&self, now: OffsetDateTime) -> Result<u64, Error> {
        let (expires_before, mut deleted) = (Idempotency::expires_before(now), 0);
        loop {
            let limit = EXPIRED_KEYS_PER_STATEMENT;
            let delete = raw_sql!(
                Postgres,
                r#"DELETE FROM idempotencia WHERE (usuario, chave) IN (
                       SELECT usuario, chave FROM idempotencia WHERE criado_em <= {expires_before}
                       LIMIT {limit} FOR UPDATE SKIP LOCKED
                   )"#
            );
            let done = self.write("idempotencia.expire").execute_raw(delete).await;
            let done = done.map_err(|error| db_error::into_domain(&error))?.rows_affected();
            deleted += done;
            if done < limit.unsigned_abs() {
                return Ok(deleted);
            }
        }
    }
}

/// The state of a key when its request begins.
pub(crate) enum Reservation<'a, T> {
    /// The key is new. The request's changes belong into this transaction, which [`commit`] ends.
    Acquired(Box<Transaction<'a>>),
    /// The request was carried out before and had this response, or the key cannot be used.
    Ended(Result<T, Error>),
}

#[derive(FromQueryResult)]
struct UsageRow {
    keys: i64,
    bytes: i64,
}

/// Begins a transaction and reserves the key of `once` in it. Waits for a running request with the same key.
pub(crate) async fn reserve<'a, T: DeserializeOwned>(
    database: &'a PostgresDatabase,
    operation: &'static str,
    once: &Idempotency,
    now: OffsetDateTime,
) -> Result<Reservation<'a, T>, DbErr> {
    let transaction = database.begin(operation, MAX_STATEMENTS).await?;
    let rejected = if is_new(&transaction, once, now).await? {
        if !exceeds_quota(&transaction, once, now).await? {
            return Ok(Reservation::Acquired(Box::new(transaction)));
        }
        Err(Error::TooManyIdempotencyKeys)
    } else {
        response(&transaction, once).await?.ok_or(Error::IdempotencyKeyReused)
    };
    transaction.rollback().await?;
    Ok(Reservation::Ended(rejected))
}

/// Returns the response of a request that was carried out before. A key of another request is an error.
pub(crate) async fn replay<T: DeserializeOwned>(
    connection: &impl ConnectionTrait,
    once: &Idempotency,
    now: OffsetDateTime,
) -> Result<Result<Option<T>, Error>, DbErr> {
    let is_alive = Column::CriadoEm.gt(Idempotency::expires_before(now));
    let known = Entity::find().filter(is_key(once)).filter(is_alive).one(connection).await?;
    match known {
        None => Ok(Ok(None)),
        Some(known) if known.pedido != once.request => Ok(Err(Error::IdempotencyKeyReused)),
        Some(known) => {
            let response = known.resposta.map(serde_json::from_value).transpose();
            response.map(Ok).map_err(|error| DbErr::Json(error.to_string()))
        }
    }
}

/// Stores `response` with the key of `once`, which `transaction` has reserved, and commits.
pub(crate) async fn commit(
    transaction: Transaction<'_>,
    once: &Idempotency,
    response: &impl Serialize,
) -> Result<(), DbErr> {
    let response = serde_json::to_value(response).map_err(|error| DbErr::Json(error.to_string()))?;
    let update = Entity::update_many().col_expr(Column::Resposta, response.into()).filter(is_key(once));
    update.exec(&transaction).await?;
    transaction.commit().await
}

/// Inserts the key, or replaces an expired one.
async fn is_new(transaction: &Transaction<'_>, once: &Idempotency, now: OffsetDateTime) -> Result<bool, DbErr> {
    let Idempotency { usuario, key, request } = once;
    let (usuario, chave, pedido) = (usuario.as_str(), key.as_str(), request.to_vec());
    let expires_before = Idempotency::expires_before(now);
    let reserved = transaction.execute_raw(raw_sql!(
        Postgres,
        r#"INSERT INTO idempotencia (usuario, chave, pedido, criado_em) VALUES ({usuario}, {chave}, {pedido}, {now})
           ON CONFLICT (usuario, chave) DO UPDATE
           SET pedido = EXCLUDED.pedido, resposta = NULL, criado_em = EXCLUDED.criado_em
           WHERE idempotencia.criado_em <= {expires_before}"#
    ));
    Ok(0 < reserved.await?.rows_affected())
}

/// Counts the keys of the user, including the new one. `pg_column_size` does not read the responses.
async fn exceeds_quota(transaction: &Transaction<'_>, once: &Idempotency, now: OffsetDateTime) -> Result<bool, DbErr> {
    let (usuario, expires_before) = (once.usuario.as_str(), Idempotency::expires_before(now));
    let usage = UsageRow::find_by_statement(raw_sql!(
        Postgres,
        r#"SELECT count(*) AS keys, COALESCE(sum(pg_column_size(resposta)), 0)::bigint AS bytes
           FROM idempotencia WHERE usuario = {usuario} AND {expires_before} < criado_em"#
    ));
    let exceeds = |UsageRow { keys, bytes }| Idempotency::MAX_KEYS < keys || Idempotency::MAX_BYTES <= bytes;
    Ok(usage.one(transaction).await?.is_some_and(exceeds))
}

/// Returns the stored response if the key was used for the same request.
async fn response<T: DeserializeOwned>(transaction: &Transaction<'_>, once: &Idempotency) -> Result<Option<T>, DbErr> {
    let stored = Entity::find().select_only().column(Column::Resposta).filter(is_key(once));
    let stored = stored.filter(Column::Pedido.eq(once.request.to_vec())).into_tuple::<Option<serde_json::Value>>();
    let response = stored.one(transaction).await?.flatten().map(serde_json::from_value).transpose();
    response.map_err(|error| DbErr::Json(error.to_string()))
}

fn is_key(once: &Idempotency) -> sea_orm::sea_query::SimpleExpr {
    Column::Usuario.eq(once.usuario.as_str()).and(Column::Chave.eq(once.key.as_str()))
}
