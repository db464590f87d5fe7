//! The use cases of projetos.

use std::collections::BTreeSet;
use std::sync::Arc;

use time::OffsetDateTime;

use crate::{
    AzureProjectId, BatchReader, Batches, Caller, Clock, Conflict, Credential, DeletionEvidence, Error, Idempotency,
    Limit, NovoProjeto, ProjectDirectory, ProjectList, Projeto, ProjetoId, ProjetoPatch, ProjetoQuery, ProjetoRecord,
    ProjetoRepository, RemoteProjeto, Resource, Sincronizacao,
};

/// The use cases of projetos.
pub struct Projetos {
    repository: Arc<dyn ProjetoRepository>,
    directory: Arc<dyn ProjectDirectory>,
    service_credential: Option<Credential>,
    clock: Arc<dyn Clock>,
}

impl Projetos {
    /// Builds the use cases from their ports. `service_credential` is used for callers without a credential, and to
    /// confirm deletions in Azure DevOps.
    #[must_use]
    pub fn new(
        repository: Arc<dyn ProjetoRepository>,
        directory: Arc<dyn ProjectDirectory>,
        service_credential: Option<Credential>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { repository, directory, service_credential, clock }
    }

    /// Creates a local projeto.
    ///
    /// # Errors
    /// Those of the repository.
    pub async fn criar(&self, novo: NovoProjeto, idempotency: Option<Idempotency>) -> Result<Projeto, Error> {
        let NovoProjeto { nome, descricao } = novo;
        let criado_em = self.clock.now();
        let record = ProjetoRecord { id: ProjetoId::new(criado_em), nome, descricao, criado_em };
        self.repository.insert(record, idempotency).await
    }

    /// Reads all projetos in the order of [`ProjetoQuery`].
    #[must_use]
    pub fn listar(&self) -> BatchReader<Projeto> {
        let repository = Arc::clone(&self.repository);
        let fetch = move |query| {
            let repository = Arc::clone(&repository);
            Box::pin(async move { repository.list(query).await }) as _
        };
        let query = ProjetoQuery { limit: Limit::LARGEST, ..ProjetoQuery::default() };
        BatchReader::new(query, true, Box::new(fetch))
    }

    /// Returns the projeto with that id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn obter(&self, id: ProjetoId) -> Result<Projeto, Error> {
        self.repository.find(id).await?.ok_or_else(|| not_found(id))
    }

    /// Changes the fields that `patch` has, and returns the result.
    ///
    /// # Errors
    /// `NotFound`; `VersionMismatch` if `atualizado_em` differs from the one that `patch` expects; `Conflict` for a
    /// projeto of Azure DevOps.
    pub async fn atualizar(&self, id: ProjetoId, patch: ProjetoPatch) -> Result<Projeto, Error> {
        self.repository.update(id, patch, self.clock.now()).await?.ok_or_else(|| not_found(id))
    }

    /// Deletes the projeto. With `expected`, only while `atualizado_em` is equal to it.
    ///
    /// # Errors
    /// `NotFound`; `VersionMismatch`; `Conflict` for a projeto of Azure DevOps or one with atividades.
    pub async fn excluir(&self, id: ProjetoId, expected: Option<OffsetDateTime>) -> Result<(), Error> {
        if self.repository.delete(id, expected).await? { Ok(()) } else { Err(not_found(id)) }
    }

    /// Copies the projects that Azure DevOps lists for the caller: all that can be read or, on any error, none.
    ///
    /// A stored project that is missing from the list is marked deleted only if its deletion is proven. The caller may
    /// lack permission to see it, or it may have moved between two pages of the list. With the credential of the
    /// service, which may see every project, a lookup by id proves it. With the credential of the caller, only the
    /// list of deleted projects does.
    ///
    /// # Errors
    /// `Conflict` with `SemOrganizacao` if there is no credential or no organisation; those of the directory and the
    /// repository.
    pub async fn sincronizar(&self, caller: &Caller) -> Result<Sincronizacao, Error> {
        let credential = self.credential(caller)?;
        let since = self.clock.now(); // Before the request: what is stored while it runs is newer than its result.
        let list = self.directory.list(credential.clone()).await?;
        let unlisted = self.unlisted(&list, since).await?;
        let unlisted_count = unlisted.len();
        let deleted = match (&self.service_credential, unlisted.is_empty()) {
            (_, true) => unlisted,
            (Some(service), false) => {
                self.directory.confirm_deleted(service.clone(), unlisted, DeletionEvidence::NotFound).await
            }
            (None, false) => {
                self.directory.confirm_deleted(credential, unlisted, DeletionEvidence::ListedAsDeleted).await
            }
        };
        let unconfirmed = u64::try_from(unlisted_count.saturating_sub(deleted.len())).unwrap_or(u64::MAX);
        let summary = self.repository.synchronize(list.projects, deleted, since).await?;
        Ok(Sincronizacao { summary, failed: list.failed, unconfirmed, em: since })
    }

    /// Returns the stored projects of Azure DevOps that are not in `list`, not marked deleted and not newer than
    /// `since`.
    async fn unlisted(&self, list: &ProjectList, since: OffsetDateTime) -> Result<Vec<AzureProjectId>, Error> {
        let projects = list.projects.iter().map(|project| project.id);
        let listed: BTreeSet<_> = projects.chain(list.failed.iter().flatten().copied()).collect();
        let unlisted_id = |projeto: Projeto| {
            let Projeto { azure_project_id: id, estado, sincronizado_em, .. } = projeto;
            let is_deleted = estado.as_deref() == Some(RemoteProjeto::DELETED);
            let is_newer = sincronizado_em.is_some_and(|at| since < at && at - since <= RemoteProjeto::MAX_CLOCK_SKEW);
            id.filter(|id| !is_deleted && !is_newer && !listed.contains(id))
        };
        let (mut projetos, mut unlisted) = (self.listar(), Vec::new());
        while let Some(batch) = projetos.next().await? {
            unlisted.extend(batch.into_iter().filter_map(unlisted_id));
        }
        Ok(unlisted)
    }

    /// Returns the projects that Azure DevOps lists for the caller, as the JSON objects that it sent.
    ///
    /// # Errors
    /// `Conflict` with `SemOrganizacao` if there is no credential or no organisation; those of the directory.
    pub async fn listar_do_azure(&self, caller: &Caller) -> Result<Vec<String>, Error> {
        self.directory.list_raw(self.credential(caller)?).await
    }

    /// Returns the credential of the caller or, without one, of the service.
    fn credential(&self, caller: &Caller) -> Result<Credential, Error> {
        let credential = caller.credential.clone().or_else(|| self.service_credential.clone());
        credential.ok_or(Error::Conflict(Conflict::SemOrganizacao))
    }
}

fn not_found(id: ProjetoId) -> Error {
    Error::NotFound { resource: Resource::Projeto, id: id.0 }
}

#[cfg(test)]
mod tests;
