//! Metrics, trace context and readiness.

pub mod metrics;
pub mod readiness;
pub mod trace_context;

pub use metrics::{Metrics, MetricsServer};
pub use trace_context::traceparent;
