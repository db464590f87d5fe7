//! Which trace a request belongs to: the W3C trace context (<https://www.w3.org/TR/trace-context/>).
//!
//! Every request has a trace, whether traces are exported or not: the log tells it, and calls to others carry it on.
//! `tracestate` is not passed on, which the standard allows: what other vendors wrote there is not for Azure DevOps.

use std::fmt;

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use uuid::Uuid;

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// A place in a trace. Its `Display` is the value of a `traceparent` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
    parent_id: u64,
    flags: u8,
}

impl TraceContext {
    /// The flag that says that the trace is recorded.
    const SAMPLED: u8 = 1;

    /// Reads a `traceparent` header; what is not one is none, as the standard demands.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.splitn(5, '-');
        let mut hex = |length: usize| {
            let part = parts.next().filter(|part| part.len() == length)?;
            part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)).then_some(part)
        };
        let version = u8::from_str_radix(hex(2)?, 16).ok()?;
        let trace_id = u128::from_str_radix(hex(32)?, 16).ok().filter(|id| *id != 0)?;
        let parent_id = u64::from_str_radix(hex(16)?, 16).ok().filter(|id| *id != 0)?;
        let flags = u8::from_str_radix(hex(2)?, 16).ok()?;
        // Version 00 ends here, later ones may say more, and ff is none.
        let is_known = version != 0xff && (version != 0 || parts.next().is_none());
        is_known.then_some(Self { trace_id, parent_id, flags: flags & Self::SAMPLED })
    }

    /// The place of a request in a trace: that of `span` if it is exported; else the trace context of the client, or a
    /// new one with the id `fallback`.
    #[must_use]
    pub fn of_request(context: Option<&str>, span: &Span, fallback: impl FnOnce() -> Uuid) -> Self {
        let context = context.and_then(Self::parse);
        if let Some(context) = context {
            // An error says that nothing is exported or that the span is filtered out: there is nothing to tell then.
            let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(context.into()));
        }
        Self::of(span).or(context).unwrap_or_else(|| {
            let id = fallback();
            // Both ends of a UUID have random bits, and the variant keeps the last half from being zero.
            Self { trace_id: id.as_u128(), parent_id: id.as_u64_pair().1, flags: 0 }
        })
    }

    /// The place of `span`, if spans are exported.
    fn of(span: &Span) -> Option<Self> {
        let context = span.context();
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| Self {
            trace_id: u128::from_be_bytes(span.trace_id().to_bytes()),
            parent_id: u64::from_be_bytes(span.span_id().to_bytes()),
            flags: span.trace_flags().to_u8(),
        })
    }

    /// The id of the trace.
    #[must_use]
    pub fn trace_id(&self) -> impl fmt::Display + use<> {
        let id = self.trace_id;
        fmt::from_fn(move |f| write!(f, "{id:032x}"))
    }

    /// Runs `work` as part of this trace.
    pub async fn scope<T>(self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self, work).await
    }
}

/// Gives a span that is exported its name, which its fields cannot do once it has begun.
pub fn name(span: &Span, name: impl fmt::Display) {
    if !span.is_disabled() {
        span.context().span().update_name(name.to_string());
    }
}

/// The `traceparent` header for a call that the current request makes.
#[must_use]
pub fn traceparent() -> Option<String> {
    let current = TraceContext::of(&Span::current()).or_else(|| {
        let current = CURRENT.try_with(|current| *current).ok()?;
        // The call has a place of its own in the trace.
        Some(TraceContext { parent_id: Uuid::now_v7().as_u64_pair().1, ..current })
    });
    current.map(|current| current.to_string())
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace_id, parent_id, flags } = self;
        write!(f, "00-{trace_id:032x}-{parent_id:016x}-{flags:02x}")
    }
}

impl From<TraceContext> for SpanContext {
    fn from(context: TraceContext) -> Self {
        Self::new(
            TraceId::from_bytes(context.trace_id.to_be_bytes()),
            SpanId::from_bytes(context.parent_id.to_be_bytes()),
            TraceFlags::new(context.flags),
            true,
            TraceState::NONE,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn traceparent_is_parsed_and_formatted() {
        assert_eq!(TraceContext::parse(GOOD).unwrap().to_string(), GOOD);
        let later = format!("cc{}-what-comes", GOOD.strip_prefix("00").unwrap());
        assert_eq!(TraceContext::parse(&later).unwrap().to_string(), GOOD);
    }

    #[test]
    fn malformed_traceparent_is_ignored() {
        let id = "0af7651916cd43dd8448eb211c80319c";
        for bad in [
            String::new(),
            GOOD.to_uppercase(),
            format!("{GOOD}-01"),
            GOOD.replace("00-", "ff-"),
            GOOD.replace(id, &"0".repeat(32)),
            GOOD.replace("b7ad6b7169203331", &"0".repeat(16)),
            GOOD.replace("b7ad6b71", "+7ad6b71"),
            GOOD.replace("-01", "-1"),
            GOOD.replace("-01", ""),
            GOOD.replace("b7ad", "ç7a"),
        ] {
            assert_eq!(TraceContext::parse(&bad), None, "{bad:?}");
        }
    }

    #[tokio::test]
    async fn call_continues_the_trace_of_its_request() {
        assert_eq!(traceparent(), None);
        let request = TraceContext::of_request(Some(GOOD), &Span::none(), || unreachable!());

        let call = request.scope(async { traceparent().unwrap() }).await;

        let call = TraceContext::parse(&call).unwrap();
        assert_eq!((call.trace_id, call.flags), (request.trace_id, request.flags));
        assert_ne!(call.parent_id, request.parent_id);
    }

    #[test]
    fn request_without_trace_starts_a_new_one() {
        let id = Uuid::now_v7();
        let context = TraceContext::of_request(Some("lixo"), &Span::none(), || id);
        assert_eq!(context.trace_id().to_string(), id.simple().to_string());
    }
}
