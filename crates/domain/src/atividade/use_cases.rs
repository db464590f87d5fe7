//! What can be done with atividades.

use std::collections::BTreeSet;
use std::sync::Arc;

use time::{Duration, OffsetDateTime};

use crate::paging::Fetch;
use crate::{
    Atividade, AtividadeId, AtividadePatch, AtividadeQuery, AtividadeRecord, AtividadeRepository, AtividadeSortKey,
    AzureProjectId, BatchReader, Caller, Clock, Conflict, Credential, Cursor, Error, Idempotency, Limit, NovaAtividade,
    Page, ProjectDirectory, ProjetoRef, ProjetoRepository, RemoteProjeto, Resource,
};

/// How many projetos are looked up one by one; for more of them the whole list is asked for.
const LOOK_UPS: usize = 4;

/// The use cases of atividades.
pub struct Atividades {
    repository: Arc<dyn AtividadeRepository>,
    projetos: Arc<dyn ProjetoRepository>,
    directory: Arc<dyn ProjectDirectory>,
    clock: Arc<dyn Clock>,
}

impl Atividades {
    /// The use cases over `repository`, at the time of `clock`; a projeto that is missing in `projetos` is looked up
    /// in `directory`.
    #[must_use]
    pub fn new(
        repository: Arc<dyn AtividadeRepository>,
        projetos: Arc<dyn ProjetoRepository>,
        directory: Arc<dyn ProjectDirectory>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { repository, projetos, directory, clock }
    }

    /// Creates an atividade in the name of the caller.
    ///
    /// # Errors
    /// `Invalid` on `id_projeto` when neither this system nor Azure DevOps shows the caller a projeto with that id;
    /// `Unavailable`, `TimedOut` or `BadUpstream` when Azure DevOps has to be asked and is ill; `KeyReused`.
    pub async fn criar(
        &self,
        caller: &Caller,
        nova: NovaAtividade,
        once: Option<Idempotency>,
    ) -> Result<Atividade, Error> {
        if once.is_some() {
            let mut criadas = self.criar_lote(caller, vec![nova], once).await.map_err(Error::of_one)?;
            return criadas.pop().ok_or_else(|| Error::internal("one record was stored and none answered"));
        }
        let record = AtividadeRecord::new(nova, &caller.usuario, self.clock.now());
        match self.repository.insert(record.clone()).await {
            Err(unknown) if unknown.is_unknown_projeto() => {
                if !self.adopt(&[record.projeto].into(), caller).await? {
                    return Err(unknown);
                }
                self.repository.insert(record).await
            }
            done => done,
        }
    }

    /// Creates all of `novas` in the name of the caller, or none. They are a microsecond apart, so that lists keep
    /// their order.
    ///
    /// # Errors
    /// Those of [`Self::criar`], each fault with the place of its item.
    pub async fn criar_lote(
        &self,
        caller: &Caller,
        novas: Vec<NovaAtividade>,
        once: Option<Idempotency>,
    ) -> Result<Vec<Atividade>, Error> {
        let mut now = self.clock.now();
        let mut records = Vec::with_capacity(novas.len());
        for nova in novas {
            records.push(AtividadeRecord::new(nova, &caller.usuario, now));
            now += Duration::MICROSECOND;
        }
        match self.repository.insert_all(records.clone(), once.clone()).await {
            Err(unknown) if unknown.is_unknown_projeto() => {
                if !self.adopt(&unknown_projetos(&records, &unknown), caller).await? {
                    return Err(unknown);
                }
                self.repository.insert_all(records, once).await
            }
            done => done,
        }
    }

    /// One page of the atividades that match, or its first rows: see [`Self::resto`].
    ///
    /// # Errors
    /// Those of the repository.
    pub async fn listar(&self, query: AtividadeQuery) -> Result<Page<Atividade>, Error> {
        self.repository.list(query).await
    }

    /// The rest of a page that [`Self::listar`] or [`Self::paginar`] returned for `query`, if rows were left out.
    #[must_use]
    pub fn resto(&self, query: AtividadeQuery, pagina: &Page<Atividade>) -> Option<BatchReader<Atividade>> {
        BatchReader::remaining(query, pagina, self.fetch())
    }

