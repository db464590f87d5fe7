//! The port that authenticates callers.

use async_trait::async_trait;

use crate::{Caller, Credential, Error};

/// Who tells whose a credential is.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait IdentityProvider: Send + Sync {
    /// The person or service behind `credential`, which is none when a request shows none; with it, the credential
    /// that serves the calls to Azure DevOps on their behalf.
    ///
    /// # Errors
    /// `CredentialMissing`, `CredentialRejected`; `Unavailable`, `TimedOut` or `BadUpstream` when nobody can tell.
    async fn authenticate(&self, credential: Option<Credential>) -> Result<Caller, Error>;

    /// Whether `credential` was accepted lately, so that it is no guess. It lets nobody in, and asks nobody.
    fn knows(&self, credential: &Credential) -> bool;
}
