//! What a request says, read in one go: path, query and body give all their faults in one answer.

pub mod accept;
pub mod idempotency;
mod json;
mod query;
pub mod scalars;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use apistos::ApiComponent;
use apistos::paths::{Parameter, RequestBody};
use apistos::reference_or::ReferenceOr;
use deserr::{Deserr, Value, ValuePointerRef};
use futures_util::StreamExt;
use schemars::schema::Schema;
use serde_json::Value as Json;

use crate::error::messages_pt;
use crate::error::validation::Faults;
use crate::error::{ApiError, Refusal};
use crate::extract::idempotency::KeyedRequest;

/// The largest body that is read, in bytes.
pub const MAX_BODY: usize = 1024 * 1024;

/// How long a body may take to arrive: whoever is slower holds a connection for nothing.
const PATIENCE: Duration = Duration::from_secs(20);

/// A part of a request that can be absent altogether.
pub trait Section: Deserr<Faults> + ApiComponent + 'static {
    /// Whether anything is read at all.
    const READ: bool = true;
    /// Whether it is the body of a request that counts once when it comes with a key.
    const KEYED: bool = false;
}

/// Nothing is asked for: whatever the request has there is ignored.
pub struct Nothing;

impl Section for Nothing {
    const READ: bool = false;
}

impl<E: deserr::DeserializeError> Deserr<E> for Nothing {
    fn deserialize_from_value<V: deserr::IntoValue>(_: Value<V>, _: ValuePointerRef<'_>) -> Result<Self, E> {
        Ok(Self)
    }
}

impl ApiComponent for Nothing {
    fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
        vec![]
    }

    fn schema() -> Option<(String, ReferenceOr<Schema>)> {
        None
    }
}

/// The path, the query and the JSON body of a request.
///
/// A body may come with an `Idempotency-Key`.
pub struct Input<P: Section = Nothing, Q: Section = Nothing, B: Section = Nothing> {
    /// The parameters of the path.
    pub path: P,
    /// The parameters of the query; unknown ones are ignored, of a repeated one the last counts.
    pub query: Q,
    /// The body.
    pub body: B,
    /// What the client calls this request, in case that it has to send it again.
    pub keyed: Option<KeyedRequest>,
}

impl<P: Section, Q: Section, B: Section> FromRequest for Input<P, Q, B> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let mut faults = Faults::default();
            let path = read::<P>("path", Ok(path_of(&request)), &mut faults);
            let query = query::read::<Q>(request.query_string(), &mut faults);
            let (body, keyed) = if B::READ {
                let bytes = bytes_of(&request, payload).await?;
                let keyed = if B::KEYED { KeyedRequest::read(&request, &bytes)? } else { None };
                (json::parse(&bytes), keyed)
            } else {
                (Ok(Json::Null), None)
            };
            let body = read::<B>("body", body, &mut faults);
            match (path, query, body) {
                (Some(path), Some(query), Some(body)) => Ok(Self { path, query, body, keyed }),
                _ => Err(ApiError::Validation(faults)),
            }
        })
    }
}

/// Reads one section, or adds its faults.
fn read<T: Section>(section: &str, value: Result<Json, Faults>, faults: &mut Faults) -> Option<T> {
    match value.and_then(deserr::deserialize::<T, _, _>) {
        Ok(read) => Some(read),
        Err(found) => {
            faults.absorb(section, found, &fields::<T>());
            None
        }
    }
}

/// The names of a section's fields, in the order in which they are declared.
pub fn fields<T: ApiComponent>() -> Vec<String> {
    match T::schema() {
        Some((_, ReferenceOr::Object(schema))) => {
            schema.into_object().object.map(|object| object.properties.into_keys().collect()).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

fn path_of(request: &HttpRequest) -> Json {
    let parameters = request.match_info().iter().map(|(name, value)| (name.to_owned(), Json::from(value)));
    Json::Object(parameters.collect())
}

/// The whole body, at most [`MAX_BODY`], when it says that it is JSON or says nothing.
async fn bytes_of(request: &HttpRequest, mut payload: Payload) -> Result<Bytes, ApiError> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if header(CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok()).is_some_and(|n| MAX_BODY < n) {
        return Err(Refusal::TooLarge.into());
    }
    if header(CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(Refusal::UnsupportedMediaType(messages_pt::ENCODED_BODY).into());
    }
    if request.headers().contains_key(CONTENT_TYPE) && !is_json(request) {
        return Err(Refusal::UnsupportedMediaType(messages_pt::NOT_JSON).into());
    }
    tokio::time::timeout(PATIENCE, collect(&mut payload)).await.map_err(|_| Refusal::TooSlow)?
}

async fn collect(payload: &mut Payload) -> Result<Bytes, ApiError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Refusal::Unreadable(messages_pt::UNREADABLE_BODY))?;
        if MAX_BODY < body.len() + chunk.len() {
            return Err(Refusal::TooLarge.into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// `application/json`, or any type with the suffix `+json` (RFC 6839).
fn is_json(request: &HttpRequest) -> bool {
    let content_type = request.content_type();
    content_type.eq_ignore_ascii_case("application/json")
        || content_type.rsplit_once('+').is_some_and(|(_, suffix)| suffix.eq_ignore_ascii_case("json"))
}

impl<P: Section, Q: Section, B: Section> ApiComponent for Input<P, Q, B> {
    fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
        B::child_schemas()
    }

    fn schema() -> Option<(String, ReferenceOr<Schema>)> {
        B::schema()
    }

    fn request_body() -> Option<RequestBody> {
        B::request_body()
    }

    fn parameters() -> Vec<Parameter> {
        let mut parameters = <actix_web::web::Path<P> as ApiComponent>::parameters();
        parameters.extend(<actix_web::web::Query<Q> as ApiComponent>::parameters());
        parameters.extend(B::KEYED.then(idempotency::parameter));
        parameters
    }
}