    /// The page of `query` alone, or all matches from there on if `is_whole_list`, batch by batch.
    #[must_use]
    pub fn exportar(&self, query: AtividadeQuery, is_whole_list: bool) -> BatchReader<Atividade> {
        BatchReader::new(query, is_whole_list, self.fetch())
    }

    fn fetch(&self) -> Fetch<Atividade> {
        let repository = Arc::clone(&self.repository);
        Box::new(move |query| {
            let repository = Arc::clone(&repository);
            Box::pin(async move { repository.rows(query).await })
        })
    }

    /// One page, and the cursor of the next one where there is one.
    ///
    /// # Errors
    /// Those of the repository.
    pub async fn paginar(
        &self,
        query: AtividadeQuery,
    ) -> Result<(Page<Atividade>, Option<Cursor<AtividadeSortKey>>), Error> {
        let page = self.repository.list(query.clone()).await?;
        let Some(end) = page.end(&query) else { return Ok((page, None)) };
        let next = self.repository.rows(query.after(end.clone(), Limit::ONE)).await?;
        Ok((page, (!next.items.is_empty()).then_some(end)))
    }

    /// The atividade with that id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn obter(&self, id: AtividadeId) -> Result<Atividade, Error> {
        self.repository.find(id).await?.ok_or_else(|| not_found(id))
    }

    /// Changes the fields that are present.
    ///
    /// # Errors
    /// `NotFound`; `Changed` when the patch expects another `atualizado_em`; on `id_projeto` those of [`Self::criar`].
    pub async fn atualizar(&self, caller: &Caller, id: AtividadeId, patch: AtividadePatch) -> Result<Atividade, Error> {
        let updated = match (self.repository.update(id, patch.clone(), self.clock.now()).await, patch.projeto) {
            (Err(unknown), Some(projeto)) if unknown.is_unknown_projeto() => {
                if !self.adopt(&[projeto].into(), caller).await? {
                    return Err(unknown);
                }
                self.repository.update(id, patch, self.clock.now()).await
            }
            (done, _) => done,
        };
        updated?.ok_or_else(|| not_found(id))
    }

    /// Deletes it for good, where `expected` is given only while `atualizado_em` still is that.
    ///
    /// # Errors
    /// `NotFound`; `Changed`.
    pub async fn excluir(&self, id: AtividadeId, expected: Option<OffsetDateTime>) -> Result<(), Error> {
        if self.repository.delete(id, expected).await? { Ok(()) } else { Err(not_found(id)) }
    }

    /// Takes over projetos that are unknown here from Azure DevOps, and answers whether it shows the caller any of
    /// them. Whoever may not see one is told the same as if there were none.
    async fn adopt(&self, projetos: &BTreeSet<ProjetoRef>, caller: &Caller) -> Result<bool, Error> {
        let Some(credential) = caller.credential.clone() else { return Ok(false) };
        let since = self.clock.now();
        let found = match self.look_up(projetos, credential).await {
            Err(Error::Forbidden | Error::Conflict(Conflict::SemOrganizacao)) => return Ok(false),
            found => found?,
        };
        let is_any = !found.is_empty();
        for remote in found {
            self.projetos.store_remote(remote, since).await?;
        }
        Ok(is_any)
    }

    async fn look_up(
        &self,
        projetos: &BTreeSet<ProjetoRef>,
        credential: Credential,
    ) -> Result<Vec<RemoteProjeto>, Error> {
        if LOOK_UPS < projetos.len() {
            let listed = self.directory.list(credential).await?;
            return Ok(listed.into_iter().filter(|remote| projetos.contains(&ProjetoRef(remote.id.get()))).collect());
        }
        let mut found = Vec::new();
        for id in projetos.iter().filter_map(|projeto| AzureProjectId::new(projeto.0).ok()) {
            found.extend(self.directory.find(credential.clone(), id).await?);
        }
        Ok(found)
    }
}

/// The projetos of the items that `unknown` names, each once.
fn unknown_projetos(records: &[AtividadeRecord], unknown: &Error) -> BTreeSet<ProjetoRef> {
    let Error::Invalid(fields) = unknown else { return BTreeSet::new() };
    fields.iter().filter_map(|field| records.get(field.item?)).map(|record| record.projeto).collect()
}

