//! The HTTP API: routes, extractors, responses, errors, middleware, the OpenAPI description and its pages.
//!
//! Depends on `domain` alone. [`AppState::new`] takes the ports, [`app`] makes the application of one worker, and
//! [`Server`] listens.

mod app;
mod development;
mod docs;
mod error;
mod extract;
mod limits;
mod middleware;
mod observability;
mod openapi;
mod respond;
mod routes;
mod server;

pub use app::{AppState, Ports, ServiceInfo, app};
pub use development::{DevelopmentIdentity, NoOrganisation};
pub use middleware::{NotAnOriginPattern, OriginPattern, TrustedProxies, is_host_name};
pub use observability::{Metrics, MetricsServer, traceparent};
pub use openapi::describe;
pub use server::{Server, Stop};
