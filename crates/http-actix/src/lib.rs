//! The HTTP side of API Aponta: routes, bodies, errors as answers, middleware, settings and wiring.
//! The only crate that knows HTTP.

mod answer;
mod api_error;
mod app;
mod clock;
mod conditional;
mod development;
mod docs;
mod faults;
mod idempotency;
mod input;
mod middleware;
mod openapi;
mod routes;
mod schema;
mod server;
pub mod settings;
mod texts;
mod timestamp;
mod values;

pub use app::{AppState, Ports, ServiceInfo, app};
pub use clock::SystemClock;
pub use development::{DevelopmentIdentity, NoOrganisation};
pub use openapi::Document;
pub use server::Server;
