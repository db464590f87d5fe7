//! Requests that count once: a key and what was answered to it are kept by the transaction that did what was asked for,
//! so there is never one without the other.

use domain::Idempotency;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, FromQueryResult, TransactionTrait, raw_sql};
use serde::Serialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

use crate::PostgresDatabase;

/// How many keys that nobody remembers any more a request takes away.
const SWEEP: i64 = 1000;

/// How a request begins.
pub(crate) enum Beginning<T> {
    /// It is new: what it does belongs into this transaction.
    New(DatabaseTransaction),
    /// It was there before, and this was the answer.
    Known(T),
    /// Its key stands for another request.
    Reused,
}

#[derive(FromQueryResult)]
struct KeyRow {}

#[derive(FromQueryResult)]
struct AnswerRow {
    is_same: bool,
    resposta: serde_json::Value,
}

/// Begins a request. One with the same key that is running is waited for.
pub(crate) async fn begin<T: DeserializeOwned>(
    database: &PostgresDatabase,
    once: Option<&Idempotency>,
    now: OffsetDateTime,
) -> Result<Beginning<T>, DbErr> {
    let transaction = database.connection().begin().await?;
    let Some(Idempotency { usuario, key, request }) = once else { return Ok(Beginning::New(transaction)) };
    let (key, pedido, horizon) = (key.as_str(), request.to_vec(), Idempotency::horizon(now));
    transaction
        .execute_raw(raw_sql!(
            Postgres,
            r#"
            DELETE FROM idempotencia WHERE (usuario, chave) IN (
                SELECT usuario, chave FROM idempotencia WHERE criado_em <= {horizon}
                LIMIT {SWEEP} FOR UPDATE SKIP LOCKED
            )
            "#
        ))
        .await?;
    let reserved = KeyRow::find_by_statement(raw_sql!(
        Postgres,
        r#"
        INSERT INTO idempotencia (usuario, chave, pedido, criado_em) VALUES ({usuario}, {key}, {pedido}, {now})
        ON CONFLICT (usuario, chave) DO UPDATE
        SET pedido = EXCLUDED.pedido, resposta = NULL, criado_em = EXCLUDED.criado_em
        WHERE idempotencia.criado_em <= {horizon}
        RETURNING chave
        "#
    ));
    if reserved.one(&transaction).await?.is_some() {
        return Ok(Beginning::New(transaction));
    }
    let known = AnswerRow::find_by_statement(raw_sql!(
        Postgres,
        "SELECT pedido = {pedido} AS is_same, resposta FROM idempotencia WHERE usuario = {usuario} AND chave = {key}"
    ));
    match known.one(&transaction).await? {
        Some(AnswerRow { is_same: true, resposta }) => {
            serde_json::from_value(resposta).map(Beginning::Known).map_err(|error| DbErr::Json(error.to_string()))
        }
        _ => Ok(Beginning::Reused),
    }
}

/// Ends what [`begin`] began, and keeps the answer.
pub(crate) async fn end(
    transaction: DatabaseTransaction,
    once: Option<&Idempotency>,
    answer: &impl Serialize,
) -> Result<(), DbErr> {
    if let Some(Idempotency { usuario, key, .. }) = once {
        let key = key.as_str();
        let resposta = serde_json::to_value(answer).map_err(|error| DbErr::Json(error.to_string()))?;
        let keep = raw_sql!(
            Postgres,
            "UPDATE idempotencia SET resposta = {resposta} WHERE usuario = {usuario} AND chave = {key}"
        );
        transaction.execute_raw(keep).await?;
    }
    transaction.commit().await
}
