//! Responses of Azure DevOps and their meaning. No other module reads statuses and headers.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, LOCATION, RETRY_AFTER};
use uuid::Uuid;

use super::api_version::{ApiVersion, VersionRejection};
use super::byte_budget::ReservedBytes;
use super::call_error::CallError;
use super::json;
use super::throttle::MAX_THROTTLE_DELAY;
use crate::error::{AzureError, ErrorDetail, Rejection};

/// The delay for a throttled credential if the response does not state one.
const DEFAULT_THROTTLE_DELAY: Duration = Duration::from_secs(5);
/// Text that identifies a sign-in page in any language: host names, paths, and the title of pages built by scripts.
const SIGN_IN_MARKS: [&str; 4] = ["signin", "sign in", "login.microsoftonline.com", "login.live.com"];

/// A response with its complete body.
pub(crate) struct Response {
    status: StatusCode,
    content: Content,
    redirect: Option<String>,
    retry_after: Option<Duration>,
    is_exhausted: bool,
    is_host_offline: bool,
    activity_id: Option<Uuid>,
    /// The continuation token of the next page.
    pub(crate) continuation: Option<String>,
    /// The body without a byte order mark.
    pub(crate) body: Vec<u8>,
    /// What the body takes, until it is read.
    _reserved: Option<ReservedBytes>,
}

#[derive(PartialEq, Eq)]
enum Content {
    Json,
    Html,
    Other,
}

impl Response {
    /// Returns the response, which holds `reserved` until it is dropped.
    pub(crate) fn holding(self, reserved: Option<ReservedBytes>) -> Self {
        Self { _reserved: reserved, ..self }
    }

    pub(crate) fn new(status: StatusCode, headers: &HeaderMap, body: Vec<u8>) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let seconds = |name: &str| text(name)?.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
        let date = |name: &str| httpdate::parse_http_date(text(name)?).ok();
        // A date is relative to the server's clock, so that a wrong local clock does not matter.
        let until = |name: &str| Some(date(name)?.duration_since(date(DATE.as_str()).unwrap_or_else(SystemTime::now)));
        let retry_after = seconds(RETRY_AFTER.as_str())
            .or_else(|| until(RETRY_AFTER.as_str()).map(Result::unwrap_or_default))
            .or_else(|| seconds("x-ratelimit-delay"));
        let content = match text(CONTENT_TYPE.as_str()).unwrap_or_default().to_ascii_lowercase() {
            kind if kind.contains("json") => Content::Json,
            kind if kind.contains("html") => Content::Html,
            _ => Content::Other,
        };
        Self {
            status,
            content,
            redirect: text(LOCATION.as_str()).map(str::to_owned),
            retry_after: retry_after.map(|wait| wait.min(MAX_THROTTLE_DELAY)),
            is_exhausted: text("x-ratelimit-remaining") == Some("0"),
            is_host_offline: headers.contains_key("x-vss-hostofflineerror"),
            activity_id: text("activityid").and_then(|id| id.parse().ok()),
            continuation: text("x-ms-continuationtoken").filter(|token| !token.is_empty()).map(str::to_owned),
            body: body.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec).unwrap_or(body),
            _reserved: None,
        }
    }

    pub(crate) fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// The `ActivityId`, by which Azure's support finds the exchange.
    pub(crate) fn activity_id(&self) -> Option<Uuid> {
        self.activity_id
    }

    /// Returns how long the credential must wait before its next call. A 200 may carry a delay as well.
    pub(crate) fn throttle_delay(&self) -> Option<Duration> {
        let is_blocked = self.status == StatusCode::TOO_MANY_REQUESTS;
        self.retry_after.or_else(|| is_blocked.then_some(DEFAULT_THROTTLE_DELAY))
    }

    /// Returns the error that replaces a rejection if the credential is being throttled.
    ///
    /// Because Azure DevOps may respond to a throttled but valid credential with 401 or a sign-in page.
    /// `was_throttled` says whether the credential was throttled recently.
    pub(crate) fn rejection_while_throttled(&self, was_throttled: bool) -> Option<AzureError> {
        let is_throttled = self.retry_after.is_some() || self.is_exhausted || was_throttled;
        let detail = || self.detail("rejected while throttled");
        is_throttled.then(|| AzureError::Unavailable {
            retry_after: Some(self.throttle_delay().unwrap_or(DEFAULT_THROTTLE_DELAY)),
            detail: detail(),
        })
    }

    /// Returns the response if it is JSON with status 200, otherwise the error that it stands for.
    pub(crate) fn classify(self) -> Result<Self, CallError> {
        let is_json = self.content == Content::Json;
        let error = match self.status.as_u16() {
            200 if is_json => return Ok(self),
            401 if json::type_key(&self.body).as_deref() == Some("AccessCheckException") => {
                AzureError::Rejected(Rejection::Expired)
            }
            401 => AzureError::Rejected(Rejection::Unauthorized),
            203 if !is_json => AzureError::Rejected(Rejection::SignInPage),
            200 if self.content == Content::Html && is_sign_in_page(&String::from_utf8_lossy(&self.body)) => {
                AzureError::Rejected(Rejection::SignInPage)
            }
            300..=399 => match self.redirect.as_deref() {
                Some(location) if is_sign_in_page(location) => AzureError::Rejected(Rejection::SignInPage),
                Some(location) => AzureError::Moved(ErrorDetail::new(without_query(location))),
                None => AzureError::BadUpstream(self.detail("redirect without a location")),
            },
            403 => AzureError::Forbidden,
            // A 400 means that the project is hidden from the caller.
            status @ (400 | 404) if self.is_project_not_found() => {
                AzureError::ProjectNotFound { is_definitive: status == 404, detail: self.detail("project not found") }
            }
            404 if self.is_work_item_not_found() => AzureError::WorkItemNotFound(self.detail("work item not found")),
            404 if is_json => AzureError::NotFound(self.detail("not found")),
            400 if is_json => AzureError::BadRequest(self.detail("bad request")),
            409 | 412 => AzureError::RevisionMismatch(self.detail("another revision")),
            429 => AzureError::Unavailable { retry_after: self.throttle_delay(), detail: self.detail("throttled") },
            503 => AzureError::Unavailable { retry_after: self.retry_after, detail: self.detail("unavailable") },
            408 | 504 => AzureError::TimedOut(self.detail("timed out")),
            _ => AzureError::BadUpstream(self.detail("unexpected")),
        };
        // A 500 does not count: Azure DevOps sends it for many faults of a single request.
        let trips_breaker = matches!(self.status.as_u16(), 502..=504);
        let version_rejection = self.version_rejection();
        let is_retryable = trips_breaker && self.retry_after.is_none() && !self.is_host_offline;
        Err(CallError { error, trips_breaker, is_retryable, version_rejection })
    }

    /// Returns the rejection of the API version that the response may stand for.
    fn version_rejection(&self) -> Option<VersionRejection> {
        let type_key = json::type_key(&self.body);
        match (self.status, type_key.as_deref()) {
            (StatusCode::BAD_REQUEST, Some("VssVersionOutOfRangeException")) => {
                let message = json::error_message(&self.body).unwrap_or_default();
                Some(VersionRejection::OutOfRange { maximum: ApiVersion::lowest_in(&message) })
            }
            (StatusCode::BAD_REQUEST, Some("VssInvalidPreviewVersionException")) => Some(VersionRejection::PreviewOnly),
            (StatusCode::NOT_FOUND, None) if self.content != Content::Html => Some(VersionRejection::Unrouted),
            _ => None,
        }
    }

    /// Whether the response is about a project. An unknown organisation gets an HTML page instead of JSON.
    fn is_project_not_found(&self) -> bool {
        match json::type_key(&self.body) {
            Some(key) => key.starts_with("ProjectDoesNotExist"),
            None => self.status == StatusCode::NOT_FOUND && self.content != Content::Html,
        }
    }

    /// Whether a work item is missing or hidden from the caller, which Azure DevOps does not distinguish.
    fn is_work_item_not_found(&self) -> bool {
        json::type_key(&self.body).is_some_and(|key| key == "WorkItemUnauthorizedAccessException")
    }

    fn detail(&self, what: &str) -> ErrorDetail {
        let activity = self.activity_id.map(|id| format!(", ActivityId {id}")).unwrap_or_default();
        let key = json::type_key(&self.body).map(|key| format!(", {key}")).unwrap_or_default();
        ErrorDetail::new(format!("{what}: status {}{key}{activity}", self.status.as_u16()))
    }
}

