//! Requests that count once: a key and its response are kept by the transaction that does what the request asks for, so
//! there is never one without the other.

use domain::{Error, Idempotency};
use sea_orm::{
    ColumnTrait, ConnectionTrait as _, DbErr, EntityTrait, ExprTrait as _, FromQueryResult, QueryFilter, QuerySelect,
    raw_sql,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

use crate::entity::idempotencia::{Column, Entity};
use crate::operation::Transaction;
use crate::{PostgresDatabase, db_error};

/// Keys that one statement deletes at most, so that it holds no lock for long.
const EXPIRED_KEYS_PER_STATEMENT: i64 = 1000;

impl PostgresDatabase {
    /// Deletes the keys that are no longer remembered at `now` and returns their number. Keys that a request uses, or that
    /// another replica deletes, are left to the next call.
    ///
    /// # Errors
    /// `Unavailable` when the database does not respond.
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

/// What a key stands for when its request begins.
pub(crate) enum Reservation<T> {
    /// Nothing yet: what the request does belongs into this transaction.
    Acquired,
    /// A request that was carried out before, with this response.
    Replay(T),
    /// Another request, or the user may have no more keys.
    Refused(Error),
}

#[derive(FromQueryResult)]
struct UsageRow {
    keys: i64,
    bytes: i64,
}

/// Reserves the key of `once` in `transaction`. A request with the same key that runs is waited for.
pub(crate) async fn reserve<T: DeserializeOwned>(
    transaction: &Transaction<'_>,
    once: &Idempotency,
    now: OffsetDateTime,
) -> Result<Reservation<T>, DbErr> {
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
    if 0 < reserved.await?.rows_affected() {
        // The new key is among them. Compressed responses are not read for it.
        let usage = UsageRow::find_by_statement(raw_sql!(
            Postgres,
            r#"SELECT count(*) AS keys, COALESCE(sum(pg_column_size(resposta)), 0)::bigint AS bytes
               FROM idempotencia WHERE usuario = {usuario} AND {expires_before} < criado_em"#
        ));
        let is_too_much = |UsageRow { keys, bytes }| Idempotency::MAX_KEYS < keys || Idempotency::MAX_BYTES <= bytes;
        let is_too_much = usage.one(transaction).await?.is_some_and(is_too_much);
        return Ok(if is_too_much {
            Reservation::Refused(Error::TooManyIdempotencyKeys)
        } else {
            Reservation::Acquired
        });
    }
    let known = Entity::find().select_only().column(Column::Resposta).filter(is_key(once));
    let known = known.filter(Column::Pedido.eq(request.to_vec())).into_tuple::<Option<serde_json::Value>>();
    let response = known.one(transaction).await?.flatten().map(serde_json::from_value).transpose();
    let response = response.map_err(|error| DbErr::Json(error.to_string()))?;
    Ok(response.map_or(Reservation::Refused(Error::IdempotencyKeyReused), Reservation::Replay))
}

/// Keeps `response` for the key of `once`, which `transaction` has reserved.
pub(crate) async fn keep(
    transaction: &Transaction<'_>,
    once: &Idempotency,
    response: &impl Serialize,
) -> Result<(), DbErr> {
    let response = serde_json::to_value(response).map_err(|error| DbErr::Json(error.to_string()))?;
    let keep = Entity::update_many().col_expr(Column::Resposta, response.into()).filter(is_key(once));
    keep.exec(transaction).await.map(drop)
}

fn is_key(once: &Idempotency) -> sea_orm::sea_query::SimpleExpr {
    Column::Usuario.eq(once.usuario.as_str()).and(Column::Chave.eq(once.key.as_str()))
}
