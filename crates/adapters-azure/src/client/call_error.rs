//! The error of one attempt, with its consequences for later calls.

use super::api_version::VersionRejection;
use crate::error::AzureError;

#[derive(Debug)]
pub(crate) struct CallError {
    pub(crate) error: AzureError,
    /// Whether it counts as a failure for the circuit breaker.
    pub(crate) trips_breaker: bool,
    /// Whether a retry of the same call may succeed.
    pub(crate) is_retryable: bool,
    /// Set if the response may be a rejection of the API version.
    pub(crate) version_rejection: Option<VersionRejection>,
}

/// An error that concerns only this call: it is not retried and does not affect the circuit breaker.
impl From<AzureError> for CallError {
    fn from(error: AzureError) -> Self {
        Self { error, trips_breaker: false, is_retryable: false, version_rejection: None }
    }
}
