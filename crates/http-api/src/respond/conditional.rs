//! Conditional requests (RFC 9110 §13): whoever has the newest representation is not sent it again, and nobody overwrites
//! what they have not seen.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{self, EntityTag, Header, IfNoneMatch};
use actix_web::{FromRequest, HttpRequest};
use apistos::ApiComponent;
use apistos::paths::{Parameter, ParameterDefinition, ParameterIn};
use apistos::reference_or::ReferenceOr;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use schemars::schema::Schema;
use serde::Serialize;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::error::ApiError;
use crate::openapi::schema;

/// What clients are told that a list of tags has at most, in characters.
const MAX_TAGS: usize = 1024;
/// How much of the hash makes the tag: 128 bits.
const TAG_BYTES: usize = 16;

/// The tag of a representation, which is a hash of it: what looks the same is the same, also on another replica.
pub fn tag(body: &[u8]) -> EntityTag {
    let hash = Sha256::digest(body);
    EntityTag::new_strong(BASE64_URL_SAFE_NO_PAD.encode(hash.get(..TAG_BYTES).unwrap_or(&hash)))
}

/// Whether the client already has the representation with that tag.
pub fn is_known(request: &HttpRequest, tag: &EntityTag) -> bool {
    request.headers().contains_key(header::IF_NONE_MATCH)
        && match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => true,
            Ok(IfNoneMatch::Items(known)) => known.iter().any(|known| known.weak_eq(tag)),
            Err(_) => false,
        }
}

/// The representations that a change may replace: `If-Match`, if there is one.
pub struct IfMatch(Option<header::IfMatch>);

impl IfMatch {
    /// The version that a change has to find, if the client names one: that of `current`, the thing as it is, when it
    /// looks as the client expects.
    ///
    /// # Errors
    /// `VersionMismatch` when it does not; those of `current`, which is not asked without need.
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
        let tag = tag(&body);
        // Weak tags count as well: a proxy that compresses an answer weakens its tag, as nginx does, and the hash in it
        // is of the whole representation.
        let is_expected = expected.iter().any(|expected| expected.weak_eq(&tag));
        if is_expected { Ok(Some(version)) } else { Err(domain::Error::VersionMismatch.into()) }
    }
}

impl FromRequest for IfMatch {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let if_match = request.headers().contains_key(header::IF_MATCH).then(|| {
            // What cannot be read matches nothing.
            header::IfMatch::parse(request).unwrap_or(header::IfMatch::Items(Vec::new()))
        });
        ready(Ok(Self(if_match)))
    }
}

impl ApiComponent for IfMatch {
    fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
        vec![]
    }

    fn schema() -> Option<(String, ReferenceOr<Schema>)> {
        None
    }

    fn parameters() -> Vec<Parameter> {
        let description = "Só se a representação ainda for uma destas (ETag), ou `*`; senão, 412.";
        vec![header_parameter(
            "If-Match",
            description,
            schema::text(MAX_TAGS, r#"^(\*|(W/)?"[!#-~]*"(, (W/)?"[!#-~]*")*)$"#),
        )]
    }
}

/// How OpenAPI is told of a header that may be sent.
pub fn header_parameter(name: &str, description: &str, schema: Schema) -> Parameter {
    Parameter {
        name: name.to_owned(),
        _in: ParameterIn::Header,
        description: Some(description.to_owned()),
        required: Some(false),
        definition: Some(ParameterDefinition::Schema(Box::new(ReferenceOr::Object(schema)))),
        ..Parameter::default()
    }
}
