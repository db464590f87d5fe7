//! The port of the projects in Azure DevOps.

use async_trait::async_trait;

use crate::{AzureProjectId, Credential, Error, RemoteProjeto};

/// The organisation's projects, as Azure DevOps shows them to one caller.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait ProjectDirectory: Send + Sync {
    /// Every project that the caller may see, each once.
    ///
    /// # Errors
    /// `Forbidden` when the caller may not ask; `Unavailable`, `TimedOut` or `BadUpstream` when Azure DevOps is ill;
    /// `Conflict` with `SemOrganizacao` when no organisation is configured.
    async fn list(&self, credential: Credential) -> Result<Vec<RemoteProjeto>, Error>;

    /// The same as Azure DevOps itself writes it: each project is one JSON object, passed on without a look inside.
    ///
    /// # Errors
    /// As [`Self::list`].
    async fn list_verbatim(&self, credential: Credential) -> Result<Vec<String>, Error>;

    /// The project with that GUID, if the caller may see one. Calls for the same project and credential that run
    /// side by side, or within seconds of one that found it, ask Azure DevOps once.
    ///
    /// # Errors
    /// As [`Self::list`].
    async fn find(&self, credential: Credential, id: AzureProjectId) -> Result<Option<RemoteProjeto>, Error>;

    /// Those of `ids` of which Azure DevOps says, asked for each of them, that there is no such project. What it
    /// shows, what it says to be hidden from the caller, and what it cannot tell now is not among them; nor is what is
    /// beyond the number of questions that one call may ask.
    async fn gone(&self, credential: Credential, ids: Vec<AzureProjectId>) -> Vec<AzureProjectId>;
}
