//! The outermost middleware: request id, trace context, HEAD, access log, and the guarantee that each error is JSON.

use std::cell::LazyCell;
use std::rc::Rc;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, HttpResponse};
use tracing::{Instrument, field};
use uuid::Uuid;

use super::access_log::RequestRecord;
use super::catch_panic::{HandlerPanic, RouteContext};
use super::http_observability::HttpObservability;
use super::problem::to_problem;
use super::request_path::normalize_path;
use crate::error;
use crate::error::messages_pt;
use crate::extract::accept::AcceptHeader;
use crate::media_type::JSON_UTF8;
use crate::observability::metrics;
use crate::observability::trace_context::TraceContext;
use crate::root_path::RootPath;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Assigns the request id and the trace context, runs the request, and adds the standard headers to the response.
///
/// # Errors
/// If a handler panics or an inner middleware fails. The error carries the whole response.
pub async fn request_context(
    observability: Data<HttpObservability>,
    root: Data<RootPath>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let record = start_request(&observability, &request);
    let id = record.request_id.clone();
    let method = record.method.clone();
    normalize_path(&mut request, &root);
    let instance =
        AcceptHeader::from_request(&request).names_problem_json().then(|| format!("{}{}", **root, request.path()));
    if method == Method::HEAD {
        // A GET route serves HEAD as well (RFC 9110 §9.3.2). The connection omits the body.
        request.head_mut().method = Method::GET;
    }
    let (trace, exported) = (record.trace, record.span.clone());
    let logged = tracing::info_span!("request", request_id = %printable(&id), trace_id = %trace.trace_id());
    let work = next.call(request).instrument(exported).instrument(logged);
    match trace.scope(work).await {
        Ok(response) => {
            let (request, response) = response.into_parts();
            let response = ensure_json_error(response.map_into_boxed_body(), &method);
            let response = with_standard_headers(response, id, instance.as_deref());
            let context = request.extensions().get::<Rc<RouteContext>>().cloned().unwrap_or_default();
            let route = context.route.get().cloned().or_else(|| request.match_pattern());
            let response = record.observe_response(response, route, &context);
            Ok(ServiceResponse::new(request, response))
        }
        Err(error) => {
            let context = error.as_error::<HandlerPanic>().map(|panic| panic.0.clone()).unwrap_or_default();
            let response = with_standard_headers(error.error_response(), id, instance.as_deref());
            let response = record.observe_response(response, context.route.get().cloned(), &context);
            Err(InternalError::from_response("handler failed", response).into())
        }
    }
}

fn start_request(observability: &HttpObservability, request: &ServiceRequest) -> RequestRecord {
    let headers = request.headers();
    let client = observability.proxies.client(request.peer_addr(), headers);
    let new = LazyCell::new(Uuid::now_v7);
    let request_id = request_id(headers).unwrap_or_else(|| {
        // A UUID is visible ASCII, so it is a valid header value.
        HeaderValue::from_str(&new.to_string()).unwrap_or(HeaderValue::from_static("unknown"))
    });
    // Only spans with a kind are exported. The route, and with it the name, is set at the end.
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
    let traceparent = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
    RequestRecord {
        method: request.method().clone(),
        client,
        trace: TraceContext::of_request(traceparent, &span, || *new),
        request_id,
        span,
        started: Instant::now(),
        active: observability.metrics.request_started(request.method()),
        metrics: observability.metrics.clone(),
        server_errors: observability.server_errors.clone(),
    }
}

/// Returns a request id as text. [`request_id`] accepts only ASCII.
fn printable(id: &HeaderValue) -> &str {
    id.to_str().unwrap_or_default()
}

/// Returns the client's own id if it has 1 to 128 characters of `[A-Za-z0-9._-]`.
fn request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let is_valid = |id: &&HeaderValue| {
        (1..=128).contains(&id.len())
            && id.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
    };
    headers.get(X_REQUEST_ID).filter(is_valid).cloned()
}

/// Adds a JSON body to an error response without one, such as those of the framework.
fn ensure_json_error(response: HttpResponse, method: &Method) -> HttpResponse {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let is_json = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/"));
    if !is_error || is_json {
        return response;
    }
    // Only the CORS middleware responds to OPTIONS.
    let is_rejected_preflight = *method == Method::OPTIONS && status == StatusCode::BAD_REQUEST;
    let text = if is_rejected_preflight { messages_pt::PREFLIGHT_REJECTED } else { messages_pt::status(status) };
    let mut new = HttpResponse::build(status).content_type(JSON_UTF8).body(error::body(text));
    for (name, value) in response.headers() {
        if name != CONTENT_TYPE {
            new.headers_mut().append(name.clone(), value.clone());
        }
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        allow_head(new.headers_mut());
    }
    new
}

/// Adds HEAD to an `Allow` header that lists GET.
fn allow_head(headers: &mut HeaderMap) {
    let allowed = headers.get(ALLOW).and_then(|allow| allow.to_str().ok());
    if let Some(allowed) = allowed
        && allowed.split(", ").any(|method| method == "GET")
        && let Ok(allowed) = HeaderValue::from_str(&allowed.replacen("GET", "GET, HEAD", 1))
    {
        headers.insert(ALLOW, allowed);
    }
}

/// Adds the headers of every response, and converts an error to problem details if `instance` is given.
fn with_standard_headers(response: HttpResponse, id: HeaderValue, instance: Option<&str>) -> HttpResponse {
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    let mut response = match instance {
        Some(path) if is_error => to_problem(response, path),
        _ => response,
    };
    let headers = response.headers_mut();
    headers.insert(X_REQUEST_ID, id);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_error {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    } else if !headers.contains_key(CACHE_CONTROL) {
        // Without the header, a shared cache may keep the response for a time of its choice (RFC 9111 §4.2.2).
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_id_with_allowed_characters_is_kept() {
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
}
