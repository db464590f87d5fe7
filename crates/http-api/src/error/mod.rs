//! The one place where a failure becomes an answer.

pub mod messages_pt;
pub mod openapi;
pub mod validation;

use std::error::Error as _;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use domain::InvalidField;
use serde::Serialize;
use serde_json::Value;

use crate::error::validation::{Fault, Faults};
use crate::respond::{JSON, RETRY_SOON};

/// Whatever keeps a request from its answer.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// What the domain or an adapter could not do.
    #[error(transparent)]
    Domain(#[from] domain::Error),
    /// What is wrong with the request's values.
    #[error("invalid request: {}", .0.in_words())]
    Validation(Faults),
    /// A request that is not read at all.
    #[error("refused: {0:?}")]
    Refused(#[from] Refusal),
}

/// Why a request is not read at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is broken below the level of values.
    #[error("unreadable")]
    Unreadable(&'static str),
    /// It takes none of the representations that there are.
    #[error("not acceptable")]
    NotAcceptable,
    /// Its body is larger than [`crate::extract::MAX_BODY`].
    #[error("too large")]
    TooLarge,
    /// Its body does not arrive.
    #[error("too slow")]
    TooSlow,
    /// Its body is no JSON.
    #[error("unsupported media type")]
    UnsupportedMediaType(&'static str),
    /// Authentication is off, and the request is for another host than loopback.
    #[error("foreign host")]
    ForeignHost,
    /// Authentication is off, and a page from elsewhere wants to change something.
    #[error("foreign origin")]
    ForeignOrigin,
    /// Too many sign-ins of its client's address have failed.
    #[error("too many failed sign-ins")]
    TooManyFailures {
        /// When the next one is let through.
        retry_after: Duration,
    },
    /// This process, or the user, holds as much memory as it may.
    #[error("overloaded")]
    Overloaded,
    /// Something broke that nobody thought of.
    #[error("internal")]
    Internal,
}

/// Keys are forgotten one by one over a day.
const RETRY_WITH_KEY: Duration = Duration::from_hours(1);

/// The body of every error.
#[derive(Serialize)]
struct ErrorBody<'a> {
    detail: Detail<'a>,
    message: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Detail<'a> {
    Text(&'a str),
    Faults(&'a Faults),
}

/// The JSON of an error that is told by `text` alone.
pub fn body(text: &str) -> String {
    to_json(&ErrorBody { detail: Detail::Text(text), message: text })
}

fn to_json(body: &ErrorBody<'_>) -> String {
    // Texts and plain maps always serialise.
    serde_json::to_string(body).unwrap_or_default()
}

impl ApiError {
    /// What a person is told.
    fn detail(&self) -> String {
        use domain::Error as E;
        match self {
            Self::Domain(error) => match error {
                E::NotFound { resource, id } => messages_pt::not_found(*resource, *id),
                E::Invalid(_) => self.faults().in_words(),
                E::Conflict(conflict) => messages_pt::conflict(*conflict).to_owned(),
                E::VersionMismatch => messages_pt::CHANGED.to_owned(),
                E::IdempotencyKeyReused => messages_pt::KEY_REUSED.to_owned(),
                E::TooManyIdempotencyKeys => messages_pt::TOO_MANY_KEYS.to_owned(),
                E::CredentialMissing => messages_pt::CREDENTIAL_MISSING.to_owned(),
                E::CredentialRejected => messages_pt::CREDENTIAL_REJECTED.to_owned(),
                E::Forbidden => messages_pt::FORBIDDEN.to_owned(),
                E::Unavailable { service, .. } => messages_pt::unavailable(*service).to_owned(),
                E::TimedOut { service, .. } => messages_pt::timed_out(*service).to_owned(),
                E::BadUpstream { service, .. } => messages_pt::bad_upstream(*service).to_owned(),
                E::Internal(_) => messages_pt::INTERNAL.to_owned(),
            },
            Self::Validation(faults) => faults.in_words(),
            Self::Refused(Refusal::Unreadable(text) | Refusal::UnsupportedMediaType(text)) => (*text).to_owned(),
            Self::Refused(Refusal::NotAcceptable) => messages_pt::NOT_ACCEPTABLE.to_owned(),
            Self::Refused(Refusal::TooLarge) => messages_pt::BODY_TOO_LARGE.to_owned(),
            Self::Refused(Refusal::TooSlow) => messages_pt::BODY_TOO_SLOW.to_owned(),
            Self::Refused(Refusal::ForeignHost) => messages_pt::FOREIGN_HOST.to_owned(),
            Self::Refused(Refusal::ForeignOrigin) => messages_pt::FOREIGN_ORIGIN.to_owned(),
            Self::Refused(Refusal::TooManyFailures { .. }) => messages_pt::TOO_MANY_FAILURES.to_owned(),
            Self::Refused(Refusal::Overloaded) => messages_pt::OVERLOADED.to_owned(),
            Self::Refused(Refusal::Internal) => messages_pt::INTERNAL.to_owned(),
        }
    }

    /// The entries of a 422.
    fn faults(&self) -> Faults {
        match self {
            Self::Validation(faults) => faults.clone(),
            Self::Domain(domain::Error::Invalid(fields)) => {
                fields.iter().map(|field| Fault::of(field.violation, place(field))).collect()
            }
            Self::Domain(domain::Error::IdempotencyKeyReused) => {
                Faults::one(Fault::new("value_error", vec!["body".into()], messages_pt::KEY_REUSED))
            }
            Self::Domain(_) | Self::Refused(_) => Faults::default(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Domain(domain::Error::Unavailable { retry_after, .. }) => Some(retry_after.unwrap_or(RETRY_SOON)),
            Self::Refused(Refusal::TooManyFailures { retry_after }) => Some(*retry_after),
            Self::Domain(domain::Error::TooManyIdempotencyKeys) => Some(RETRY_WITH_KEY),
            Self::Refused(Refusal::Overloaded) => Some(RETRY_SOON),
            _ => None,
        }
    }

    /// Once, inside the request's span, what failed and why: here, or where the answer has begun already.
    pub fn log(&self) {
        let status = self.status_code();
        let mut causes = String::new();
        let mut source = self.source();
        while let Some(cause) = source {
            causes.push_str(": ");
            causes.push_str(&cause.to_string());
            source = cause.source();
        }
        match status {
            StatusCode::INTERNAL_SERVER_ERROR => tracing::error!("{self}{causes}"),
            status if status.is_server_error() => tracing::warn!("{self}{causes}"),
            _ => tracing::debug!("{self}{causes}"),
        }
    }
}

/// Where a field stands in the body: the items of a request that has many are its `items`.
fn place(field: &InvalidField) -> Vec<Value> {
    match field.item {
        Some(item) => vec!["body".into(), "items".into(), item.into(), field.field.into()],
        None => vec!["body".into(), field.field.into()],
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        use domain::Error as E;
        match self {
            Self::Domain(error) => match error {
                E::NotFound { .. } => StatusCode::NOT_FOUND,
                E::Invalid(_) | E::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
                E::Conflict(_) => StatusCode::CONFLICT,
                E::VersionMismatch => StatusCode::PRECONDITION_FAILED,
                E::TooManyIdempotencyKeys => StatusCode::TOO_MANY_REQUESTS,
                E::CredentialMissing | E::CredentialRejected => StatusCode::UNAUTHORIZED,
                E::Forbidden => StatusCode::FORBIDDEN,
                E::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
                E::TimedOut { .. } => StatusCode::GATEWAY_TIMEOUT,
                E::BadUpstream { .. } => StatusCode::BAD_GATEWAY,
                E::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::Validation(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Refused(refusal) => match refusal {
                Refusal::Unreadable(_) => StatusCode::BAD_REQUEST,
                Refusal::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
                Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                Refusal::TooSlow => StatusCode::REQUEST_TIMEOUT,
                Refusal::TooManyFailures { .. } => StatusCode::TOO_MANY_REQUESTS,
                Refusal::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                Refusal::ForeignHost => StatusCode::MISDIRECTED_REQUEST,
                Refusal::ForeignOrigin => StatusCode::FORBIDDEN,
                Refusal::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
                Refusal::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            },
        }
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        self.log();
        let text = self.detail();
        let faults = self.faults();
        let detail = if faults.is_empty() { Detail::Text(&text) } else { Detail::Faults(&faults) };
        let mut answer = HttpResponse::build(status);
        answer.content_type(JSON);
        if status == StatusCode::UNAUTHORIZED {
            answer.insert_header((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
        if let Some(wait) = self.retry_after() {
            // Up, and at least a second: who comes too early is refused again, and clients read 0 as «at once».
            let seconds = wait.as_secs() + u64::from(0 < wait.subsec_nanos());
            answer.insert_header((RETRY_AFTER, seconds.max(1)));
        }
        answer.body(to_json(&ErrorBody { detail, message: &text }))
    }
}
