//! The port to the projects in Azure DevOps.

use async_trait::async_trait;

use crate::{AzureProjectId, Credential, DeletionEvidence, Error, ProjectList, RemoteProjeto};

/// Reads the projects of the organisation with the permissions of one caller.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait ProjectDirectory: Send + Sync {
    /// Returns every project that the caller can see, each once. An entry that cannot be read does not fail the list.
    ///
    /// # Errors
    /// `Forbidden` if the caller may not list projects; `Unavailable`, `TimedOut` or `BadUpstream` if Azure DevOps
    /// fails; `Conflict` with `SemOrganizacao` if no organisation is configured.
    async fn list(&self, credential: Credential) -> Result<ProjectList, Error>;

    /// Returns the same projects as JSON objects, exactly as Azure DevOps sent them.
    ///
    /// # Errors
    /// As [`Self::list`].
    async fn list_raw(&self, credential: Credential) -> Result<Vec<String>, Error>;

    /// Returns the project with that GUID if the caller can see it. Concurrent calls for the same project and
    /// credential, and calls within seconds of one that found it, share one request to Azure DevOps.
    ///
    /// # Errors
    /// As [`Self::list`].
    async fn find(&self, credential: Credential, id: AzureProjectId) -> Result<Option<RemoteProjeto>, Error>;

    /// Returns those of `ids` for which Azure DevOps gives `evidence` of their deletion. Other projects are not
    /// returned, nor are those whose lookup failed or exceeded the number of lookups of one call.
    async fn confirm_deleted(
        &self,
        credential: Credential,
        ids: Vec<AzureProjectId>,
        evidence: DeletionEvidence,
    ) -> Vec<AzureProjectId>;
}
