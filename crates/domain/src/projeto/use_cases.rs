//! What can be done with projetos.

use std::collections::BTreeSet;
use std::sync::Arc;

use time::OffsetDateTime;

use crate::{
    AzureProjectId, BatchReader, Batches, Caller, Clock, Conflict, Credential, Error, Idempotency, Limit, NovoProjeto,
    ProjectDirectory, Projeto, ProjetoId, ProjetoPatch, ProjetoQuery, ProjetoRecord, ProjetoRepository, RemoteProjeto,
    Resource, Sincronizacao,
};

/// The use cases of projetos.
pub struct Projetos {
    repository: Arc<dyn ProjetoRepository>,
    directory: Arc<dyn ProjectDirectory>,
    service_credential: Option<Credential>,
    clock: Arc<dyn Clock>,
}

impl Projetos {
    /// The use cases over `repository` and `directory`, at the time of `clock`. Where nobody is asked who they are,
    /// `service_credential` stands in for theirs; wherever there is one, it tells what is gone from Azure DevOps.
    #[must_use]
    pub fn new(
        repository: Arc<dyn ProjetoRepository>,
        directory: Arc<dyn ProjectDirectory>,
        service_credential: Option<Credential>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { repository, directory, service_credential, clock }
    }

    /// Creates a projeto that exists only here.
    ///
    /// # Errors
    /// Those of the repository.
    pub async fn criar(&self, novo: NovoProjeto, once: Option<Idempotency>) -> Result<Projeto, Error> {
        let NovoProjeto { nome, descricao } = novo;
        let criado_em = self.clock.now();
        let record = ProjetoRecord { id: ProjetoId::new(criado_em), nome, descricao, criado_em };
        self.repository.insert(record, once).await
    }

    /// All projetos in the order of their names as a reader expects it: case and accents do not count, unless names
    /// differ in nothing else. They come batch by batch.
    #[must_use]
    pub fn listar(&self) -> BatchReader<Projeto> {
        let repository = Arc::clone(&self.repository);
        let query = ProjetoQuery { limit: Limit::LARGEST, ..ProjetoQuery::default() };
        BatchReader::new(
            query,
            true,
            Box::new(move |query| {
                let repository = Arc::clone(&repository);
                Box::pin(async move { repository.list(query).await })
            }),
        )
    }

    /// The projeto with that id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn obter(&self, id: ProjetoId) -> Result<Projeto, Error> {
        self.repository.find(id).await?.ok_or_else(|| not_found(id))
    }

    /// Changes the fields that are present.
    ///
    /// # Errors
    /// `NotFound`; `Changed` when the patch expects another `atualizado_em`; `Conflict` when Azure DevOps owns it.
    pub async fn atualizar(&self, id: ProjetoId, patch: ProjetoPatch) -> Result<Projeto, Error> {
        self.repository.update(id, patch, self.clock.now()).await?.ok_or_else(|| not_found(id))
    }

    /// Deletes it for good, where `expected` is given only while `atualizado_em` still is that.
    ///
    /// # Errors
    /// `NotFound`; `Changed`; `Conflict` when Azure DevOps owns it or an atividade belongs to it.
    pub async fn excluir(&self, id: ProjetoId, expected: Option<OffsetDateTime>) -> Result<(), Error> {
        if self.repository.delete(id, expected).await? { Ok(()) } else { Err(not_found(id)) }
    }

    /// Takes over the projects that Azure DevOps shows the caller: all of them or, when anything fails, none. What it
    /// does not list is asked for one by one before it counts as gone: the caller may not see it, or it slipped
    /// through between two pages.
    ///
    /// # Errors
    /// `Conflict` with `SemOrganizacao` when there is nothing to ask; those of the directory and the repository.
    pub async fn sincronizar(&self, caller: &Caller) -> Result<Sincronizacao, Error> {
        let credential = self.credential(caller)?;
        let since = self.clock.now(); // Whatever is learnt from here on is newer than the list.
        let remote = self.directory.list(credential.clone()).await?;
        let missing = self.missing(&remote, since).await?;
        let gone = if missing.is_empty() {
            missing
        } else {
            let witness = self.service_credential.clone().unwrap_or(credential);
            self.directory.gone(witness, missing).await
        };
        let summary = self.repository.synchronize(remote, gone, since).await?;
        Ok(Sincronizacao { summary, em: since })
    }

    /// What is kept as Azure's, was so before `since`, and is not in `remote`.
    async fn missing(&self, remote: &[RemoteProjeto], since: OffsetDateTime) -> Result<Vec<AzureProjectId>, Error> {
        let listed: BTreeSet<_> = remote.iter().map(|remote| remote.id).collect();
        let is_missing = |projeto: Projeto| {
            let Projeto { azure_project_id: id, estado, sincronizado_em, .. } = projeto;
            let is_kept = estado.as_deref() != Some(RemoteProjeto::DELETED);
            let is_older = sincronizado_em.is_none_or(|at| at <= since);
            id.filter(|id| is_kept && is_older && !listed.contains(id))
        };
        let (mut projetos, mut missing) = (self.listar(), Vec::new());
        while let Some(batch) = projetos.next().await? {
            missing.extend(batch.into_iter().filter_map(is_missing));
        }
        Ok(missing)
    }

    /// The projects that Azure DevOps shows the caller, in its own words: each is a JSON object.
    ///
    /// # Errors
    /// `Conflict` with `SemOrganizacao` when there is nothing to ask; those of the directory.
    pub async fn listar_do_azure(&self, caller: &Caller) -> Result<Vec<String>, Error> {
        self.directory.list_verbatim(self.credential(caller)?).await
    }

    /// What Azure DevOps is asked with. Where nobody shows anything and the service has nothing of its own, there is
    /// nothing to integrate with.
    fn credential(&self, caller: &Caller) -> Result<Credential, Error> {
        let credential = caller.credential.clone().or_else(|| self.service_credential.clone());
        credential.ok_or(Error::Conflict(Conflict::SemOrganizacao))
    }
}