fn not_found(id: AtividadeId) -> Error {
    Error::NotFound { resource: Resource::Atividade, id: id.0 }
}

#[cfg(test)]
mod tests {
    use mockall::predicate::{always, eq};

    use super::*;
    use crate::testing::{
        NOW, atividade, atividade_id, fixed_clock, maria, nova_atividade, projeto, remote_projeto, stored,
    };
    use crate::{
        Batch, Batches, MockAtividadeRepository, MockProjectDirectory, MockProjetoRepository, Ordem, Service, Skip,
        Violation,
    };

    fn atividades(repository: MockAtividadeRepository) -> Atividades {
        with_directory(repository, MockProjetoRepository::new(), MockProjectDirectory::new())
    }

    fn with_directory(
        repository: MockAtividadeRepository,
        projetos: MockProjetoRepository,
        directory: MockProjectDirectory,
    ) -> Atividades {
        Atividades::new(Arc::new(repository), Arc::new(projetos), Arc::new(directory), fixed_clock())
    }

    /// A repository that does not know the projeto at the first attempt.
    fn repository_missing_the_projeto() -> MockAtividadeRepository {
        let mut repository = MockAtividadeRepository::new();
        let unknown = || Error::invalid("id_projeto", Violation::UnknownProjeto);
        repository.expect_insert().times(0..=1).returning(move |_| Err(unknown()));
        repository.expect_insert().returning(|record| Ok(stored(record)));
        repository.expect_update().times(0..=1).returning(move |_, _, _| Err(unknown()));
        repository.expect_update().returning(|_, _, _| Ok(Some(atividade("A"))));
        repository
    }

    #[tokio::test]
    async fn criar_stamps_author_and_time() {
        let mut repository = MockAtividadeRepository::new();
        repository.expect_insert().times(1).returning(|record| Ok(stored(record)));

        let criada = atividades(repository).criar(&maria(), nova_atividade("Revisar contrato"), None).await.unwrap();

        assert_eq!(criada.criado_por.as_deref(), Some("maria@exemplo.br"));
        assert_eq!((criada.criado_em, criada.atualizado_em), (NOW, NOW));
    }

    #[tokio::test]
    async fn criar_gives_every_atividade_an_id_of_its_own() {
        let mut repository = MockAtividadeRepository::new();
        repository.expect_insert().returning(|record| Ok(stored(record)));
        let atividades = atividades(repository);

        let first = atividades.criar(&maria(), nova_atividade("A"), None).await.unwrap();
        let second = atividades.criar(&maria(), nova_atividade("A"), None).await.unwrap();

        assert_ne!(first.id, second.id);
        assert_eq!(first.id.0.get_version_num(), 7);
    }

    #[tokio::test]
    async fn an_unknown_projeto_is_taken_over_from_azure_devops() {
        let mut directory = MockProjectDirectory::new();
        let id = AzureProjectId::new(nova_atividade("A").projeto.0).unwrap();
        directory.expect_find().with(always(), eq(id)).times(2).returning(|_, _| Ok(Some(remote_projeto(1, "Novo"))));
        let mut projetos = MockProjetoRepository::new();
        projetos
            .expect_store_remote()
            .with(eq(remote_projeto(1, "Novo")), eq(NOW))
            .times(2)
            .returning(|_, _| Ok(projeto("Novo")));
        let atividades = with_directory(repository_missing_the_projeto(), projetos, directory);
        let patch = AtividadePatch { projeto: Some(nova_atividade("A").projeto), ..AtividadePatch::default() };

        atividades.criar(&maria(), nova_atividade("A"), None).await.unwrap();
        atividades.atualizar(&maria(), atividade_id(), patch).await.unwrap();
    }

    #[tokio::test]
    async fn a_projeto_that_azure_devops_does_not_show_is_unknown() {
        type Answer = fn() -> Result<Option<crate::RemoteProjeto>, Error>;
        let refusals: [Answer; 3] =
            [|| Ok(None), || Err(Error::Forbidden), || Err(Error::Conflict(Conflict::SemOrganizacao))];
        for answer in refusals {
            let mut directory = MockProjectDirectory::new();
            directory.expect_find().times(1).returning(move |_, _| answer());
            let atividades = with_directory(repository_missing_the_projeto(), MockProjetoRepository::new(), directory);

            let refused = atividades.criar(&maria(), nova_atividade("A"), None).await.unwrap_err();

            assert!(refused.is_unknown_projeto());
        }
    }

