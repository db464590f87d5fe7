//! How long a server wants no events (<https://develop.sentry.dev/sdk/expected-features/rate-limiting/>).

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};

/// The header that lists limits by category, also in a response 200.
const SENTRY_RATE_LIMITS: &str = "x-sentry-rate-limits";
/// The limit if a response 429 names none.
const DEFAULT: Duration = Duration::from_mins(1);
/// The longest limit. A server may name any.
const MAX: Duration = Duration::from_hours(1);

/// Returns how long no event may be sent after a response.
pub(super) fn limit(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    if let Some(limits) = headers.get(SENTRY_RATE_LIMITS).and_then(text) {
        return limits.split(',').filter_map(limit_of_errors).max();
    }
    let is_limited = status == StatusCode::TOO_MANY_REQUESTS;
    is_limited.then(|| headers.get(RETRY_AFTER).and_then(text).and_then(seconds).unwrap_or(DEFAULT))
}

/// Returns the time of a limit like `60:error;transaction:organization`, if it applies to errors. No category means all.
fn limit_of_errors(limit: &str) -> Option<Duration> {
    let mut parts = limit.trim().split(':');
    let limit = parts.next().and_then(seconds).unwrap_or(DEFAULT);
    let categories = parts.next().unwrap_or_default();
    (categories.is_empty() || categories.split(';').any(|category| category == "error")).then_some(limit)
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    Some(Duration::try_from_secs_f64(seconds.ceil()).unwrap_or(MAX).min(MAX))
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_is_that_of_errors() {
        let cases = [
            (200, "", "", None),
            (503, "", "30", None),
            (429, "", "", Some(60)),
            (429, "", "7", Some(7)),
            (429, "", "1.5", Some(2)),
            (429, "", "Fri, 27 Nov 2026 00:00:00 GMT", Some(60)),
            (429, "", "1e300", Some(3600)),
            (429, "", "-1", Some(3600)),
            (429, "", "NaN", Some(3600)),
            (200, "5:error:key", "", Some(5)),
            (200, "5::organization", "", Some(5)),
            (200, "5:transaction:key, 9:default;error:organization:quota", "", Some(9)),
            (429, "5:transaction:key", "60", None),
            (429, "x:error:key", "", Some(60)),
        ];
        for (status, sentry, retry_after, expected) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in [(SENTRY_RATE_LIMITS, sentry), ("retry-after", retry_after)] {
                if !value.is_empty() {
                    headers.insert(name, HeaderValue::from_static(value));
                }
            }
            let limit = limit(StatusCode::from_u16(status).unwrap(), &headers);
            assert_eq!(limit.map(|limit| limit.as_secs()), expected, "{status} {sentry:?} {retry_after:?}");
        }
    }
}
