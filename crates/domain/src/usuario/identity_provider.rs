//! The port that authenticates callers.

use async_trait::async_trait;

use crate::{Caller, Credential, Error};

/// Authenticates callers by their credentials.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait IdentityProvider: Send + Sync {
    /// Returns the user to whom `credential` belongs, with the credential for calls to Azure DevOps on their behalf.
    /// `credential` is `None` if the request has none.
    ///
    /// # Errors
    /// `CredentialMissing`, `CredentialRejected`; `Unavailable`, `TimedOut` or `BadUpstream` if the credential cannot
    /// be checked.
    async fn authenticate(&self, credential: Option<Credential>) -> Result<Caller, Error>;

    /// Returns whether `credential` was accepted recently, from memory and without a request. The result
    /// does not authenticate the caller. It distinguishes a known credential from a guessed one.
    fn recently_accepted(&self, credential: &Credential) -> bool;
}