    #[tokio::test]
    async fn azure_devops_is_not_asked_without_a_credential() {
        let nobody = Caller { credential: None, ..maria() };

        let refused =
            atividades(repository_missing_the_projeto()).criar(&nobody, nova_atividade("A"), None).await.unwrap_err();

        assert!(refused.is_unknown_projeto());
    }

    #[tokio::test]
    async fn an_ill_azure_devops_is_no_fault_of_the_request() {
        let mut directory = MockProjectDirectory::new();
        directory
            .expect_find()
            .returning(|_, _| Err(Error::TimedOut { service: Service::AzureDevOps, cause: "slow".into() }));
        let atividades = with_directory(repository_missing_the_projeto(), MockProjetoRepository::new(), directory);

        let failed = atividades.criar(&maria(), nova_atividade("A"), None).await.unwrap_err();

        assert!(matches!(failed, Error::TimedOut { service: Service::AzureDevOps, .. }));
    }

    /// Another failure of the repository has nothing to do with Azure DevOps, which is not asked.
    #[tokio::test]
    async fn a_failure_of_the_repository_is_passed_on() {
        let gone = || Error::Unavailable { service: Service::Database, retry_after: None, cause: "gone".into() };
        let mut repository = MockAtividadeRepository::new();
        repository.expect_insert().times(1).returning(move |_| Err(gone()));
        repository.expect_insert_all().times(1).returning(move |_, _| Err(gone()));
        repository.expect_update().times(1).returning(move |_, _, _| Err(gone()));
        let atividades = atividades(repository);
        let patch = AtividadePatch { projeto: Some(nova_atividade("A").projeto), ..AtividadePatch::default() };

        let failures = [
            atividades.criar(&maria(), nova_atividade("A"), None).await.unwrap_err(),
            atividades.criar_lote(&maria(), vec![nova_atividade("A")], None).await.unwrap_err(),
            atividades.atualizar(&maria(), atividade_id(), patch).await.unwrap_err(),
        ];

        assert!(
            failures
                .iter()
                .all(|failure| matches!(failure, Error::Unavailable { .. }) && !failure.is_unknown_projeto())
        );
    }

