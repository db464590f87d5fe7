//! Error responses: each failure maps to its status, headers and body here.

pub mod messages_pt;
pub mod validation;

use std::collections::HashSet;
use std::error::Error as _;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use domain::{Refusal, RefusalReason, UnknownReference};
use serde::Serialize;
use serde_json::Value;

use crate::error::validation::{ValidationError, ValidationErrors};
use crate::media_type::JSON_UTF8;

/// A failure of a request.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// An error of the domain or of an adapter.
    #[error("{error}")]
    Domain {
        /// The error.
        error: domain::Error,
        /// Where the request has the fields that the error is about.
        part_of: PartOf,
    },
    /// Invalid values.
    #[error("invalid request: {}", .0.to_message())]
    Validation(ValidationErrors),
    /// A request that is rejected before its values are validated.
    #[error("rejected: {0:?}")]
    Rejected(#[from] RequestRejection),
}

/// Returns the part of a request with a field: `body`, `query` or `path`. `None` if the request does not have the field.
pub type PartOf = fn(&str) -> Option<&'static str>;

impl From<domain::Error> for ApiError {
    /// Converts the error of a request whose fields are in its body. [`Input::error`](crate::extract::input::Input::error)
    /// is for those with parameters.
    fn from(error: domain::Error) -> Self {
        Self::Domain { error, part_of: |_| Some("body") }
    }
}

