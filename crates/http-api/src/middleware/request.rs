//! Around every request: its id, its trace, HEAD, and the promise that every error is JSON.

use std::cell::LazyCell;
use std::rc::Rc;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::uri::PathAndQuery;
use actix_web::http::{Method, StatusCode, Uri};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use actix_web::{Error, HttpMessage, HttpResponse};
use tracing::{Instrument, field};
use uuid::Uuid;

use super::client_address::TrustedProxies;
use super::exchange::Exchange;
use super::guard::{Panicked, Told};
use super::problem;
use crate::error;
use crate::error::messages_pt;
use crate::observability::metrics::{self, Metrics};
use crate::observability::trace_context::TraceContext;
use crate::respond::JSON;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is needed to tell of requests.
#[derive(Clone)]
pub struct Watch {
    /// Where they are counted.
    pub metrics: Metrics,
    /// Whose word on the client's address counts.
    pub proxies: TrustedProxies,
}

/// Gives the request its id and its place in a trace, runs it, and sees to it that the answer keeps what every answer
/// promises.
///
/// # Errors
/// When a handler panics or an inner middleware fails: the error carries the whole answer.
pub async fn around(
    watch: Data<Watch>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let exchange = begin(&watch, &request);
    let id = exchange.request_id.clone();
    let method = exchange.method.clone();
    let problem_at = problem::is_wanted(&request).then(|| request.path().to_owned());
    route_by_what_it_means(&mut request);
    if method == Method::HEAD {
        // A route for GET answers HEAD as well (RFC 9110 §9.3.2); the connection leaves the body out by itself.
        request.head_mut().method = Method::GET;
    }
    let (trace, exported) = (exchange.trace, exchange.span.clone());
    let logged = tracing::info_span!("request", request_id = %printable(&id), trace_id = %trace.trace_id());
    let work = next.call(request).instrument(exported).instrument(logged);
    match trace.scope(work).await {
        Ok(answer) => {
            let (request, answer) = answer.into_parts();
            let answer = dressed(as_json(answer.map_into_boxed_body(), &method), id, problem_at.as_deref());
            let told = request.extensions().get::<Rc<Told>>().cloned().unwrap_or_default();
            let route = told.route.get().cloned().or_else(|| request.match_pattern());
            let answer = exchange.ends_with(answer, route, told.user.get().cloned());
            Ok(ServiceResponse::new(request, answer))
        }
        Err(error) => {
            let told = error.as_error::<Panicked>().map(|panicked| panicked.0.clone()).unwrap_or_default();
            let answer = dressed(error.error_response(), id, problem_at.as_deref());
            let answer = exchange.ends_with(answer, told.route.get().cloned(), told.user.get().cloned());
            Err(InternalError::from_response("interrupted", answer).into())
        }
    }
}

fn begin(watch: &Watch, request: &ServiceRequest) -> Exchange {
    let headers = request.headers();
    let client = watch.proxies.client(request.peer_addr(), headers);
    let new = LazyCell::new(Uuid::now_v7);
    let request_id = request_id(headers).unwrap_or_else(|| {
        // A UUID is visible ASCII, which every header can hold.
        HeaderValue::from_str(&new.to_string()).unwrap_or(HeaderValue::from_static("unknown"))
    });
    // Only spans with a kind are exported. The route, and with it the name, is known at the end.
    let span = tracing::debug_span!(
        parent: None,
        "server",
        otel.kind = "server",
        otel.status_code = field::Empty,
        http.request.method = metrics::method_name(request.method()),
        http.route = field::Empty,
        http.response.status_code = field::Empty,
        client.address = client.map(field::display),
        request_id = %printable(&request_id),
    );
    let told = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
    Exchange {
        method: request.method().clone(),
        client,
        trace: TraceContext::of_request(told, &span, || *new),
        request_id,
        span,
        started: Instant::now(),
        active: watch.metrics.begin(),
        metrics: watch.metrics.clone(),
    }
}

/// An id as text; it is one, since nothing else gets through.
fn printable(id: &HeaderValue) -> &str {
    id.to_str().unwrap_or_default()
}

/// The client's own id, when it is a sane token.
fn request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let is_sane = |id: &&HeaderValue| {
        (1..=128).contains(&id.len())
            && id.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
    };
    headers.get(X_REQUEST_ID).filter(is_sane).cloned()
}

/// Writes unreserved characters of the path as themselves. Encoded they mean the same (RFC 3986 §2.3), and the router
/// takes them for the same, so nothing on the way to a handler may see them differ.
fn route_by_what_it_means(request: &mut ServiceRequest) {
    let uri = request.uri();
    let Some(path) = plain(uri.path()) else { return };
    let target = uri.query().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
    let Ok(target) = PathAndQuery::from_maybe_shared(Bytes::from(target)) else { return };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target);
    let Ok(uri) = Uri::from_parts(parts) else { return };
    request.match_info_mut().get_mut().update(&uri);
    request.head_mut().uri = uri;
}

/// The path with its unreserved characters as themselves, if any of them is encoded.
fn plain(path: &str) -> Option<String> {
    let mut parts = path.split('%');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..2).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let meant = code.and_then(|code| u8::from_str_radix(code, 16).ok()).map(char::from);
        if let Some(meant) = meant.filter(|meant| meant.is_ascii_alphanumeric() || "-._~".contains(*meant)) {
            plain.push(meant);
            plain.push_str(part.get(2..).unwrap_or_default());
        } else {
            plain.push('%');
            plain.push_str(part);
        }
    }
    (plain.len() != path.len()).then_some(plain)
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
    let text = if is_refused_preflight { messages_pt::PREFLIGHT_REFUSED } else { messages_pt::status(status) };
    let mut new = HttpResponse::build(status).content_type(JSON).body(error::body(text));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_request_id_is_kept() {
        let kept = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_ID, HeaderValue::from_str(id).unwrap());
            request_id(&headers).is_some_and(|kept| kept == id)
        };
        assert!(kept("a") && kept("7f.A_-9") && kept(&"x".repeat(128)));
        for bad in ["", "a b", "a,b", "<script>", "ç", &"x".repeat(129)] {
            assert!(!kept(bad), "{bad:?}");
        }
    }

    #[test]
    fn only_unreserved_characters_are_decoded() {
        let cases = [
            ("/api/v1", None),
            ("/a%20b%2Fc%25%3F", None),
            ("/%zz%", None),
            ("/%61%62c", Some("/abc")),
            ("/%2D%2e%5F%7e%41%30", Some("/-._~A0")),
            ("/%2561", None),
            ("/%ç%61", Some("/%ça")),
        ];
        for (path, expected) in cases {
            assert_eq!(plain(path).as_deref(), expected, "{path}");
        }
    }
}
