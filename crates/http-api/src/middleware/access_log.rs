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

use crate::observability::metrics::{self, ActiveRequest, Metrics};
use crate::observability::trace_context::{self, TraceContext};

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
}

/// A request whose response body has started.
struct AccessLogEntry {
    record: RequestRecord,
    route: Option<String>,
    user: Option<String>,
    status: StatusCode,
}

impl RequestRecord {
    /// Emits the log entry when `response` ends. `route` is the matched template, `user` the id of the user.
    pub(super) fn observe_response(
        self,
        response: HttpResponse,
        route: Option<String>,
        user: Option<String>,
    ) -> HttpResponse {
        let is_head = self.method == Method::HEAD;
        let entry = AccessLogEntry { record: self, route, user, status: response.status() };
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

impl AccessLogEntry {
    fn emit(self, bytes: u64) {
        let Self { record, route, user, status } = self;
        let RequestRecord { method, client, request_id, trace, span, started, metrics: counters, active } = record;
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
        tracing::info!(
            target: "http_api::request",
            method,
            route,
            status = status.as_u16(),
            duration_ms = duration.as_secs_f64() * 1000.0,
            bytes,
            user,
            client = client.map(field::display),
            request_id = request_id.to_str().unwrap_or_default(),
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