    #[tokio::test]
    async fn resto_is_what_a_page_left_out() {
        let last = Cursor { id: uuid::Uuid::nil(), ..Cursor::of(&atividade("B"), Ordem::default()) };
        let query = AtividadeQuery { skip: Skip::parse(7).unwrap(), ..AtividadeQuery::default() };
        let rest = AtividadeQuery {
            apos: Some(Cursor::of(&atividade("A"), Ordem::default())),
            ate: Some(last.clone()),
            limit: Limit::parse(8).unwrap(),
            ..AtividadeQuery::default()
        };
        let mut repository = MockAtividadeRepository::new();
        repository
            .expect_rows()
            .with(eq(rest))
            .times(1)
            .returning(|_| Ok(Batch { items: vec![atividade("B")], last: None }));
        let atividades = atividades(repository);
        let whole = Page { items: vec![atividade("A")], total: 9, last: None };
        let cut = Page { last: Some(last), ..whole.clone() };

        assert!(atividades.resto(query.clone(), &whole).is_none());
        let mut rest = atividades.resto(query, &cut).unwrap();
        assert_eq!(rest.next().await.unwrap(), Some(vec![atividade("B")]));
        assert_eq!(rest.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_full_page_has_a_next_one_if_there_is_more_after_its_last_row() {
        let query = AtividadeQuery {
            skip: Skip::parse(7).unwrap(),
            limit: Limit::parse(2).unwrap(),
            ..AtividadeQuery::default()
        };
        let last = Cursor::of(&atividade("B"), Ordem::default());
        for (items, cut, more, expected) in [
            (vec!["A", "B"], None, vec![atividade("C")], Some(last.clone())),
            (vec!["A", "B"], None, vec![], None),
            (vec!["B"], None, vec![atividade("C")], None),
            (vec![], None, vec![], None),
            // The second row did not fit.
            (vec!["A"], Some(last.clone()), vec![atividade("C")], Some(last.clone())),
            (vec!["A"], Some(last.clone()), vec![], None),
        ] {
            let page: Vec<_> = items.into_iter().map(atividade).collect();
            let is_full = page.len() == 2 || cut.is_some();
            let mut repository = MockAtividadeRepository::new();
            let listed = page.clone();
            repository
                .expect_list()
                .with(eq(query.clone()))
                .returning(move |_| Ok(Page { items: listed.clone(), total: 9, last: cut.clone() }));
            let after = AtividadeQuery { apos: Some(last.clone()), limit: Limit::ONE, ..AtividadeQuery::default() };
            repository
                .expect_rows()
                .with(eq(after))
                .times(usize::from(is_full))
                .returning(move |_| Ok(Batch { items: more.clone(), last: None }));

            let (pagina, proximo) = atividades(repository).paginar(query.clone()).await.unwrap();

            assert_eq!((pagina.items, pagina.total, proximo), (page, 9, expected));
        }
    }

    #[tokio::test]
    async fn what_does_not_exist_is_not_found() {
        let mut repository = MockAtividadeRepository::new();
        repository.expect_find().returning(|_| Ok(None));
        repository.expect_update().with(eq(atividade_id()), always(), eq(NOW)).returning(|_, _, _| Ok(None));
        repository.expect_delete().returning(|_, _| Ok(false));
        let atividades = atividades(repository);

        let failures = [
            atividades.obter(atividade_id()).await.unwrap_err(),
            atividades.atualizar(&maria(), atividade_id(), AtividadePatch::default()).await.unwrap_err(),
            atividades.excluir(atividade_id(), None).await.unwrap_err(),
        ];

        for failure in failures {
            assert!(matches!(failure, Error::NotFound { resource: Resource::Atividade, id } if id == atividade_id().0));
        }
    }

    /// A repository that misses the projeto of every record once, and then has them all.
    fn repository_missing_all(items: usize) -> MockAtividadeRepository {
        let mut repository = MockAtividadeRepository::new();
        let unknown = move || Error::invalid_items(0..items, "id_projeto", Violation::UnknownProjeto);
        repository.expect_insert_all().times(1).returning(move |_, _| Err(unknown()));
        repository.expect_insert_all().returning(|records, _| Ok(records.into_iter().map(stored).collect()));
        repository
    }

    fn lote(projetos: u32) -> Vec<NovaAtividade> {
        let projeto = |n| ProjetoRef(remote_projeto(n, "Novo").id.get());
        (0..projetos).map(|n| NovaAtividade { projeto: projeto(n), ..nova_atividade("A") }).collect()
    }

    #[tokio::test]
    async fn a_lote_keeps_its_order_in_time() {
        let mut repository = MockAtividadeRepository::new();
        repository.expect_insert_all().returning(|records, _| Ok(records.into_iter().map(stored).collect()));

        let criadas = atividades(repository).criar_lote(&maria(), lote(3), None).await.unwrap();

        let times: Vec<_> = criadas.iter().map(|criada| (criada.criado_em - NOW).whole_microseconds()).collect();
        assert_eq!(times, [0, 1, 2]);
    }

    #[tokio::test]
    async fn few_unknown_projetos_of_a_lote_are_looked_up_one_by_one_and_many_at_once() {
        for (n, one_by_one) in [(4, 4), (5, 0)] {
            let mut directory = MockProjectDirectory::new();
            directory
                .expect_find()
                .times(one_by_one)
                .returning(|_, id| Ok(Some(RemoteProjeto { id, ..remote_projeto(0, "Novo") })));
            directory
                .expect_list()
                .times(usize::from(one_by_one == 0))
                .returning(|_| Ok((0..100).map(|n| remote_projeto(n, "Novo")).collect()));
            let mut projetos = MockProjetoRepository::new();
            projetos.expect_store_remote().times(usize::try_from(n).unwrap()).returning(|_, _| Ok(projeto("Novo")));
            let repository = repository_missing_all(usize::try_from(n).unwrap());

            let criadas =
                with_directory(repository, projetos, directory).criar_lote(&maria(), lote(n), None).await.unwrap();

            assert_eq!(criadas.len(), usize::try_from(n).unwrap());
        }
    }
}
