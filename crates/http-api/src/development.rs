//! What stands in for Azure DevOps where nobody is asked who they are.

use async_trait::async_trait;
use domain::{
    AzureProjectId, Caller, Conflict, Credential, Error, IdentityProvider, ProjectDirectory, RemoteProjeto, Usuario,
};

/// Takes everybody for the development user, whatever they show: authentication is off.
pub struct DevelopmentIdentity;

#[async_trait]
impl IdentityProvider for DevelopmentIdentity {
    async fn authenticate(&self, _: Option<Credential>) -> Result<Caller, Error> {
        let usuario = Usuario {
            id: "dev-user-001".to_owned(),
            display_name: "Dev User".to_owned(),
            email: Some("dev@localhost".to_owned()),
        };
        // Nobody has checked what was shown, so nobody is asked anything with it.
        Ok(Caller { usuario, credential: None })
    }

    fn recently_accepted(&self, _: &Credential) -> bool {
        true
    }
}

/// There is no organisation, and so none of its projects.
pub struct NoOrganisation;

#[async_trait]
impl ProjectDirectory for NoOrganisation {
    async fn list(&self, _: Credential) -> Result<Vec<RemoteProjeto>, Error> {
        Err(Error::Conflict(Conflict::SemOrganizacao))
    }

    async fn list_raw(&self, _: Credential) -> Result<Vec<String>, Error> {
        Err(Error::Conflict(Conflict::SemOrganizacao))
    }

    async fn find(&self, _: Credential, _: AzureProjectId) -> Result<Option<RemoteProjeto>, Error> {
        Err(Error::Conflict(Conflict::SemOrganizacao))
    }

    async fn confirm_deleted(&self, _: Credential, _: Vec<AzureProjectId>) -> Vec<AzureProjectId> {
        Vec::new()
    }
}
