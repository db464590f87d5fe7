//! `Idempotency-Key`: a client that got no answer sends its request again, and nothing happens twice.

use actix_web::HttpRequest;
use apistos::paths::Parameter;
use domain::{Caller, Idempotency, IdempotencyKey};
use sha2::{Digest, Sha256};

use crate::error::{ApiError, Refusal};
use crate::respond::conditional::header_parameter;
use crate::{error::messages_pt, openapi::schema};

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// A request that its client gave a key.
pub struct KeyedRequest {
    key: IdempotencyKey,
    hash: [u8; 32],
}

impl KeyedRequest {
    /// The key of a request with that body, if it has one.
    ///
    /// # Errors
    /// A refusal when the key is none.
    pub fn read(request: &HttpRequest, body: &[u8]) -> Result<Option<Self>, ApiError> {
        let Some(key) = request.headers().get(IDEMPOTENCY_KEY) else { return Ok(None) };
        let key = key.to_str().ok().and_then(IdempotencyKey::parse);
        let key = key.ok_or(Refusal::Unreadable(messages_pt::IDEMPOTENCY_KEY))?;
        // The path is part of what is asked for; it has no body in front that could be mistaken for it.
        let hash = Sha256::new().chain_update(request.path()).chain_update([0]).chain_update(body).finalize();
        Ok(Some(Self { key, hash: hash.into() }))
    }

    /// The same, as `caller` sent it.
    pub fn of(self, caller: &Caller) -> Idempotency {
        Idempotency { usuario: caller.usuario.id.clone(), key: self.key, request: self.hash }
    }
}

/// How OpenAPI is told of the header.
pub fn parameter() -> Parameter {
    header_parameter(
        IDEMPOTENCY_KEY,
        "Chave que o cliente inventa para esta requisição (até 255 caracteres ASCII visíveis): repetida em até 24 horas \
         com o mesmo corpo, dá a primeira resposta outra vez; com outro corpo, 422.",
        schema::text(IdempotencyKey::MAX, "^[!-~]+$"),
    )
}
