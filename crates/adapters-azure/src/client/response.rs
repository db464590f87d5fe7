//! What Azure answered, and what that means. This is the only place that reads statuses and headers.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, LOCATION, RETRY_AFTER};
use uuid::Uuid;

use super::call_error::Fault;
use super::json;
use super::throttle::MAX_HOLD;
use crate::error::{Failure, Seen};

/// How long a throttled credential is held back when Azure does not say it.
const DEFAULT_HOLD: Duration = Duration::from_secs(5);
/// What a sign-in page has in it, whatever its language. The names of hosts and paths come first to mind, but some
/// pages are made by scripts, and of those only the title is sure.
const SIGN_IN_MARKS: [&str; 4] = ["signin", "sign in", "login.microsoftonline.com", "login.live.com"];

/// One answer, read to its end.
pub(crate) struct Answer {
    status: StatusCode,
    content: Content,
    redirect: Option<String>,
    retry_after: Option<Duration>,
    is_exhausted: bool,
    is_host_offline: bool,
    activity: Option<Uuid>,
    /// The token of the next page, if there is one.
    pub(crate) continuation: Option<String>,
    /// The body without a byte order mark.
    pub(crate) body: Vec<u8>,
}

#[derive(PartialEq, Eq)]
enum Content {
    Json,
    Html,
    Other,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, headers: &HeaderMap, body: Vec<u8>) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let seconds = |name: &str| text(name)?.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
        let date = |name: &str| httpdate::parse_http_date(text(name)?).ok();
        // A date of Azure's is measured by Azure's own clock.
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
            redirect: text(LOCATION.as_str()).map(str::to_ascii_lowercase),
            retry_after: retry_after.map(|wait| wait.min(MAX_HOLD)),
            is_exhausted: text("x-ratelimit-remaining") == Some("0"),
            is_host_offline: headers.contains_key("x-vss-hostofflineerror"),
            activity: text("activityid").and_then(|id| id.parse().ok()),
            continuation: text("x-ms-continuationtoken").filter(|token| !token.is_empty()).map(str::to_owned),
            body: body.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec).unwrap_or(body),
        }
    }

    pub(crate) fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// Azure's name for this exchange: what its support asks for.
    pub(crate) fn activity(&self) -> Option<Uuid> {
        self.activity
    }

    /// How long the credential has to wait before its next call. It may stand on a 200 as well.
    pub(crate) fn hold(&self) -> Option<Duration> {
        let is_blocked = self.status == StatusCode::TOO_MANY_REQUESTS;
        self.retry_after.or_else(|| is_blocked.then_some(DEFAULT_HOLD))
    }

    /// What to answer instead when the credential is refused in the middle of throttling: Azure has been seen to
    /// answer 401 and sign-in pages to good credentials then. `was_throttled` says that it was throttled lately.
    pub(crate) fn doubtful_rejection(&self, was_throttled: bool) -> Option<Failure> {
        let is_doubtful = self.retry_after.is_some() || self.is_exhausted || was_throttled;
        let seen = || self.seen("refused while throttled");
        is_doubtful
            .then(|| Failure::Unavailable { retry_after: Some(self.hold().unwrap_or(DEFAULT_HOLD)), seen: seen() })
    }

    /// The answer itself when it is JSON with status 200, and what is wrong otherwise.
    pub(crate) fn judged(self) -> Result<Self, Fault> {
        let is_json = self.content == Content::Json;
        let failure = match self.status.as_u16() {
            200 if is_json => return Ok(self),
            401 => Failure::Rejected,
            203 if !is_json => Failure::Rejected,
            200 if self.content == Content::Html && has_sign_in_mark(&String::from_utf8_lossy(&self.body)) => {
                Failure::Rejected
            }
            300..=399 if self.redirect.as_deref().is_some_and(has_sign_in_mark) => Failure::Rejected,
            403 => Failure::Forbidden,
            // Where it is a 400, the caller has no access.
            status @ (400 | 404) if self.is_about_a_missing_thing() => {
                Failure::Missing { is_certain: status == 404, seen: self.seen("missing") }
            }
            404 if is_json => Failure::NotFound(self.seen("not found")),
            429 => Failure::Unavailable { retry_after: self.hold(), seen: self.seen("throttled") },
            503 => Failure::Unavailable { retry_after: self.retry_after, seen: self.seen("unavailable") },
            408 | 504 => Failure::TimedOut(self.seen("timed out")),
            _ => Failure::BadUpstream(self.seen("unexpected")),
        };
        // A 500 is Azure's word for many things that only this one request brings about.
        let is_illness = matches!(self.status.as_u16(), 502..=504);
        let may_pass = is_illness && self.retry_after.is_none() && !self.is_host_offline;
        Err(Fault { failure, is_illness, may_pass })
    }

    /// A project that is unknown or hidden has an answer in JSON; an unknown organisation has an HTML page.
    fn is_about_a_missing_thing(&self) -> bool {
        match json::type_key(&self.body) {
            Some(key) => key.starts_with("ProjectDoesNotExist"),
            None => self.status == StatusCode::NOT_FOUND && self.content != Content::Html,
        }
    }

    fn seen(&self, what: &str) -> Seen {
        let activity = self.activity.map(|id| format!(", ActivityId {id}")).unwrap_or_default();
        let key = json::type_key(&self.body).map(|key| format!(", {key}")).unwrap_or_default();
        Seen::new(format!("{what}: status {}{key}{activity}", self.status.as_u16()))
    }
}

fn has_sign_in_mark(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    SIGN_IN_MARKS.iter().any(|mark| text.contains(mark))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn hold(headers: &[(&'static str, &'static str)]) -> Option<Duration> {
        let headers = headers
            .iter()
            .map(|(name, value)| (reqwest::header::HeaderName::from_static(name), HeaderValue::from_static(value)));
        Answer::new(StatusCode::OK, &headers.collect(), Vec::new()).hold()
    }

    #[test]
    fn a_wait_is_a_number_or_a_date_and_never_too_long() {
        let date = ("date", "Tue, 24 Nov 2026 12:00:00 GMT");
        let cases = [
            (&[("retry-after", "7")][..], Some(Duration::from_secs(7))),
            (&[("retry-after", "0.5")], Some(Duration::from_millis(500))),
            (&[date, ("retry-after", "Tue, 24 Nov 2026 12:01:30 GMT")], Some(Duration::from_secs(90))),
            (&[date, ("retry-after", "Tue, 24 Nov 2026 11:00:00 GMT")], Some(Duration::ZERO)),
            (&[("retry-after", "Tue, 24 Nov 2020 11:00:00 GMT")], Some(Duration::ZERO)),
            (&[("retry-after", "Fri, 24 Nov 2226 11:00:00 GMT")], Some(MAX_HOLD)),
            (&[("retry-after", "86400")], Some(MAX_HOLD)),
            (&[("x-ratelimit-delay", "1e9")], Some(MAX_HOLD)),
            (&[("retry-after", "soon"), ("x-ratelimit-delay", "2")], Some(Duration::from_secs(2))),
            (&[("retry-after", "-1")], None),
            (&[], None),
        ];
        for (headers, expected) in cases {
            assert_eq!(hold(headers), expected, "{headers:?}");
        }
    }
}