fn not_found(id: ProjetoId) -> Error {
    Error::NotFound { resource: Resource::Projeto, id: id.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, fixed_clock, maria, novo_projeto, projeto, projeto_id, remote_projeto, stored_projeto};
    use crate::{Batch, Cursor, MockProjectDirectory, MockProjetoRepository, Service, SyncSummary};

    fn projetos(repository: MockProjetoRepository) -> Projetos {
        with_directory(repository, MockProjectDirectory::new(), None)
    }

    fn with_directory(
        repository: MockProjetoRepository,
        directory: MockProjectDirectory,
        service_credential: Option<Credential>,
    ) -> Projetos {
        Projetos::new(Arc::new(repository), Arc::new(directory), service_credential, fixed_clock())
    }

    #[tokio::test]
    async fn criar_makes_a_projeto_that_exists_only_here() {
        let mut repository = MockProjetoRepository::new();
        repository.expect_insert().returning(|record, _| Ok(stored_projeto(record)));

        let criado = projetos(repository).criar(novo_projeto("Interno"), None).await.unwrap();

        assert_eq!(criado.id.0.get_version_num(), 7);
        assert_eq!((criado.criado_em, criado.azure_project_id), (NOW, None));
    }

    #[tokio::test]
    async fn excluir_refuses_projeto_with_atividades() {
        let mut repository = MockProjetoRepository::new();
        repository.expect_delete().returning(|_, _| Err(Error::Conflict(Conflict::ProjetoComAtividades)));

        let refused = projetos(repository).excluir(projeto_id(), None).await.unwrap_err();

        assert!(matches!(refused, Error::Conflict(Conflict::ProjetoComAtividades)));
    }

    #[tokio::test]
    async fn what_does_not_exist_is_not_found() {
        let mut repository = MockProjetoRepository::new();
        repository.expect_find().returning(|_| Ok(None));
        repository.expect_update().returning(|_, _, _| Ok(None));
        repository.expect_delete().returning(|_, _| Ok(false));
        let projetos = projetos(repository);

        let failures = [
            projetos.obter(projeto_id()).await.unwrap_err(),
            projetos.atualizar(projeto_id(), ProjetoPatch::default()).await.unwrap_err(),
            projetos.excluir(projeto_id(), None).await.unwrap_err(),
        ];

        for failure in failures {
            assert!(matches!(failure, Error::NotFound { resource: Resource::Projeto, id } if id == projeto_id().0));
        }
    }

    /// Those of Azure's that the tests of a synchronisation keep: two that are listed, and what is not.
    fn kept() -> Vec<Projeto> {
        let kept = |n, since: OffsetDateTime| Projeto { sincronizado_em: Some(since), ..azure_projeto(n) };
        let marked = Projeto { estado: Some(RemoteProjeto::DELETED.to_owned()), ..kept(5, NOW) };
        let adopted_meanwhile = kept(6, NOW + time::Duration::MICROSECOND);
        vec![projeto("Local"), kept(1, NOW), kept(2, NOW), kept(3, NOW), kept(4, NOW), marked, adopted_meanwhile]
    }

    fn azure_id(n: u32) -> AzureProjectId {
        remote_projeto(n, "P").id
    }

    fn azure_projeto(n: u32) -> Projeto {
        Projeto { azure_project_id: Some(azure_id(n)), ..projeto("P") }
    }

    /// A directory that lists the projects 1 and 2.
    fn listing_two() -> MockProjectDirectory {
        let mut directory = MockProjectDirectory::new();
        directory.expect_list().returning(|_| Ok(vec![remote_projeto(1, "Portal"), remote_projeto(2, "Loja")]));
        directory
    }

    #[tokio::test]
    async fn sincronizar_takes_over_what_azure_devops_lists() {
        let mut repository = MockProjetoRepository::new();
        repository.expect_list().returning(|_| Ok(vec![projeto("Local"), azure_projeto(1)].into()));
        let summary = SyncSummary { synced: 2, created: 1, ..SyncSummary::default() };
        repository
            .expect_synchronize()
            .withf(|remote, gone, since| {
                *remote == [remote_projeto(1, "Portal"), remote_projeto(2, "Loja")] && gone.is_empty() && *since == NOW
            })
            .returning(move |_, _, _| Ok(summary));

        let done = with_directory(repository, listing_two(), None).sincronizar(&maria()).await.unwrap();

        assert_eq!(done, Sincronizacao { summary, em: NOW });
    }

    /// The time is taken before the question, so that whatever is stored while Azure answers counts as newer.
    #[tokio::test]
    async fn sincronizar_is_as_old_as_its_question() {
        let mut clock = crate::MockClock::new();
        let mut order = mockall::Sequence::new();
        clock.expect_now().times(1).in_sequence(&mut order).return_const(NOW);
        let mut directory = MockProjectDirectory::new();
        directory.expect_list().times(1).in_sequence(&mut order).returning(|_| Ok(vec![]));
        let mut repository = MockProjetoRepository::new();
        repository.expect_list().returning(|_| Ok(vec![].into()));
        repository.expect_synchronize().returning(|_, _, _| Ok(SyncSummary::default()));

        let projetos = Projetos::new(Arc::new(repository), Arc::new(directory), None, Arc::new(clock));

        assert_eq!(projetos.sincronizar(&maria()).await.unwrap().em, NOW);
    }

    /// Only what is kept as alive, and was so before the list, is asked for; only what is gone is marked. The service's
    /// own credential tells it where there is one: it sees more than some callers.
    #[tokio::test]
    async fn what_is_not_listed_is_gone_only_when_azure_devops_says_so() {
        let service = || Some(Credential::Basic { pat: "pat".into() });
        for (service, shown) in [(None, "Bearer"), (service(), "Basic")] {
            let mut directory = listing_two();
            directory
                .expect_gone()
                .withf(move |credential, ids| {
                    format!("{credential:?}").starts_with(shown) && *ids == [azure_id(3), azure_id(4)]
                })
                .times(1)
                .returning(|_, _| vec![azure_id(4)]);
            let mut repository = MockProjetoRepository::new();
            repository.expect_list().returning(|query| {
                // What is missing is looked for in every batch.
                let mut first = kept();
                let rest = first.split_off(3);
                let last = rest.last().map(|last| Cursor::of(last, ()));
                Ok(if query.apos.is_none() { Batch { items: first, last } } else { rest.into() })
            });
            repository
                .expect_synchronize()
                .withf(|_, gone, _| *gone == [azure_id(4)])
                .times(1)
                .returning(|_, _, _| Ok(SyncSummary::default()));

            with_directory(repository, directory, service).sincronizar(&maria()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn sincronizar_changes_nothing_when_azure_devops_is_ill() {
        let mut directory = MockProjectDirectory::new();
        directory.expect_list().returning(|_| {
            Err(Error::Unavailable { service: Service::AzureDevOps, retry_after: None, cause: "down".into() })
        });
        let mut repository = MockProjetoRepository::new();
        repository.expect_synchronize().never();

        let failed = with_directory(repository, directory, None).sincronizar(&maria()).await.unwrap_err();

        assert!(matches!(failed, Error::Unavailable { service: Service::AzureDevOps, .. }));
    }

    #[tokio::test]
    async fn the_credential_of_the_service_stands_in_only_for_a_missing_one() {
        let shown = |credential: &Credential| format!("{credential:?}").starts_with("Basic");
        let mut directory = MockProjectDirectory::new();
        directory.expect_list_verbatim().withf(shown).times(1).returning(|_| Ok(vec!["1".to_owned()]));
        directory.expect_list_verbatim().times(1).returning(|_| Ok(vec!["2".to_owned()]));
        let service = Credential::Basic { pat: "pat".into() };
        let projetos = with_directory(MockProjetoRepository::new(), directory, Some(service));
        let nobody = Caller { credential: None, ..maria() };

        assert_eq!(projetos.listar_do_azure(&nobody).await.unwrap(), ["1"]);
        assert_eq!(projetos.listar_do_azure(&maria()).await.unwrap(), ["2"]);
    }

    #[tokio::test]
    async fn nobody_can_synchronise_without_any_credential() {
        let projetos = projetos(MockProjetoRepository::new());
        let nobody = Caller { credential: None, ..maria() };

        assert!(matches!(projetos.sincronizar(&nobody).await, Err(Error::Conflict(Conflict::SemOrganizacao))));
    }
}
