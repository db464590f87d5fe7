//! The HTTP API: routes, extractors, responses, errors, middleware, the OpenAPI description and its pages.
//!
//! Depends on `domain` only. [`AppState::new`] takes the ports, [`app`] builds the application of one worker, and
//! [`Server`] listens.

mod app;
mod connection;
mod development;
mod docs;
mod error;
mod extract;
mod limits;
mod media_type;
mod middleware;
mod observability;
mod openapi;
mod respond;
mod root_path;
mod routes;
mod server;
mod state;

pub use app::app;
pub use development::{DevelopmentIdentity, NoOrganisation};
pub use middleware::catch_panic::is_panic_of_handler;
pub use middleware::client_address::TrustedProxies;
pub use middleware::origin_pattern::{NotAnOriginPattern, OriginPattern, is_host_name};
pub use observability::{Metrics, MetricsServer, ServerError, ServerErrorCause, ServerErrorObserver, traceparent};
pub use openapi::generate_spec;
pub use respond::timestamp::Timestamp;
pub use root_path::{NotARootPath, RootPath};
pub use routes::apontamentos::response::ApontamentoResponse;
pub use server::{Server, Stop};
pub use state::{AppState, Ports, ServiceInfo};
