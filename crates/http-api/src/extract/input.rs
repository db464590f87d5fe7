//! The extractor of path, query and body: all their validation errors come in one response.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use apistos::ApiComponent;
use apistos::paths::{Parameter, RequestBody};
use futures_util::StreamExt;
use serde_json::Value as Json;

use super::idempotency::{self, IdempotentRequest};
use super::part::{NoPart, RequestPart, fields};
use super::{json_body, query};
use crate::error::messages_pt;
use crate::error::validation::ValidationErrors;
use crate::error::{ApiError, RequestRejection};
use crate::openapi::component::api_component;

/// The maximum size of a body, in bytes.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The maximum time until a body has arrived.
const BODY_READ_TIMEOUT: Duration = Duration::from_secs(20);

/// The path, the query and the JSON body of a request, with its `Idempotency-Key`.
pub struct Input<P: RequestPart = NoPart, Q: RequestPart = NoPart, B: RequestPart = NoPart> {
    /// The parameters of the path.
    pub path: P,
    /// The parameters of the query. Unknown ones are ignored; the last value of a repeated one counts.
    pub query: Q,
    /// The body.
    pub body: B,
    /// The `Idempotency-Key` of the request and a hash of its content.
    pub idempotency: Option<IdempotentRequest>,
}

impl<P: RequestPart, Q: RequestPart, B: RequestPart> Input<P, Q, B> {
    /// Converts an error of the domain about this request. Every handler whose path or query has values that the domain can
    /// refuse uses it.
    pub fn error(error: domain::Error) -> ApiError {
        ApiError::Domain { error, part_of: Self::part_of }
    }

    fn part_of(field: &str) -> Option<&'static str> {
        let parts = [("path", fields::<P>()), ("query", fields::<Q>()), ("body", fields::<B>())];
        parts.into_iter().find(|(_, fields)| fields.iter().any(|known| known == field)).map(|(part, _)| part)
    }
}

impl<P: RequestPart, Q: RequestPart, B: RequestPart> FromRequest for Input<P, Q, B> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let mut errors = ValidationErrors::default();
            let path = parse::<P>("path", Ok(path_of(&request)), &mut errors);
            let query = query::parse::<Q>(request.query_string(), &mut errors);
            let (body, idempotency) = if B::IS_PRESENT {
                let bytes = read_body(&request, payload).await?;
                let idempotency = if B::IDEMPOTENT { IdempotentRequest::parse(&request, &bytes)? } else { None };
                (json_body::parse(&bytes), idempotency)
            } else {
                (Ok(Json::Null), None)
            };
            let body = parse::<B>("body", body, &mut errors);
            match (path, query, body) {
                (Some(path), Some(query), Some(body)) => Ok(Self { path, query, body, idempotency }),
                _ => Err(ApiError::Validation(errors)),
            }
        })
    }
}

/// Parses one part, or appends its errors.
fn parse<T: RequestPart>(
    name: &str,
    value: Result<Json, ValidationErrors>,
    errors: &mut ValidationErrors,
) -> Option<T> {
    match value.and_then(deserr::deserialize::<T, _, _>) {
        Ok(part) => Some(part),
        Err(found) => {
            errors.extend_prefixed(name, found, &fields::<T>());
            None
        }
    }
}

fn path_of(request: &HttpRequest) -> Json {
    let parameters = request.match_info().iter().map(|(name, value)| (name.to_owned(), Json::from(value)));
    Json::Object(parameters.collect())
}

/// Reads a body of at most [`MAX_BODY_BYTES`] whose media type is JSON or missing.
async fn read_body(request: &HttpRequest, mut payload: Payload) -> Result<Bytes, ApiError> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if header(CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok()).is_some_and(|n| MAX_BODY_BYTES < n) {
        return Err(RequestRejection::TooLarge.into());
    }
    if header(CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(RequestRejection::UnsupportedMediaType(messages_pt::ENCODED_BODY).into());
    }
    if request.headers().contains_key(CONTENT_TYPE) && !is_json(request) {
        return Err(RequestRejection::UnsupportedMediaType(messages_pt::NOT_JSON).into());
    }
    tokio::time::timeout(BODY_READ_TIMEOUT, collect(&mut payload)).await.map_err(|_| RequestRejection::TooSlow)?
}

async fn collect(payload: &mut Payload) -> Result<Bytes, ApiError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| RequestRejection::Unreadable(messages_pt::UNREADABLE_BODY))?;
        if MAX_BODY_BYTES < body.len() + chunk.len() {
            return Err(RequestRejection::TooLarge.into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Returns whether the media type is `application/json` or has the suffix `+json` (RFC 6839).
fn is_json(request: &HttpRequest) -> bool {
    let content_type = request.content_type();
    content_type.eq_ignore_ascii_case("application/json")
        || content_type.rsplit_once('+').is_some_and(|(_, suffix)| suffix.eq_ignore_ascii_case("json"))
}

api_component!([P: RequestPart, Q: RequestPart, B: RequestPart] Input<P, Q, B> => B, {
    fn request_body() -> Option<RequestBody> {
        B::request_body()
    }

    fn parameters() -> Vec<Parameter> {
        let mut parameters = <actix_web::web::Path<P> as ApiComponent>::parameters();
        parameters.extend(<actix_web::web::Query<Q> as ApiComponent>::parameters());
        parameters.extend(B::IDEMPOTENT.then(idempotency::parameter));
        parameters
    }
});
