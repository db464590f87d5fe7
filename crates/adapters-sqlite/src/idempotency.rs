//! Idempotency keys. A key and its response are stored in the transaction of the change, so neither exists without the
//! other.

use domain::{Error, Idempotency};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, FromQueryResult, raw_sql};
use serde::Serialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

use crate::SqliteDatabase;
use crate::value::microseconds;

/// The result of [`reserve`].
pub(crate) enum Reservation<T> {
    /// The key is new. The change belongs into this transaction.
    Acquired(DatabaseTransaction),
    /// The request was completed before, with this response.
    Replay(T),
    /// The key belongs to another request, or the user has too many keys.
    Rejected(Error),
}

#[derive(FromQueryResult)]
struct UsageRow {
    keys: i64,
    bytes: i64,
}

#[derive(FromQueryResult)]
struct ResponseRow {
    pedido: Vec<u8>,
    resposta: String,
}

/// Reserves the key of a request. The transaction holds the write lock of the file, so requests run sequentially.
pub(crate) async fn reserve<T: DeserializeOwned>(
    database: &SqliteDatabase,
    idempotency: Option<&Idempotency>,
    now: OffsetDateTime,
) -> Result<Reservation<T>, DbErr> {
    let transaction = database.begin_immediate().await?;
    let Some(Idempotency { usuario, key, request }) = idempotency else {
        return Ok(Reservation::Acquired(transaction));
    };
    let (key, expires_before) = (key.as_str(), microseconds(Idempotency::expires_before(now)));
    transaction.execute_raw(raw_sql!(Sqlite, "DELETE FROM idempotencia WHERE criado_em <= {expires_before}")).await?;
    let stored = ResponseRow::find_by_statement(raw_sql!(
        Sqlite,
        "SELECT pedido, resposta FROM idempotencia WHERE usuario = {usuario} AND chave = {key}"
    ));
    match stored.one(&transaction).await? {
        None => {
            let usage = UsageRow::find_by_statement(raw_sql!(
                Sqlite,
                "SELECT count(*) AS keys, COALESCE(sum(length(resposta)), 0) AS bytes FROM idempotencia
                 WHERE usuario = {usuario}"
            ));
            let is_full = |UsageRow { keys, bytes }| Idempotency::MAX_KEYS <= keys || Idempotency::MAX_BYTES <= bytes;
            let is_full = usage.one(&transaction).await?.is_some_and(is_full);
            Ok(if is_full {
                Reservation::Rejected(Error::TooManyIdempotencyKeys)
            } else {
                Reservation::Acquired(transaction)
            })
        }
        Some(row) if row.pedido != request => Ok(Reservation::Rejected(Error::IdempotencyKeyReused)),
        Some(row) => {
            serde_json::from_str(&row.resposta).map(Reservation::Replay).map_err(|error| DbErr::Json(error.to_string()))
        }
    }
}

/// Returns the response of a request that was completed before.
///
/// # Errors
/// `IdempotencyKeyReused` if the key belongs to another request.
pub(crate) async fn replay<T: DeserializeOwned>(
    database: &SqliteDatabase,
    once: &Idempotency,
    now: OffsetDateTime,
) -> Result<Option<T>, Error> {
    let Idempotency { usuario, key, request } = once;
    let (key, expires_before) = (key.as_str(), microseconds(Idempotency::expires_before(now)));
    let stored: Vec<ResponseRow> = database
        .fetch_all(raw_sql!(
            Sqlite,
            "SELECT pedido, resposta FROM idempotencia
             WHERE usuario = {usuario} AND chave = {key} AND {expires_before} < criado_em"
        ))
        .await?;
    match stored.into_iter().next() {
        None => Ok(None),
        Some(row) if row.pedido != *request => Err(Error::IdempotencyKeyReused),
        Some(row) => serde_json::from_str(&row.resposta).map(Some).map_err(Error::internal),
    }
}

/// Stores the response with its key and commits the transaction of [`reserve`].
pub(crate) async fn complete(
    transaction: DatabaseTransaction,
    idempotency: Option<&Idempotency>,
    now: OffsetDateTime,
    response: &impl Serialize,
) -> Result<(), DbErr> {
    if let Some(Idempotency { usuario, key, request }) = idempotency {
        let (key, pedido, now) = (key.as_str(), request.to_vec(), microseconds(now));
        let resposta = serde_json::to_string(response).map_err(|error| DbErr::Json(error.to_string()))?;
        let insert = raw_sql!(
            Sqlite,
            "INSERT INTO idempotencia (usuario, chave, pedido, resposta, criado_em)
             VALUES ({usuario}, {key}, {pedido}, {resposta}, {now})"
        );
        transaction.execute_raw(insert).await?;
    }
    transaction.commit().await
}
