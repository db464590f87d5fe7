//! Conditional requests (RFC 9110 §13): `If-None-Match` saves transfers, `If-Match` prevents lost updates.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{self, EntityTag, Header, IfNoneMatch};
use actix_web::{FromRequest, HttpRequest};
use apistos::paths::Parameter;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::error::ApiError;
use crate::openapi::component::{api_component, header_parameter};
use crate::openapi::schema;

/// The maximum length of an `If-Match` header in the OpenAPI description.
const MAX_IF_MATCH_LENGTH: usize = 1024;
/// The length of the hash in an `ETag`: 128 bits.
const ETAG_BYTES: usize = 16;

/// Returns the `ETag` of a representation: a hash of its bytes, so that all replicas return the same one.
pub fn etag_of(body: &[u8]) -> EntityTag {
    let hash = Sha256::digest(body);
    EntityTag::new_strong(BASE64_URL_SAFE_NO_PAD.encode(hash.get(..ETAG_BYTES).unwrap_or(&hash)))
}

/// Returns whether `If-None-Match` lists the `ETag`.
pub fn if_none_match(request: &HttpRequest, etag: &EntityTag) -> bool {
    request.headers().contains_key(header::IF_NONE_MATCH)
        && match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => true,
            Ok(IfNoneMatch::Items(listed)) => listed.iter().any(|listed| listed.weak_eq(etag)),
            Err(_) => false,
        }
}

/// The `If-Match` header: the representations that a change may replace.
pub struct IfMatch(Option<header::IfMatch>);

impl IfMatch {
    /// Returns the version that the change must find, or `None` if the client names none. `current` loads the resource and
    /// is awaited only if needed.
    ///
    /// # Errors
    /// `VersionMismatch` if the `ETag` of the current representation is not listed; those of `current`.
    pub async fn version<T, R>(
        self,
        current: impl Future<Output = Result<T, domain::Error>>,
        version: impl FnOnce(&T) -> OffsetDateTime,
    ) -> Result<Option<OffsetDateTime>, ApiError>
    where
        R: From<T> + Serialize,
    {
        let Some(header::IfMatch::Items(expected)) = self.0 else { return Ok(None) };
        let current = current.await?;
        let version = version(&current);
        let body = serde_json::to_vec(&R::from(current)).map_err(domain::Error::internal)?;
        let etag = etag_of(&body);
        // Weak comparison: a proxy that compresses a response weakens its ETag, as nginx does, and the hash still
        // identifies the representation.
        let is_expected = expected.iter().any(|expected| expected.weak_eq(&etag));
        if is_expected { Ok(Some(version)) } else { Err(domain::Error::VersionMismatch.into()) }
    }
}

impl FromRequest for IfMatch {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let if_match = request.headers().contains_key(header::IF_MATCH).then(|| {
            // A malformed header matches nothing.
            header::IfMatch::parse(request).unwrap_or(header::IfMatch::Items(Vec::new()))
        });
        ready(Ok(Self(if_match)))
    }
}

api_component!([] IfMatch => (), {
    fn parameters() -> Vec<Parameter> {
        let description = "Só se a representação ainda for uma destas (ETag), ou `*`; senão, 412.";
        let pattern = r#"^(\*|(W/)?"[!#-~]*"(, (W/)?"[!#-~]*")*)$"#;
        vec![header_parameter("If-Match", description, schema::text(MAX_IF_MATCH_LENGTH, pattern))]
    }
});
