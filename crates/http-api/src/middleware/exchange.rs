//! One request and its answer, as the log and the metrics tell them: once, when the last byte of the body is made.

use std::borrow::Cow;
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

/// What is known of a request when it comes.
pub(super) struct Exchange {
    pub(super) method: Method,
    pub(super) client: Option<IpAddr>,
    pub(super) request_id: HeaderValue,
    pub(super) trace: TraceContext,
    /// The span that is exported.
    pub(super) span: Span,
    pub(super) started: Instant,
    pub(super) metrics: Metrics,
    pub(super) active: ActiveRequest,
}

/// What is known of an answer when its body begins.
struct Answered {
    exchange: Exchange,
    route: Cow<'static, str>,
    user: Option<String>,
    status: StatusCode,
}

impl Exchange {
    /// Follows `answer` to its end: that of `route`, a template, to the user with the id `user`.
    pub(super) fn ends_with(self, answer: HttpResponse, route: Option<String>, user: Option<String>) -> HttpResponse {
        // The path itself can hold anything, and there is no end of paths.
        let route = route.map_or(Cow::Borrowed("unknown"), Cow::Owned);
        let is_head = self.method == Method::HEAD;
        let answered = Answered { exchange: self, route, user, status: answer.status() };
        answer.map_body(|_, body: BoxBody| match body.size() {
            BodySize::Stream if !is_head => BoxBody::new(Followed { body, bytes: 0, answered: Some(answered) }),
            BodySize::Sized(bytes) if !is_head => {
                answered.tell(bytes);
                body
            }
            _ => {
                answered.tell(0);
                body
            }
        })
    }
}

impl Answered {
    fn tell(self, bytes: u64) {
        let Self { exchange, route, user, status } = self;
        let Exchange { method, client, request_id, trace, span, started, metrics: counted, active } = exchange;
        let duration = started.elapsed();
        drop(active);
        counted.answered(&method, &route, status, duration);
        // Clients may invent methods, and there is no end of those either.
        let method = metrics::method_name(&method);
        trace_context::name(&span, format_args!("{method} {route}"));
        span.record("http.route", &*route);
        span.record("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
        tracing::info!(
            target: "http_api::request",
            method,
            %route,
            status = status.as_u16(),
            duration_ms = duration.as_secs_f64() * 1000.0,
            bytes,
            user,
            client = client.map(field::display),
            request_id = request_id.to_str().unwrap_or_default(),
            trace_id = %trace.trace_id(),
            "answered"
        );
    }
}

/// A body whose length nobody knows before its end, or before the client has gone.
struct Followed {
    body: BoxBody,
    bytes: u64,
    answered: Option<Answered>,
}

impl MessageBody for Followed {
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

impl Drop for Followed {
    fn drop(&mut self) {
        if let Some(answered) = self.answered.take() {
            answered.tell(self.bytes);
        }
    }
}
