use mockall::predicate::{always, eq};

use super::*;
use crate::testing::{
    NOW, atividade, atividade_id, fixed_clock, maria, nova_atividade, projeto, remote_projeto, stored,
};
use crate::{
    AzureProjectId, Batch, Batches, Conflict, MockAtividadeRepository, MockProjectDirectory, MockProjetoRepository,
    Ordem, RemoteProjeto, Service, Skip, Violation,
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

/// A repository in which the projeto is missing at the first attempt.
fn repository_missing_the_projeto() -> MockAtividadeRepository {
    let mut repository = MockAtividadeRepository::new();
    let unknown = || Error::invalid("id_projeto", Violation::UnknownProjeto);
    repository.expect_insert().times(0..=1).returning(move |_| Err(unknown()));
    repository.expect_insert().returning(|record| Ok(stored(record)));
    repository.expect_update().times(0..=1).returning(move |_, _, _| Err(unknown()));
    repository.expect_update().returning(|_, _, _| Ok(Some(atividade("A"))));
    repository
}

/// Returns the item and the id of each unknown projeto that `error` reports.
fn unknown_ids(error: &Error) -> Vec<(Option<usize>, uuid::Uuid)> {
    let Error::UnknownReferences(all) = error else { panic!("{error:?}") };
    assert!(all.iter().all(|one| one.resource == Resource::Projeto && one.field == "id_projeto"));
    all.iter().map(|one| (one.item, one.id)).collect()
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
async fn criar_twice_generates_different_ids() {
    let mut repository = MockAtividadeRepository::new();
    repository.expect_insert().returning(|record| Ok(stored(record)));
    let atividades = atividades(repository);

    let first = atividades.criar(&maria(), nova_atividade("A"), None).await.unwrap();
    let second = atividades.criar(&maria(), nova_atividade("A"), None).await.unwrap();

    assert_ne!(first.id, second.id);
    assert_eq!(first.id.0.get_version_num(), 7);
}

#[tokio::test]
async fn criar_and_atualizar_with_unknown_projeto_import_it() {
    let mut directory = MockProjectDirectory::new();
    let id = AzureProjectId::new(nova_atividade("A").projetos.first().0).unwrap();
    directory.expect_find().with(always(), eq(id)).times(2).returning(|_, _| Ok(Some(remote_projeto(1, "Novo"))));
    let mut projetos = MockProjetoRepository::new();
    projetos
        .expect_store_remote()
        .with(eq(remote_projeto(1, "Novo")), eq(NOW))
        .times(2)
        .returning(|_, _| Ok(projeto("Novo")));
    let atividades = with_directory(repository_missing_the_projeto(), projetos, directory);
    let patch = AtividadePatch { projetos: Some(nova_atividade("A").projetos), ..AtividadePatch::default() };

    atividades.criar(&maria(), nova_atividade("A"), None).await.unwrap();
    atividades.atualizar(&maria(), atividade_id(), patch).await.unwrap();
}

#[tokio::test]
async fn criar_with_projeto_hidden_in_azure_devops_is_invalid() {
    type Response = fn() -> Result<Option<RemoteProjeto>, Error>;
    let responses: [Response; 3] =
        [|| Ok(None), || Err(Error::Forbidden), || Err(Error::Conflict(Conflict::SemOrganizacao))];
    for response in responses {
        let mut directory = MockProjectDirectory::new();
        directory.expect_find().times(1).returning(move |_, _| response());
        let atividades = with_directory(repository_missing_the_projeto(), MockProjetoRepository::new(), directory);

        let error = atividades.criar(&maria(), nova_atividade("A"), None).await.unwrap_err();

        assert_eq!(unknown_ids(&error), [(None, nova_atividade("A").projetos.first().0)]);
    }
}

#[tokio::test]
async fn criar_without_credential_skips_azure_devops() {
    let anonymous = Caller { credential: None, ..maria() };

    let error =
        atividades(repository_missing_the_projeto()).criar(&anonymous, nova_atividade("A"), None).await.unwrap_err();

    assert_eq!(unknown_ids(&error), [(None, nova_atividade("A").projetos.first().0)]);
}

#[tokio::test]
async fn criar_during_azure_devops_timeout_is_timed_out() {
    let mut directory = MockProjectDirectory::new();
    directory
        .expect_find()
        .returning(|_, _| Err(Error::TimedOut { service: Service::AzureDevOps, cause: "slow".into() }));
    let atividades = with_directory(repository_missing_the_projeto(), MockProjetoRepository::new(), directory);

    let error = atividades.criar(&maria(), nova_atividade("A"), None).await.unwrap_err();

    assert!(matches!(error, Error::TimedOut { service: Service::AzureDevOps, .. }));
}

/// Other errors of the repository cause no lookup at Azure DevOps.
#[tokio::test]
async fn repository_error_is_returned_without_lookup() {
    let unavailable = || Error::Unavailable { service: Service::Database, retry_after: None, cause: "down".into() };
    let mut repository = MockAtividadeRepository::new();
    repository.expect_insert().times(1).returning(move |_| Err(unavailable()));
    repository.expect_insert_all().times(1).returning(move |_, _| Err(unavailable()));
    repository.expect_update().times(1).returning(move |_, _, _| Err(unavailable()));
    let atividades = atividades(repository);
    let patch = AtividadePatch { projetos: Some(nova_atividade("A").projetos), ..AtividadePatch::default() };

    let errors = [
        atividades.criar(&maria(), nova_atividade("A"), None).await.unwrap_err(),
        atividades.criar_lote(&maria(), vec![nova_atividade("A")], None).await.unwrap_err(),
        atividades.atualizar(&maria(), atividade_id(), patch).await.unwrap_err(),
    ];

    assert!(errors.iter().all(|error| matches!(error, Error::Unavailable { .. })));
}

#[tokio::test]
async fn itens_restantes_of_a_cut_page_are_the_dropped_ones() {
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
        .expect_list_items()
        .with(eq(rest))
        .times(1)
        .returning(|_| Ok(Batch { items: vec![atividade("B")], last: None }));
    let atividades = atividades(repository);
    let whole = Page { items: vec![atividade("A")], total: 9, last: None };
    let cut = Page { last: Some(last), ..whole.clone() };

    assert!(atividades.itens_restantes(query.clone(), &whole).is_none());
    let mut rest = atividades.itens_restantes(query, &cut).unwrap();
    assert_eq!(rest.next().await.unwrap(), Some(vec![atividade("B")]));
    assert_eq!(rest.next().await.unwrap(), None);
}

#[tokio::test]
async fn listar_por_cursor_returns_a_cursor_only_if_items_follow() {
    let query =
        AtividadeQuery { skip: Skip::parse(7).unwrap(), limit: Limit::parse(2).unwrap(), ..AtividadeQuery::default() };
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
            .expect_list_items()
            .with(eq(after))
            .times(usize::from(is_full))
            .returning(move |_| Ok(Batch { items: more.clone(), last: None }));

        let (pagina, proximo) = atividades(repository).listar_por_cursor(query.clone()).await.unwrap();

        assert_eq!((pagina.items, pagina.total, proximo), (page, 9, expected));
    }
}

#[tokio::test]
async fn missing_atividade_is_not_found() {
    let mut repository = MockAtividadeRepository::new();
    repository.expect_find().returning(|_| Ok(None));
    repository.expect_update().with(eq(atividade_id()), always(), eq(NOW)).returning(|_, _, _| Ok(None));
    repository.expect_delete().returning(|_, _| Ok(false));
    let atividades = atividades(repository);

    let errors = [
        atividades.obter(atividade_id()).await.unwrap_err(),
        atividades.atualizar(&maria(), atividade_id(), AtividadePatch::default()).await.unwrap_err(),
        atividades.excluir(atividade_id(), None).await.unwrap_err(),
    ];

    for error in errors {
        assert!(matches!(error, Error::NotFound { resource: Resource::Atividade, id } if id == atividade_id().0));
    }
}

/// A repository in which the projeto of every record is missing at the first attempt.
fn repository_missing_all(items: usize) -> MockAtividadeRepository {
    let mut repository = MockAtividadeRepository::new();
    let unknown = move || Error::invalid_items(0..items, "id_projeto", Violation::UnknownProjeto);
    repository.expect_insert_all().times(1).returning(move |_, _| Err(unknown()));
    repository.expect_insert_all().returning(|records, _| Ok(records.into_iter().map(stored).collect()));
    repository
}

fn lote(projetos: u32) -> Vec<NovaAtividade> {
    let projeto = |n| ProjetoRef(remote_projeto(n, "Novo").id.get());
    (0..projetos).map(|n| NovaAtividade { projetos: projeto(n).into(), ..nova_atividade("A") }).collect()
}

/// Only the unknown ones of several projetos are imported, also by a request with an idempotency key and by an update.
#[tokio::test]
async fn unknown_ones_of_several_projetos_are_imported() {
    let ids = [1, 2, 3].map(|n| ProjetoRef(remote_projeto(n, "Novo").id.get()));
    let several = ProjetoRefs::parse(ids.to_vec()).unwrap();
    let is_known = move |id: ProjetoRef| id == ids[1];
    let mut repository = MockAtividadeRepository::new();
    let unknown = move |projetos: &ProjetoRefs| Error::Invalid(projetos.unknown(is_known));
    repository.expect_insert().times(1).returning(move |record| Err(unknown(&record.projetos)));
    repository.expect_insert().returning(|record| Ok(stored(record)));
    let of_item = move |projetos: &ProjetoRefs| {
        let fields = projetos.unknown(is_known).into_iter().map(|field| InvalidField { item: Some(1), ..field });
        Error::Invalid(fields.collect())
    };
    repository.expect_insert_all().times(1).returning(move |records, _| Err(of_item(&records[1].projetos)));
    repository.expect_insert_all().returning(|records, _| Ok(records.into_iter().map(stored).collect()));
    repository.expect_update().times(1).returning(move |_, patch, _| Err(unknown(&patch.projetos.unwrap())));
    repository.expect_update().returning(|_, _, _| Ok(Some(atividade("A"))));
    let mut directory = MockProjectDirectory::new();
    directory
        .expect_find()
        .withf(|_, id| *id != remote_projeto(2, "Novo").id)
        .times(6)
        .returning(|_, id| Ok(Some(RemoteProjeto { id, ..remote_projeto(0, "Novo") })));
    let mut projetos = MockProjetoRepository::new();
    projetos.expect_store_remote().times(6).returning(|_, _| Ok(projeto("Novo")));
    let atividades = with_directory(repository, projetos, directory);
    let nova = NovaAtividade { projetos: several.clone(), ..nova_atividade("A") };
    let patch = AtividadePatch { projetos: Some(several), ..AtividadePatch::default() };

    atividades.criar(&maria(), nova.clone(), None).await.unwrap();
    atividades.criar_lote(&maria(), vec![nova_atividade("B"), nova], None).await.unwrap();
    atividades.atualizar(&maria(), atividade_id(), patch).await.unwrap();
}

/// Each unknown one of several projetos is reported with its place in the list, by a create, a bulk create and an update.
#[tokio::test]
async fn unknown_ones_of_several_projetos_are_reported_with_their_index() {
    let ids = [1, 2, 3].map(|n| ProjetoRef(remote_projeto(n, "Novo").id.get()));
    let several = ProjetoRefs::parse(ids.to_vec()).unwrap();
    let unknown = move |item| {
        let of = move |projetos: &ProjetoRefs| projetos.unknown(|id| id == ids[1]).into_iter();
        move |projetos: &ProjetoRefs| Error::Invalid(of(projetos).map(|field| InvalidField { item, ..field }).collect())
    };
    let mut repository = MockAtividadeRepository::new();
    repository.expect_insert().returning(move |record| Err(unknown(None)(&record.projetos)));
    repository.expect_insert_all().returning(move |records, _| Err(unknown(Some(1))(&records[1].projetos)));
    repository.expect_update().returning(move |_, patch, _| Err(unknown(None)(&patch.projetos.unwrap())));
    let mut directory = MockProjectDirectory::new();
    directory.expect_find().returning(|_, _| Ok(None));
    let atividades = with_directory(repository, MockProjetoRepository::new(), directory);
    let nova = NovaAtividade { projetos: several.clone(), ..nova_atividade("A") };
    let patch = AtividadePatch { projetos: Some(several), ..AtividadePatch::default() };
    let lote = vec![nova_atividade("B"), nova.clone()];

    for (item, error) in [
        (None, atividades.criar(&maria(), nova, None).await.unwrap_err()),
        (Some(1), atividades.criar_lote(&maria(), lote, None).await.unwrap_err()),
        (None, atividades.atualizar(&maria(), atividade_id(), patch).await.unwrap_err()),
    ] {
        let Error::UnknownReferences(all) = error else { panic!("{error:?}") };
        let named: Vec<_> = all.iter().map(|one| (one.item, one.field, one.index, one.id)).collect();
        let expected = |index, id: ProjetoRef| (item, "ids_projetos", Some(index), id.0);
        assert_eq!(named, [expected(0, ids[0]), expected(2, ids[2])]);
    }
}

#[tokio::test]
async fn criar_lote_spaces_times_by_one_microsecond() {
    let mut repository = MockAtividadeRepository::new();
    repository.expect_insert_all().returning(|records, _| Ok(records.into_iter().map(stored).collect()));

    let criadas = atividades(repository).criar_lote(&maria(), lote(3), None).await.unwrap();

    let times: Vec<_> = criadas.iter().map(|criada| (criada.criado_em - NOW).whole_microseconds()).collect();
    assert_eq!(times, [0, 1, 2]);
}

#[tokio::test]
async fn criar_lote_with_many_unknown_projetos_lists_them_once() {
    for (n, one_by_one) in [(4, 4), (5, 0)] {
        let mut directory = MockProjectDirectory::new();
        directory
            .expect_find()
            .times(one_by_one)
            .returning(|_, id| Ok(Some(RemoteProjeto { id, ..remote_projeto(0, "Novo") })));
        directory
            .expect_list()
            .times(usize::from(one_by_one == 0))
            .returning(|_| Ok((0..100).map(|n| remote_projeto(n, "Novo")).collect::<Vec<_>>().into()));
        let mut projetos = MockProjetoRepository::new();
        projetos.expect_store_remote().times(usize::try_from(n).unwrap()).returning(|_, _| Ok(projeto("Novo")));
        let repository = repository_missing_all(usize::try_from(n).unwrap());

        let criadas =
            with_directory(repository, projetos, directory).criar_lote(&maria(), lote(n), None).await.unwrap();

        assert_eq!(criadas.len(), usize::try_from(n).unwrap());
    }
}

/// A projeto that disappears between the import and the second attempt is unknown as well.
#[tokio::test]
async fn unknown_projetos_are_reported_with_item_and_id() {
    let unknown = || Error::invalid_items([1], "id_projeto", Violation::UnknownProjeto);
    let mut repository = MockAtividadeRepository::new();
    repository.expect_insert_all().returning(move |_, _| Err(unknown()));
    let ids = lote(2).into_iter().map(|nova| nova.projetos.first().0).collect::<Vec<_>>();
    let mut directory = MockProjectDirectory::new();
    directory.expect_find().returning(|_, id| Ok(Some(RemoteProjeto { id, ..remote_projeto(0, "Novo") })));
    let mut projetos = MockProjetoRepository::new();
    projetos.expect_store_remote().returning(|_, _| Ok(projeto("Novo")));
    let atividades = with_directory(repository, projetos, directory);

    let error = atividades.criar_lote(&maria(), lote(2), None).await.unwrap_err();

    assert_eq!(unknown_ids(&error), [(Some(1), ids[1])]);
    assert_eq!(unknown_ids(&error.without_item_index()), [(None, ids[1])]);
}
