//! The access log: one entry and one observation per request, when the last byte of the response body is produced.

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header::HeaderValue;
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use tracing::{Span, field};

use super::catch_panic::RouteContext;
use crate::error::InternalCause;
use crate::observability::metrics::{self, ActiveRequest, Metrics};
use crate::observability::trace_context::{self, TraceContext};
use crate::observability::{ServerError, ServerErrorCause, ServerErrorObserver};

/// A request in progress.
pub(super) struct RequestRecord {
    pub(super) method: Method,
    pub(super) client: Option<IpAddr>,
    pub(super) request_id: HeaderValue,
    pub(super) trace: TraceContext,
    /// The exported span.
    pub(super) span: Span,
    pub(super) started: Instant,
    pub(super) metrics: Metrics,
    pub(super) active: ActiveRequest,
    pub(super) server_errors: Option<ServerErrorObserver>,
}

/// A request whose response body has started.
struct AccessLogEntry {
    record: RequestRecord,
    route: Option<String>,
    user: Option<String>,
    status: StatusCode,
    /// Why the status is 500.
    cause: Option<ServerErrorCause>,
}

impl RequestRecord {
    /// Emits the log entry when `response` ends. `route` is the matched template.
    pub(super) fn observe_response(
        self,
        response: HttpResponse,
        route: Option<String>,
        context: &RouteContext,
    ) -> HttpResponse {
        let is_head = self.method == Method::HEAD;
        let (user, status, cause) = (context.user.get().cloned(), response.status(), cause_of(&response, context));
        let entry = AccessLogEntry { record: self, route, user, status, cause };
        response.map_body(|_, body: BoxBody| match body.size() {
            BodySize::Stream if !is_head => BoxBody::new(CountingBody { body, bytes: 0, entry: Some(entry) }),
            BodySize::Sized(bytes) if !is_head => {
                entry.emit(bytes);
                body
            }
            _ => {
                entry.emit(0);
                body
            }
        })
    }
}

/// Returns why the status of `response` is 500. `None` for another status.
fn cause_of(response: &HttpResponse, context: &RouteContext) -> Option<ServerErrorCause> {
    if response.status() != StatusCode::INTERNAL_SERVER_ERROR {
        return None;
    }
    if let Some(location) = context.panic.get() {
        return Some(ServerErrorCause::Panic { location: location.clone() });
    }
    let extensions = response.extensions();
    let cause = extensions.get::<InternalCause>().map_or("no cause", |InternalCause(text)| text);
    Some(ServerErrorCause::Error(cause.to_owned()))
}

impl AccessLogEntry {
    fn emit(self, bytes: u64) {
        let Self { record, route, user, status, cause } = self;
        let RequestRecord {
            method,
            client,
            request_id,
            trace,
            span,
            started,
            metrics: counters,
            active,
            server_errors,
        } = record;
        let duration = started.elapsed();
        drop(active);
        counters.request_completed(&method, route.as_deref(), status, duration);
        // Not the path: clients can send any.
        let route = route.as_deref().unwrap_or("unknown");
        // Clients can send any method name: unknown ones share one label.
        let method = metrics::method_name(&method);
        trace_context::name(&span, format_args!("{method} {route}"));
        span.record("http.route", route);
        span.record("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
        let request_id = request_id.to_str().unwrap_or_default();
        if let (Some(observer), Some(cause)) = (server_errors, cause) {
            let (route, request_id, trace_id) = (route.to_owned(), request_id.to_owned(), trace.trace_id().to_string());
            observer(ServerError { method, route, request_id, trace_id, cause });
        }
        tracing::info!(
            target: "http_api::request",
            method,
            route,
            status = status.as_u16(),
            duration_ms = duration.as_secs_f64() * 1000.0,
            bytes,
            user,
            client = client.map(field::display),
            request_id,
            trace_id = %trace.trace_id(),
            "request completed"
        );
    }
}

/// A streamed body that emits the log entry with its size when it ends or the client disconnects.
struct CountingBody {
    body: BoxBody,
    bytes: u64,
    entry: Option<AccessLogEntry>,
}

impl MessageBody for CountingBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let next = Pin::new(&mut self.body).poll_next(cx);
        if let Poll::Ready(Some(Ok(chunk))) = &next {
            self.bytes += chunk.len() as u64;
        }
        next
    }
}

impl Drop for CountingBody {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            entry.emit(self.bytes);
        }
    }
}
