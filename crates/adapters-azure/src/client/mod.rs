//! The HTTP client for Azure DevOps, with the limits that protect Azure, this service and its callers from each other.

mod api_version;
mod breaker;
mod breaker_metrics;
mod bulkhead;
mod byte_budget;
mod call;
mod call_error;
mod http;
mod io_runtime;
pub(crate) mod json;
mod metrics;
mod response;
mod throttle;
mod transport_error;
mod upstream;
mod user_bulkheads;

pub(crate) use breaker_metrics::register;
pub(crate) use bulkhead::Bulkhead;
pub(crate) use call::{Body, Call, Traffic, Version};
pub(crate) use http::client_builder;
pub(crate) use metrics::CacheResult;
pub(crate) use response::is_sign_in_page;
pub(crate) use upstream::Upstream;
pub(crate) use user_bulkheads::UserBulkheads;

pub use api_version::ApiVersion;
