//! Imports projects of Azure DevOps that a request refers to and that are not stored yet.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::{
    AzureProjectId, Caller, Clock, Conflict, Credential, Error, ProjectDirectory, ProjetoRef, ProjetoRepository,
    RemoteProjeto,
};

/// The largest number of projects that are looked up one by one. More are taken from the list of all projects.
const MAX_LOOKUPS: usize = 4;

/// Copies projects from Azure DevOps into the repository.
pub(crate) struct ProjectImporter {
    pub(crate) repository: Arc<dyn ProjetoRepository>,
    pub(crate) directory: Arc<dyn ProjectDirectory>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl ProjectImporter {
    /// Stores those of `projetos` that the caller can see in Azure DevOps, and returns whether there was any. A project
    /// that the caller may not see counts as missing, so a response does not reveal that it exists.
    pub(crate) async fn import_projects(
        &self,
        projetos: &BTreeSet<ProjetoRef>,
        caller: &Caller,
    ) -> Result<bool, Error> {
        let Some(credential) = caller.credential.clone() else { return Ok(false) };
        let since = self.clock.now();
        let found = match self.look_up(projetos, credential).await {
            Err(Error::Forbidden | Error::Conflict(Conflict::SemOrganizacao)) => return Ok(false),
            found => found?,
        };
        let is_any = !found.is_empty();
        for remote in found {
            self.repository.store_remote(remote, since).await?;
        }
        Ok(is_any)
    }

    /// Stores the projects with those names, which are in lower case, that the caller can see in Azure DevOps, and returns
    /// their ids. All names together take one list of projects, because Azure DevOps finds a project by its id only.
    pub(crate) async fn import_by_names(
        &self,
        nomes: &BTreeSet<String>,
        caller: &Caller,
    ) -> Result<HashMap<String, ProjetoRef>, Error> {
        let mut imported = HashMap::new();
        let Some(credential) = caller.credential.clone() else { return Ok(imported) };
        let since = self.clock.now();
        let listed = match self.directory.list(credential).await {
            Err(Error::Forbidden | Error::Conflict(Conflict::SemOrganizacao)) => return Ok(imported),
            listed => listed?,
        };
        for remote in listed.projects {
            let nome = remote.nome.as_str().to_lowercase();
            if nomes.contains(&nome) && !imported.contains_key(&nome) {
                let stored = self.repository.store_remote(remote, since).await?;
                imported.insert(nome, ProjetoRef(stored.id.0));
            }
        }
        Ok(imported)
    }

    async fn look_up(
        &self,
        projetos: &BTreeSet<ProjetoRef>,
        credential: Credential,
    ) -> Result<Vec<RemoteProjeto>, Error> {
        if MAX_LOOKUPS < projetos.len() {
            let listed = self.directory.list(credential).await?.projects;
            return Ok(listed.into_iter().filter(|remote| projetos.contains(&ProjetoRef(remote.id.get()))).collect());
        }
        let mut found = Vec::new();
        for id in projetos.iter().filter_map(|projeto| AzureProjectId::new(projeto.0).ok()) {
            found.extend(self.directory.find(credential.clone(), id).await?);
        }
        Ok(found)
    }
}
