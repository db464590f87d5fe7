//! Metrics, trace context and readiness.

pub mod metrics;
pub mod readiness;
pub mod server_error;
pub mod trace_context;

pub use metrics::{Metrics, MetricsServer};
pub use server_error::{ServerError, ServerErrorCause, ServerErrorObserver};
pub use trace_context::traceparent;
