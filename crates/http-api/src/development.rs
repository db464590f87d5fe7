//! Ports for a service without authentication and without an organisation.

use async_trait::async_trait;
use domain::{
    AzureProjectId, Caller, Conflict, Credential, DeletionEvidence, Error, IdentityProvider, Iteration, IterationId,
    IterationItems, Missing, ProjectDirectory, ProjectList, RemoteProjeto, TeamSelector, Teams, TreeQuery, Usuario,
    WorkItem, WorkItemDirectory, WorkItemId, WorkItemSearch, WorkItemStates, WorkItemTree,
};

/// Identifies each caller as the development user, with any credential or none.
pub struct DevelopmentIdentity;

#[async_trait]
impl IdentityProvider for DevelopmentIdentity {
    async fn authenticate(&self, _: Option<Credential>) -> Result<Caller, Error> {
        let usuario = Usuario {
            id: "dev-user-001".to_owned(),
            display_name: "Dev User".to_owned(),
            email: Some("dev@localhost".to_owned()),
        };
        // The credential is not validated, so it is not used for calls to Azure DevOps.
        Ok(Caller { usuario, credential: None })
    }

    fn recently_accepted(&self, _: &Credential) -> bool {
        true
    }
}

/// Returns a conflict for each call, because no organisation is configured.
pub struct NoOrganisation;

#[async_trait]
impl ProjectDirectory for NoOrganisation {
    async fn list(&self, _: Credential) -> Result<ProjectList, Error> {
        Err(Error::Conflict(Conflict::SemOrganizacao))
    }

    async fn list_raw(&self, _: Credential) -> Result<Vec<String>, Error> {
        Err(Error::Conflict(Conflict::SemOrganizacao))
    }

    async fn find(&self, _: Credential, _: AzureProjectId) -> Result<Option<RemoteProjeto>, Error> {
        Err(Error::Conflict(Conflict::SemOrganizacao))
    }

    async fn confirm_deleted(&self, _: Credential, _: Vec<AzureProjectId>, _: DeletionEvidence) -> Vec<AzureProjectId> {
        Vec::new()
    }
}

#[async_trait]
impl WorkItemDirectory for NoOrganisation {
    async fn find(&self, _: Option<Credential>, _: WorkItemId) -> Result<Option<WorkItem>, Error> {
        Err(Error::Conflict(Conflict::SemOrganizacao))
    }

    async fn find_many(&self, _: Option<Credential>, _: Vec<WorkItemId>) -> Result<Vec<WorkItem>, Error> {
        Err(Error::Conflict(Conflict::SemOrganizacao))
    }

    async fn search(&self, _: Option<Credential>, _: WorkItemSearch) -> Result<Option<Vec<WorkItem>>, Error> {
        Err(Error::Conflict(Conflict::SemOrganizacao))
    }

    async fn states(&self, _: Option<Credential>, _: String, _: String) -> Result<WorkItemStates, Error> {
        Err(Error::Conflict(Conflict::SemOrganizacao))
    }

    async fn teams(&self, _: Option<Credential>, _: String) -> Result<Result<Teams, Missing>, Error> {
        Err(Error::Conflict(Conflict::SemOrganizacao))
    }

    async fn iterations(
        &self,
        _: Option<Credential>,
        _: TeamSelector,
    ) -> Result<Result<Vec<Iteration>, Missing>, Error> {
        Err(Error::Conflict(Conflict::SemOrganizacao))
    }

    async fn iteration_items(
        &self,
        _: Option<Credential>,
        _: TeamSelector,
        _: IterationId,
    ) -> Result<Result<IterationItems, Missing>, Error> {
        Err(Error::Conflict(Conflict::SemOrganizacao))
    }

    async fn tree(&self, _: Option<Credential>, _: TreeQuery) -> Result<Result<WorkItemTree, Missing>, Error> {
        Err(Error::Conflict(Conflict::SemOrganizacao))
    }
}
