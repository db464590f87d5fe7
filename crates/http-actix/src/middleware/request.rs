//! Around every request: its id, its line in the log, HEAD, and the promise that every error is JSON.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, ResponseError};
use futures_util::FutureExt;
use tracing::Instrument;
use uuid::Uuid;

use super::problem;
use crate::answer::JSON;
use crate::api_error::{self, ApiError, Refusal};
use crate::texts;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives the request its id, runs it, and sees to it that the answer keeps what every answer promises.
///
/// # Errors
/// When a handler panics or an inner middleware fails: the error carries the whole answer.
pub async fn around(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let id = request_id(request.headers());
    let method = request.method().clone();
    let problem_at = problem::is_wanted(&request).then(|| request.path().to_owned());
    let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default());
    if method == Method::HEAD {
        // A route for GET answers HEAD as well (RFC 9110 §9.3.2); the connection leaves the body out by itself.
        request.head_mut().method = Method::GET;
    }
    if !is_readable(request.path()) {
        let refusal = ApiError::from(Refusal::Unreadable(texts::UNREADABLE_PATH));
        let refused = dressed(refusal.error_response(), id, problem_at.as_deref());
        span.in_scope(|| log("unknown", &method, refused.status(), started));
        return Ok(request.into_response(refused));
    }
    match AssertUnwindSafe(next.call(request)).catch_unwind().instrument(span.clone()).await {
        Ok(Ok(answer)) => {
            let (request, answer) = answer.into_parts();
            let answer = dressed(as_json(answer.map_into_boxed_body(), &method), id, problem_at.as_deref());
            let route = request.match_pattern();
            span.in_scope(|| log(route.as_deref().unwrap_or("unknown"), &method, answer.status(), started));
            Ok(ServiceResponse::new(request, answer))
        }
        failed => {
            let answer = match failed {
                Ok(Err(error)) => error.error_response(),
                // The panic itself is in the log already: its hook wrote it.
                _ => ApiError::from(Refusal::Internal).error_response(),
            };
            let answer = dressed(answer, id, problem_at.as_deref());
            span.in_scope(|| log("unknown", &method, answer.status(), started));
            Err(InternalError::from_response("interrupted", answer).into())
        }
    }
}

/// The client's own id when it is a sane token, otherwise a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let is_sane = |id: &&HeaderValue| {
        (1..=128).contains(&id.len())
            && id.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
    };
    headers.get(X_REQUEST_ID).filter(is_sane).cloned().unwrap_or_else(|| {
        // A UUID is visible ASCII, which every header can hold.
        HeaderValue::from_str(&Uuid::now_v7().to_string()).unwrap_or(HeaderValue::from_static("unknown"))
    })
}

/// Whether every percent sign of a path is followed by two hex digits and the whole is UTF-8.
fn is_readable(path: &str) -> bool {
    let mut escapes = path.split('%');
    escapes.next();
    escapes.all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
        && percent_encoding::percent_decode_str(path).decode_utf8().is_ok()
}

/// An error without a JSON body, as the framework answers some, gets one.
fn as_json(answer: HttpResponse, method: &Method) -> HttpResponse {
    let status = answer.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let is_json = answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/"));
    if !is_error || is_json {
        return answer;
    }
    // Nobody but the CORS middleware answers OPTIONS.
    let is_refused_preflight = *method == Method::OPTIONS && status == StatusCode::BAD_REQUEST;
    let text = if is_refused_preflight { texts::ORIGIN_REFUSED } else { texts::status(status) };
    let mut new = HttpResponse::build(status).content_type(JSON).body(api_error::body(text));
    for (name, value) in answer.headers() {
        if name != CONTENT_TYPE {
            new.headers_mut().append(name.clone(), value.clone());
        }
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        allow_head(new.headers_mut());
    }
    new
}

/// Whoever may GET may HEAD.
fn allow_head(headers: &mut HeaderMap) {
    let allowed = headers.get(ALLOW).and_then(|allow| allow.to_str().ok());
    if let Some(allowed) = allowed
        && allowed.split(", ").any(|method| method == "GET")
        && let Ok(allowed) = HeaderValue::from_str(&allowed.replacen("GET", "GET, HEAD", 1))
    {
        headers.insert(ALLOW, allowed);
    }
}

/// The answer with the headers that every answer has; an error tells its problem at a path, if that is wanted.
fn dressed(answer: HttpResponse, id: HeaderValue, problem_at: Option<&str>) -> HttpResponse {
    let is_error = answer.status().is_client_error() || answer.status().is_server_error();
    let mut answer = match problem_at {
        Some(path) if is_error => problem::of(answer, path),
        _ => answer,
    };
    let headers = answer.headers_mut();
    headers.insert(X_REQUEST_ID, id);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_error {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    answer
}

/// One line for the request: the route and never the path, which can hold anything.
fn log(route: &str, method: &Method, status: StatusCode, started: Instant) {
    let duration_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    tracing::info!(%method, route, status = status.as_u16(), duration_us, "answered");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_request_id_is_kept() {
        let kept = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_ID, HeaderValue::from_str(id).unwrap());
            request_id(&headers) == id
        };
        assert!(kept("a") && kept("7f.A_-9") && kept(&"x".repeat(128)));
        for bad in ["", "a b", "a,b", "<script>", "ç", &"x".repeat(129)] {
            assert!(!kept(bad), "{bad:?}");
        }
    }

    #[test]
    fn broken_path_encodings_are_seen() {
        for good in ["/", "/a%20b", "/%C3%A7", "/ç"] {
            assert!(is_readable(good), "{good}");
        }
        for bad in ["/%", "/%2", "/%zz", "/%C3", "/a%/b"] {
            assert!(!is_readable(bad), "{bad}");
        }
    }
}
