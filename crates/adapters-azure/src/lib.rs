//! Adapter for the REST API of Azure DevOps: identifies users and reads the projects and work items of an organisation.
//!
//! [`AzureDevOps`] implements the ports `IdentityProvider`, `ProjectDirectory` and `WorkItemDirectory`,
//! [`AzureWorkItemWriter`] the port `WorkItemWriter`. A call passes, from the outside in:
//!
//! 1. the identity cache (`identity`), for look-ups of users;
//! 2. the deadline of the request and the retries;
//! 3. the throttle of the credential;
//! 4. the bulkhead and the circuit breaker of its kind of caller;
//! 5. the limits on time and size of one response.
//!
//! [`Probe`] diagnoses the connection for `aponta doctor`. `client::response` classifies every response. A token leaves
//! its `SecretString` only for the fingerprint, the HMAC check and the `Authorization` header.

mod azure_devops;
mod client;
mod config;
mod credential;
mod directory;
mod error;
#[cfg(test)]
mod fuzz;
mod identity;
mod probe;
mod service_url;
mod work_item;

pub use azure_devops::{AzureDevOps, AzureWorkItemWriter};
pub use client::ApiVersion;
pub use config::{AzureConfig, BreakerConfig, InFlight, Retries, Timeouts};
pub use credential::{AppKey, AppKeyError};
pub use error::Rejection;
pub use probe::{Connection, ConnectionReport, PatStatus, Probe, Product};
pub use service_url::{OrgUrl, ServiceUrl, UrlError};