/// The reason to reject a request before its values are validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestRejection {
    /// The path, a header or the body is malformed.
    #[error("unreadable")]
    Unreadable(&'static str),
    /// `Accept` lists none of the available representations.
    #[error("not acceptable")]
    NotAcceptable,
    /// The body is larger than 1 MiB.
    #[error("too large")]
    TooLarge,
    /// The body did not arrive in time.
    #[error("too slow")]
    TooSlow,
    /// The body is not JSON, or it is compressed.
    #[error("unsupported media type")]
    UnsupportedMediaType(&'static str),
    /// Authentication is off and `Host` is not a loopback address.
    #[error("foreign host")]
    ForeignHost,
    /// Authentication is off and a page of another origin sends a write.
    #[error("foreign origin")]
    ForeignOrigin,
    /// `Authorization` cannot be decoded.
    #[error("unreadable credential")]
    UnreadableCredential,
    /// Too many sign-ins from the client's address have failed.
    #[error("too many failed sign-ins")]
    TooManyFailures {
        /// The time until the next sign-in is allowed.
        retry_after: Duration,
    },
    /// The person has sent too many requests.
    #[error("too many requests")]
    TooManyRequests {
        /// The time until the next request is allowed.
        retry_after: Duration,
    },
    /// The process or the user holds the maximum of memory or of searches.
    #[error("overloaded")]
    Overloaded,
    /// The response needs more memory than a user can have.
    #[error("response too large")]
    ResponseTooLarge,
    /// A handler panicked.
    #[error("internal")]
    Internal,
}

/// The default for `Retry-After`, if the failed service gives no time.
pub const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(5);
/// `Retry-After` of the limit of idempotency keys: they expire one by one over a day.
const RETRY_AFTER_KEY_LIMIT: Duration = Duration::from_hours(1);

/// The error behind a response 500 as the log contains it, in the extensions of the response.
pub struct InternalCause(pub String);

/// The body of every error.
#[derive(Serialize)]
struct ErrorBody<'a> {
    detail: Detail<'a>,
    message: &'a str,
    /// The fields that a text in `detail` is about.
    #[serde(skip_serializing_if = "ValidationErrors::is_empty")]
    errors: ValidationErrors,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Detail<'a> {
    Text(&'a str),
    ValidationErrors(ValidationErrors),
}

/// Returns the JSON body of an error without validation errors.
pub fn body(text: &str) -> String {
    to_json(&ErrorBody { detail: Detail::Text(text), message: text, errors: ValidationErrors::default() })
}

fn to_json(body: &ErrorBody<'_>) -> String {
    // Serialization of strings and JSON values cannot fail.
    serde_json::to_string(body).unwrap_or_default()
}

impl ApiError {
    /// Returns the message for the API user.
    fn detail(&self) -> String {
        use domain::Error as E;
        match self {
            Self::Domain { error, .. } => match error {
                E::NotFound { resource, id } => messages_pt::not_found(*resource, *id),
                E::Invalid(_) => self.validation_errors().to_message(),
                E::UnknownReferences(all) => messages_of(all),
                E::Conflict(conflict) => messages_pt::conflict(*conflict).to_owned(),
                E::Refused(refusals) => refusals.iter().map(messages_pt::refusal).collect::<Vec<_>>().join("; "),
                E::VersionMismatch => messages_pt::CHANGED.to_owned(),
                E::IdempotencyKeyReused => messages_pt::KEY_REUSED.to_owned(),
                E::TooManyIdempotencyKeys => messages_pt::TOO_MANY_KEYS.to_owned(),
                E::CredentialMissing => messages_pt::CREDENTIAL_MISSING.to_owned(),
                E::CredentialRejected => messages_pt::CREDENTIAL_REJECTED.to_owned(),
                E::Forbidden => messages_pt::FORBIDDEN.to_owned(),
                E::Unavailable { service, .. } => messages_pt::unavailable(*service).to_owned(),
                E::Overloaded { .. } => messages_pt::OVERLOADED.to_owned(),
                E::TimedOut { service, .. } => messages_pt::timed_out(*service).to_owned(),
                E::BadUpstream { service, .. } => messages_pt::bad_upstream(*service).to_owned(),
                E::Internal(_) => messages_pt::INTERNAL.to_owned(),
            },
            Self::Validation(errors) => errors.to_message(),
            Self::Rejected(RequestRejection::Unreadable(text) | RequestRejection::UnsupportedMediaType(text)) => {
                (*text).to_owned()
            }
            Self::Rejected(RequestRejection::NotAcceptable) => messages_pt::NOT_ACCEPTABLE.to_owned(),
            Self::Rejected(RequestRejection::UnreadableCredential) => messages_pt::UNREADABLE_CREDENTIAL.to_owned(),
            Self::Rejected(RequestRejection::TooLarge) => messages_pt::BODY_TOO_LARGE.to_owned(),
            Self::Rejected(RequestRejection::TooSlow) => messages_pt::BODY_TOO_SLOW.to_owned(),
            Self::Rejected(RequestRejection::ForeignHost) => messages_pt::FOREIGN_HOST.to_owned(),
            Self::Rejected(RequestRejection::ForeignOrigin) => messages_pt::FOREIGN_ORIGIN.to_owned(),
            Self::Rejected(RequestRejection::TooManyFailures { .. }) => messages_pt::TOO_MANY_FAILURES.to_owned(),
            Self::Rejected(RequestRejection::TooManyRequests { .. }) => messages_pt::TOO_MANY.to_owned(),
            Self::Rejected(RequestRejection::Overloaded) => messages_pt::OVERLOADED.to_owned(),
            Self::Rejected(RequestRejection::ResponseTooLarge) => messages_pt::RESPONSE_TOO_LARGE.to_owned(),
            Self::Rejected(RequestRejection::Internal) => messages_pt::INTERNAL.to_owned(),
        }
    }

    /// Returns the values whose form is invalid. They are the `detail` of the response.
    fn validation_errors(&self) -> ValidationErrors {
        match self {
            Self::Validation(errors) => errors.clone(),
            Self::Domain { error: domain::Error::Invalid(fields), part_of } => {
                let error = |field: &domain::InvalidField| {
                    let part = part_of(field.field).unwrap_or("body");
                    let location = location(part, field.item, field.field, field.index);
                    ValidationError::from_violation(field.violation, location)
                };
                fields.iter().map(error).collect()
            }
            Self::Domain { .. } | Self::Rejected(_) => ValidationErrors::default(),
        }
    }

    /// Returns the fields that a text in `detail` is about. Clients show `detail` to people, so only an invalid form is
    /// an array.
    fn fields(&self) -> ValidationErrors {
        let Self::Domain { error, part_of } = self else { return ValidationErrors::default() };
        let reference = |one: &UnknownReference| {
            let message = messages_pt::unknown_reference(one.resource, one.id);
            let location = location(part_of(one.field)?, one.item, one.field, one.index);
            Some(ValidationError::new("value_error", location, message))
        };
        let refusal = |Refusal { item, reason }: &Refusal| {
            let (message, field) = (messages_pt::refusal_reason(reason), reason.field()?);
            Some(ValidationError::new("value_error", location(part_of(field)?, *item, field, None), message))
        };
        match error {
            domain::Error::UnknownReferences(all) => all.iter().filter_map(reference).collect(),
            domain::Error::Refused(all) => all.iter().filter_map(refusal).collect(),
            _ => ValidationErrors::default(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Domain { error: domain::Error::Unavailable { retry_after, .. }, .. } => {
                Some(retry_after.unwrap_or(DEFAULT_RETRY_AFTER))
            }
            Self::Domain { error: domain::Error::Overloaded { retry_after, .. }, .. }
            | Self::Rejected(
                RequestRejection::TooManyFailures { retry_after } | RequestRejection::TooManyRequests { retry_after },
            ) => Some(*retry_after),
            Self::Domain { error: domain::Error::TooManyIdempotencyKeys, .. } => Some(RETRY_AFTER_KEY_LIMIT),
            Self::Rejected(RequestRejection::Overloaded) => Some(DEFAULT_RETRY_AFTER),
            _ => None,
        }
    }

    /// Returns the error with its sources, for the log.
    fn to_log_message(&self) -> String {
        let mut message = self.to_string();
        let mut source = if let Self::Domain { error, .. } = self { error.source() } else { None };
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        message
    }

    /// Logs the error and its sources, once per request: in [`Self::error_response`], or if a streamed body fails.
    pub fn log(&self) {
        match self.status_code() {
            StatusCode::INTERNAL_SERVER_ERROR => tracing::error!("{}", self.to_log_message()),
            status if status.is_server_error() => tracing::warn!("{}", self.to_log_message()),
            _ => tracing::debug!("{}", self.to_log_message()),
        }
    }
}

/// Returns the location of a field in a part of the request, or of the item at `index` of a list. The items of a bulk request
/// are in `items`.
fn location(part: &'static str, item: Option<usize>, field: &'static str, index: Option<usize>) -> Vec<Value> {
    let mut location = vec![part.into()];
    if let Some(item) = item {
        location.extend(["items".into(), item.into()]);
    }
    location.push(field.into());
    location.extend(index.map(Value::from));
    location
}

/// Returns the status of a refusal.
const fn refusal_status(reason: &RefusalReason) -> StatusCode {
    match reason {
        RefusalReason::NotOwner => StatusCode::FORBIDDEN,
        RefusalReason::DayFull { .. } | RefusalReason::InactiveAtividade => StatusCode::CONFLICT,
        RefusalReason::UnknownAtividade(_)
        | RefusalReason::UnknownProjeto(_)
        | RefusalReason::OtherOrganisation { .. }
        | RefusalReason::TooManyLines { .. }
        | RefusalReason::ReportTooLarge => StatusCode::BAD_REQUEST,
        RefusalReason::UnknownWorkItem(_) | RefusalReason::UnknownTeam(_) | RefusalReason::UnknownIteration(_) => {
            StatusCode::NOT_FOUND
        }
        RefusalReason::ClosedWorkItem { .. } => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// Returns the messages of unknown references, each id once.
fn messages_of(all: &[UnknownReference]) -> String {
    let mut ids = HashSet::new();
    let all = all.iter().filter(|one| ids.insert(one.id));
    let messages: Vec<_> = all.map(|one| messages_pt::unknown_reference(one.resource, one.id)).collect();
    messages.join("; ")
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        use domain::Error as E;
        match self {
            Self::Domain { error, .. } => match error {
                E::NotFound { .. } => StatusCode::NOT_FOUND,
                E::UnknownReferences(_) => StatusCode::BAD_REQUEST,
                E::Invalid(_) | E::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
                E::Conflict(_) => StatusCode::CONFLICT,
                // Of several refused items, the first one decides.
                E::Refused(refusals) => {
                    refusals.first().map_or(StatusCode::BAD_REQUEST, |refusal| refusal_status(&refusal.reason))
                }
                E::VersionMismatch => StatusCode::PRECONDITION_FAILED,
                E::TooManyIdempotencyKeys => StatusCode::TOO_MANY_REQUESTS,
                E::CredentialMissing | E::CredentialRejected => StatusCode::UNAUTHORIZED,
                E::Forbidden => StatusCode::FORBIDDEN,
                E::Unavailable { .. } | E::Overloaded { .. } => StatusCode::SERVICE_UNAVAILABLE,
                E::TimedOut { .. } => StatusCode::GATEWAY_TIMEOUT,
                E::BadUpstream { .. } => StatusCode::BAD_GATEWAY,
                E::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::Validation(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Rejected(rejection) => match rejection {
                RequestRejection::Unreadable(_) | RequestRejection::ResponseTooLarge => StatusCode::BAD_REQUEST,
                RequestRejection::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
                RequestRejection::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                RequestRejection::TooSlow => StatusCode::REQUEST_TIMEOUT,
                RequestRejection::TooManyFailures { .. } | RequestRejection::TooManyRequests { .. } => {
                    StatusCode::TOO_MANY_REQUESTS
                }
                RequestRejection::UnreadableCredential => StatusCode::UNAUTHORIZED,
                RequestRejection::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                RequestRejection::ForeignHost => StatusCode::MISDIRECTED_REQUEST,
                RequestRejection::ForeignOrigin => StatusCode::FORBIDDEN,
                RequestRejection::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
                RequestRejection::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            },
        }
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        self.log();
        let text = self.detail();
        let invalid = self.validation_errors();
        let detail = if invalid.is_empty() { Detail::Text(&text) } else { Detail::ValidationErrors(invalid) };
        let mut response = HttpResponse::build(status);
        response.content_type(JSON_UTF8);
        if status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
        if let Some(wait) = self.retry_after() {
            // Rounded up, and at least 1: a client that retries too early is rejected again.
            let seconds = wait.as_secs() + u64::from(0 < wait.subsec_nanos());
            response.insert_header((RETRY_AFTER, seconds.max(1)));
        }
        let mut response = response.body(to_json(&ErrorBody { detail, message: &text, errors: self.fields() }));
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            response.extensions_mut().insert(InternalCause(self.to_log_message()));
        }
        response
    }
}
