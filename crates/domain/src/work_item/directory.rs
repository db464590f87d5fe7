//! The port to the work items in Azure DevOps.

use async_trait::async_trait;

use crate::{Credential, Error, WorkItem, WorkItemId, WorkItemSearch, WorkItemStates};

/// Reads the work items of the organisation with the permissions of one caller: `credential` is that of the caller, never
/// that of the service. It is `None` if authentication is disabled.
///
/// Calls for the same thing and credential, concurrent or within seconds of each other, share one request to Azure DevOps.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait WorkItemDirectory: Send + Sync {
    /// Returns the work item with that id; `None` if there is none that the caller can see. Azure DevOps does not tell a
    /// hidden work item from a missing one.
    ///
    /// # Errors
    /// Azure DevOps was not asked or did not say: `Unavailable`, `TimedOut` or `BadUpstream` if it fails; `Forbidden` if
    /// the credential may not read work items; `Conflict` with `SemOrganizacao` if there is no organisation or no
    /// credential. `CredentialRejected` if the credential is not accepted.
    async fn find(&self, credential: Option<Credential>, id: WorkItemId) -> Result<Option<WorkItem>, Error>;

    /// Returns those work items among `ids` that the caller can see, each once, in the order of `ids`.
    ///
    /// # Errors
    /// As [`Self::find`]. All are read or none.
    async fn find_many(&self, credential: Option<Credential>, ids: Vec<WorkItemId>) -> Result<Vec<WorkItem>, Error>;

    /// Returns the work items that match `search` and that the caller can see, the last changed ones first. `None` if the
    /// caller can see no such project.
    ///
    /// # Errors
    /// As [`Self::find`].
    async fn search(
        &self,
        credential: Option<Credential>,
        search: WorkItemSearch,
    ) -> Result<Option<Vec<WorkItem>>, Error>;

    /// Returns the states of the type `tipo` in the project `projeto`, both by the names in [`WorkItem`].
    ///
    /// # Errors
    /// As [`Self::find`]. `BadUpstream` if the project has no such type.
    async fn states(
        &self,
        credential: Option<Credential>,
        projeto: String,
        tipo: String,
    ) -> Result<WorkItemStates, Error>;
}
