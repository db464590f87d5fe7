//! One call to Azure DevOps.

use reqwest::Url;
use tokio::time::Instant;

use crate::credential::{PresentedCredential, Scheme};

/// The cause of a call. Each has its own bulkhead; calls for unknown credentials also have their own circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// Identity look-up of a user whom Azure accepted recently.
    KnownUser,
    /// Identity look-up of a credential that Azure has not accepted recently.
    Unknown,
    /// Look-up of projects for an authenticated user.
    Projects,
}

/// A GET request that expects a JSON response.
pub(crate) struct Call<'a> {
    /// The name in logs, traces and metrics.
    pub(crate) name: &'static str,
    pub(crate) url: Url,
    pub(crate) credential: &'a PresentedCredential,
    pub(crate) scheme: Scheme,
    pub(crate) traffic: Traffic,
    pub(crate) max_bytes: usize,
    pub(crate) deadline: Instant,
}
