//! Requests that count once: a key and what was answered to it are kept by the transaction that did what was asked for,
//! so there is never one without the other.

use domain::Idempotency;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use time::OffsetDateTime;

use crate::db_error::DbError;
use crate::pool::Lease;

/// How many keys that nobody remembers any more a request takes away.
const SWEEP: i64 = 1000;

/// How a request begins.
pub(crate) enum Beginning<T> {
    /// It is new: what it does belongs into this transaction.
    New(Lease),
    /// It was there before, and this was the answer.
    Known(T),
    /// Its key stands for another request.
    Reused,
}

/// Begins a request. One with the same key that is running is waited for.
pub(crate) async fn begin<T: DeserializeOwned>(
    mut lease: Lease,
    once: Option<&Idempotency>,
    now: OffsetDateTime,
) -> Result<Beginning<T>, DbError> {
    lease.begin().await?;
    let Some(Idempotency { usuario, key, request }) = once else { return Ok(Beginning::New(lease)) };
    let (key, pedido, horizon) = (key.as_str(), &request[..], Idempotency::horizon(now));
    lease
        .query(
            "DELETE FROM idempotencia WHERE (usuario, chave) IN (
                 SELECT usuario, chave FROM idempotencia WHERE criado_em <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED
             )",
            &[&horizon, &SWEEP],
        )
        .await?;
    let reserved = lease
        .query(
            "INSERT INTO idempotencia (usuario, chave, pedido, criado_em) VALUES ($1, $2, $3, $4)
             ON CONFLICT (usuario, chave) DO UPDATE
             SET pedido = EXCLUDED.pedido, resposta = NULL, criado_em = EXCLUDED.criado_em
             WHERE idempotencia.criado_em <= $5
             RETURNING chave",
            &[usuario, &key, &pedido, &now, &horizon],
        )
        .await?;
    if !reserved.is_empty() {
        return Ok(Beginning::New(lease));
    }
    let known = lease
        .query(
            "SELECT resposta FROM idempotencia WHERE usuario = $1 AND chave = $2 AND pedido = $3",
            &[usuario, &key, &pedido],
        )
        .await?;
    let answer = known.first().map(|row| row.try_get::<_, Value>(0)).transpose()?;
    Ok(answer.map(serde_json::from_value).transpose()?.map_or(Beginning::Reused, Beginning::Known))
}

/// Ends what [`begin`] began, and keeps the answer.
pub(crate) async fn end(mut lease: Lease, once: Option<&Idempotency>, answer: &impl Serialize) -> Result<(), DbError> {
    if let Some(Idempotency { usuario, key, .. }) = once {
        let (key, resposta) = (key.as_str(), serde_json::to_value(answer)?);
        let keep = "UPDATE idempotencia SET resposta = $1 WHERE usuario = $2 AND chave = $3";
        lease.query(keep, &[&resposta, usuario, &key]).await?;
    }
    lease.commit().await
}
