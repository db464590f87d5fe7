//! The `Idempotency-Key` header: a client can retry a POST that got no response without creating a second resource.

use actix_web::HttpRequest;
use apistos::paths::Parameter;
use domain::{Caller, Idempotency, IdempotencyKey};
use sha2::{Digest, Sha256};

use crate::error::messages_pt;
use crate::error::{ApiError, RequestRejection};
use crate::openapi::component::header_parameter;
use crate::openapi::schema;

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// The key of a request and a hash of its content.
pub struct IdempotentRequest {
    key: IdempotencyKey,
    hash: [u8; 32],
}

impl IdempotentRequest {
    /// Parses the header of `request`, if present.
    ///
    /// # Errors
    /// `Unreadable` if the key is invalid.
    pub fn parse(request: &HttpRequest, body: &[u8]) -> Result<Option<Self>, ApiError> {
        let Some(key) = request.headers().get(IDEMPOTENCY_KEY) else { return Ok(None) };
        let key = key.to_str().ok().and_then(IdempotencyKey::parse);
        let key = key.ok_or(RequestRejection::Unreadable(messages_pt::IDEMPOTENCY_KEY))?;
        // The separator keeps a path and a body from being mistaken for another pair.
        let hash = Sha256::new().chain_update(request.path()).chain_update([0]).chain_update(body).finalize();
        Ok(Some(Self { key, hash: hash.into() }))
    }

    /// Returns the key scoped to `caller`.
    pub fn scoped_to(self, caller: &Caller) -> Idempotency {
        Idempotency { usuario: caller.usuario.id.clone(), key: self.key, request: self.hash }
    }
}

/// Returns the OpenAPI description of the header.
pub fn parameter() -> Parameter {
    header_parameter(
        IDEMPOTENCY_KEY,
        "Chave que o cliente inventa para esta requisição (até 255 caracteres ASCII visíveis): repetida em até 24 horas \
         com o mesmo corpo, dá a primeira resposta outra vez; com outro corpo, 422.",
        schema::text(IdempotencyKey::MAX, "^[!-~]+$"),
    )
}
