//! A log message about browser origins that CORS rejects. The browser hides the reason from the page, so operators need it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::Error;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Uri;
use actix_web::http::header::{HOST, HeaderMap, ORIGIN};
use actix_web::middleware::Next;
use actix_web::web::Data;

use super::origin_pattern::OriginPattern;

/// The minimum time between two messages of the process.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// When the last message was logged.
#[derive(Debug, Default)]
pub struct RejectedOrigins(Mutex<Option<Instant>>);

impl RejectedOrigins {
    /// Returns whether a message may be logged at `now`, and counts it.
    fn admit(&self, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| LOG_INTERVAL <= now.saturating_duration_since(last));
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

/// Logs one warning per minute with an origin that matches no pattern and the value of `CORS_ORIGINS` that would allow it.
///
/// # Errors
/// Those of the inner service.
pub async fn log_rejected_origin(
    patterns: Data<[OriginPattern]>,
    log: Data<RejectedOrigins>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if let Some(origin) = rejected_origin(request.headers(), &patterns)
        && log.admit(Instant::now())
    {
        tracing::warn!(origin, "CORS origin rejected; CORS_ORIGINS={origin} would allow it");
    }
    next.call(request).await.map(ServiceResponse::map_into_boxed_body)
}

/// Returns the origin of a page on another host that no pattern matches. An origin that cannot be a pattern, such as
/// `null`, cannot be allowed, so it is not returned.
fn rejected_origin<'a>(headers: &'a HeaderMap, patterns: &[OriginPattern]) -> Option<&'a str> {
    let origin = headers.get(ORIGIN)?.to_str().ok()?;
    origin.parse::<OriginPattern>().ok()?;
    let host = origin.parse::<Uri>().ok()?.authority()?.to_string();
    let is_same_host = headers.get(HOST).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(host.as_bytes()));
    let is_allowed = patterns.iter().any(|pattern| pattern.matches(origin));
    (!is_same_host && !is_allowed).then_some(origin)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn origin_of_another_host_without_a_pattern_is_rejected() {
        let patterns = ["https://*.gallerycdn.vsassets.io".parse().unwrap()];
        let cases = [
            ("https://ms.gallerycdn.vsassets.io", false),
            ("https://gallerycdn.vsassets.io", true),
            ("https://dev.azure.com", true),
            ("http://localhost:3000", true),
            ("https://api.exemplo.com.br", false),
            ("https://API.exemplo.com.br", false),
            ("null", false),
            ("https://*", false),
            ("lixo", false),
        ];
        for (origin, is_rejected) in cases {
            let request =
                TestRequest::default().insert_header((HOST, "api.exemplo.com.br")).insert_header((ORIGIN, origin));
            let request = request.to_http_request();
            assert_eq!(rejected_origin(request.headers(), &patterns).is_some(), is_rejected, "{origin}");
            assert_eq!(rejected_origin(request.headers(), &[]).is_some(), is_rejected || origin.contains("//ms."));
        }
        assert_eq!(rejected_origin(&HeaderMap::new(), &patterns), None);
    }

    #[test]
    fn message_is_logged_once_per_interval() {
        let (log, now) = (RejectedOrigins::default(), Instant::now());
        let seconds = [0, 0, 59, 60, 61, 119, 120];
        let admitted = seconds.map(|second| log.admit(now + Duration::from_secs(second)));
        assert_eq!(admitted, [true, false, false, true, false, false, true]);
    }
}
