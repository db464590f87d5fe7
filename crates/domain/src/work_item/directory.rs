//! The port to the work items in Azure DevOps.

use async_trait::async_trait;

use crate::{
    Credential, Error, Iteration, IterationId, IterationItems, Missing, TeamSelector, Teams, TreeQuery, WorkItem,
    WorkItemId, WorkItemSearch, WorkItemStates, WorkItemTree,
};

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
    /// Azure DevOps was not asked or did not say: `Unavailable`, `TimedOut` or `BadUpstream` if it fails; `Overloaded` if too
    /// many queries are queued here; `Forbidden` if
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

    /// Returns the teams of the project `projeto`, by id or name.
    ///
    /// # Errors
    /// As [`Self::find`].
    async fn teams(&self, credential: Option<Credential>, projeto: String) -> Result<Result<Teams, Missing>, Error>;

    /// Returns the iterations that a team has selected, in the order of Azure DevOps.
    ///
    /// # Errors
    /// As [`Self::find`].
    async fn iterations(
        &self,
        credential: Option<Credential>,
        team: TeamSelector,
    ) -> Result<Result<Vec<Iteration>, Missing>, Error>;

    /// Returns the work items of an iteration of a team that the caller can see, of any person.
    ///
    /// # Errors
    /// As [`Self::find`].
    async fn iteration_items(
        &self,
        credential: Option<Credential>,
        team: TeamSelector,
        iteration: IterationId,
    ) -> Result<Result<IterationItems, Missing>, Error>;

    /// Returns the work items of `query` with the items above them, up to the top. A part that cannot be read is a gap of
    /// the tree; a tree without any item is an error instead. `Missing` is only the iteration or its project.
    ///
    /// # Errors
    /// As [`Self::find`].
    async fn tree(
        &self,
        credential: Option<Credential>,
        query: TreeQuery,
    ) -> Result<Result<WorkItemTree, Missing>, Error>;
}
