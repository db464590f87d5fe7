//! Requests that count once: a key and what was answered to it are kept by the transaction that did what was asked for,
//! so there is never one without the other.

use domain::{Error, Idempotency};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, FromQueryResult, raw_sql};
use serde::Serialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

use crate::SqliteDatabase;
use crate::value::microseconds;

/// How a request begins.
pub(crate) enum Beginning<T> {
    /// It is new: what it does belongs into this transaction.
    New(DatabaseTransaction),
    /// It was there before, and this was the answer.
    Known(T),
    /// Its key stands for another request, or the user may have no more keys.
    Refused(Error),
}

#[derive(FromQueryResult)]
struct UsageRow {
    keys: i64,
    bytes: i64,
}

#[derive(FromQueryResult)]
struct AnswerRow {
    pedido: Vec<u8>,
    resposta: String,
}

/// Begins a request. Its transaction has the lock of the file, so there is no other one beside it.
pub(crate) async fn begin<T: DeserializeOwned>(
    database: &SqliteDatabase,
    once: Option<&Idempotency>,
    now: OffsetDateTime,
) -> Result<Beginning<T>, DbErr> {
    let transaction = database.begin().await?;
    let Some(Idempotency { usuario, key, request }) = once else { return Ok(Beginning::New(transaction)) };
    let (key, horizon) = (key.as_str(), microseconds(Idempotency::expires_before(now)));
    transaction.execute_raw(raw_sql!(Sqlite, "DELETE FROM idempotencia WHERE criado_em <= {horizon}")).await?;
    let known = AnswerRow::find_by_statement(raw_sql!(
        Sqlite,
        "SELECT pedido, resposta FROM idempotencia WHERE usuario = {usuario} AND chave = {key}"
    ));
    match known.one(&transaction).await? {
        None => {
            let usage = UsageRow::find_by_statement(raw_sql!(
                Sqlite,
                "SELECT count(*) AS keys, COALESCE(sum(length(resposta)), 0) AS bytes FROM idempotencia
                 WHERE usuario = {usuario}"
            ));
            let is_full = |UsageRow { keys, bytes }| Idempotency::MAX_KEYS <= keys || Idempotency::MAX_BYTES <= bytes;
            let is_full = usage.one(&transaction).await?.is_some_and(is_full);
            Ok(if is_full { Beginning::Refused(Error::TooManyIdempotencyKeys) } else { Beginning::New(transaction) })
        }
        Some(row) if row.pedido != request => Ok(Beginning::Refused(Error::IdempotencyKeyReused)),
        Some(row) => {
            serde_json::from_str(&row.resposta).map(Beginning::Known).map_err(|error| DbErr::Json(error.to_string()))
        }
    }
}

/// Ends what [`begin`] began at `now`, and keeps the answer.
pub(crate) async fn end(
    transaction: DatabaseTransaction,
    once: Option<&Idempotency>,
    now: OffsetDateTime,
    answer: &impl Serialize,
) -> Result<(), DbErr> {
    if let Some(Idempotency { usuario, key, request }) = once {
        let (key, pedido, now) = (key.as_str(), request.to_vec(), microseconds(now));
        let resposta = serde_json::to_string(answer).map_err(|error| DbErr::Json(error.to_string()))?;
        let keep = raw_sql!(
            Sqlite,
            "INSERT INTO idempotencia (usuario, chave, pedido, resposta, criado_em)
             VALUES ({usuario}, {key}, {pedido}, {resposta}, {now})"
        );
        transaction.execute_raw(keep).await?;
    }
    transaction.commit().await
}