/// Returns `location` without its query, which may hold personal data.
fn without_query(location: &str) -> &str {
    location.split_once(['?', '#']).map_or(location, |(address, _)| address)
}

/// Whether `text`, a page or the address of a redirect, is that of a sign-in page.
pub(crate) fn is_sign_in_page(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    SIGN_IN_MARKS.iter().any(|mark| text.contains(mark))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn delay_of(headers: &[(&'static str, &'static str)]) -> Option<Duration> {
        let headers = headers
            .iter()
            .map(|(name, value)| (reqwest::header::HeaderName::from_static(name), HeaderValue::from_static(value)));
        Response::new(StatusCode::OK, &headers.collect(), Vec::new()).throttle_delay()
    }

    #[test]
    fn throttle_delay_is_read_from_seconds_or_date_and_capped() {
        let date = ("date", "Tue, 24 Nov 2026 12:00:00 GMT");
        let cases = [
            (&[("retry-after", "7")][..], Some(Duration::from_secs(7))),
            (&[("retry-after", "0.5")], Some(Duration::from_millis(500))),
            (&[date, ("retry-after", "Tue, 24 Nov 2026 12:01:30 GMT")], Some(Duration::from_secs(90))),
            (&[date, ("retry-after", "Tue, 24 Nov 2026 11:00:00 GMT")], Some(Duration::ZERO)),
            (&[("retry-after", "Tue, 24 Nov 2020 11:00:00 GMT")], Some(Duration::ZERO)),
            (&[("retry-after", "Fri, 24 Nov 2226 11:00:00 GMT")], Some(MAX_THROTTLE_DELAY)),
            (&[("retry-after", "86400")], Some(MAX_THROTTLE_DELAY)),
            (&[("x-ratelimit-delay", "1e9")], Some(MAX_THROTTLE_DELAY)),
            (&[("retry-after", "soon"), ("x-ratelimit-delay", "2")], Some(Duration::from_secs(2))),
            (&[("retry-after", "-1")], None),
            (&[], None),
        ];
        for (headers, expected) in cases {
            assert_eq!(delay_of(headers), expected, "{headers:?}");
        }
    }
}
