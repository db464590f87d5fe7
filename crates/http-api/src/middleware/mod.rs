//! Middleware: what happens to each request before and after its handler. `app` sets the order.

mod access_log;
pub mod authentication;
pub mod catch_panic;
pub mod client_address;
pub mod compression;
pub mod connection;
pub mod cors;
pub mod failed_sign_ins;
pub mod http_observability;
pub mod in_flight;
pub mod loopback;
pub mod origin_pattern;
pub mod person_rate;
mod problem;
pub mod rejected_origins;
pub mod request_context;
pub mod request_path;
