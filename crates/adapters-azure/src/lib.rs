//! Azure DevOps over its REST API 7.1: who is calling, and the projects of the organisation.
//!
//! [`AzureDevOps`] implements the ports `IdentityProvider` and `ProjectDirectory`. On the way to Azure a call passes,
//! from the outside in, the identity cache, the deadline, the retries, the gate of its credential, the lane of its kind
//! of caller, the circuit breaker and the bounds on time and size of one answer. Azure's answers are judged in one place
//! (`answer`), and a token leaves its `SecretString` only for the hash, the HMAC check and the header.

mod azure_devops;
mod client;
mod config;
mod credential;
mod directory;
mod error;
#[cfg(test)]
mod fuzz;
mod identity;
mod service_url;

pub use azure_devops::AzureDevOps;
pub use config::{AzureConfig, Breaking, InFlight, Retries, Timeouts};
pub use credential::{AppKey, AppKeyError};
pub use service_url::{OrgUrl, ServiceUrl, UrlError};
