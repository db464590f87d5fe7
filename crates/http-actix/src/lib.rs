//! The HTTP side of API Aponta: routes, bodies, errors as answers, middleware, settings and wiring.
//! The only crate that knows HTTP.

mod accept;
mod answer;
mod api_error;
mod app;
mod body;
mod client_address;
mod clock;
mod conditional;
mod development;
mod docs;
mod document;
mod faults;
mod idempotency;
mod in_flight;
mod input;
mod metrics;
mod middleware;
mod openapi;
mod readiness;
mod routes;
mod row_stream;
mod schema;
mod searches;
mod server;
pub mod settings;
mod texts;
mod timestamp;
mod trace_context;
mod values;

pub use app::{AppState, Ports, ServiceInfo, app};
pub use client_address::TrustedProxies;
pub use clock::SystemClock;
pub use development::{DevelopmentIdentity, NoOrganisation};
pub use metrics::{Metrics, MetricsServer};
pub use openapi::describe;
pub use server::{Server, Stop};
pub use trace_context::traceparent;
