use super::*;
use crate::testing::{NOW, fixed_clock, maria, novo_projeto, projeto, projeto_id, remote_projeto, stored_projeto};
use crate::{
    Batch, Cursor, DeletionEvidence, MockProjectDirectory, MockProjetoRepository, ProjectList, Service, SyncSummary,
};

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
async fn criar_creates_a_local_projeto() {
    let mut repository = MockProjetoRepository::new();
    repository.expect_insert().returning(|record, _| Ok(stored_projeto(record)));

    let criado = projetos(repository).criar(novo_projeto("Interno"), None).await.unwrap();

    assert_eq!(criado.id.0.get_version_num(), 7);
    assert_eq!((criado.criado_em, criado.azure_project_id), (NOW, None));
}

#[tokio::test]
async fn excluir_projeto_with_atividades_is_a_conflict() {
    let mut repository = MockProjetoRepository::new();
    repository.expect_delete().returning(|_, _| Err(Error::Conflict(Conflict::ProjetoComAtividades)));

    let error = projetos(repository).excluir(projeto_id(), None).await.unwrap_err();

    assert!(matches!(error, Error::Conflict(Conflict::ProjetoComAtividades)));
}

#[tokio::test]
async fn missing_projeto_is_not_found() {
    let mut repository = MockProjetoRepository::new();
    repository.expect_find().returning(|_| Ok(None));
    repository.expect_update().returning(|_, _, _| Ok(None));
    repository.expect_delete().returning(|_, _| Ok(false));
    let projetos = projetos(repository);

    let errors = [
        projetos.obter(projeto_id()).await.unwrap_err(),
        projetos.atualizar(projeto_id(), ProjetoPatch::default()).await.unwrap_err(),
        projetos.excluir(projeto_id(), None).await.unwrap_err(),
    ];

    for error in errors {
        assert!(matches!(error, Error::NotFound { resource: Resource::Projeto, id } if id == projeto_id().0));
    }
}

/// Stored projetos: one local, two listed by Azure DevOps, two unlisted, one marked deleted, one newer than the list.
fn stored_projetos() -> Vec<Projeto> {
    let synchronized = |n, since: OffsetDateTime| Projeto { sincronizado_em: Some(since), ..azure_projeto(n) };
    let deleted = Projeto { estado: Some(RemoteProjeto::DELETED.to_owned()), ..synchronized(5, NOW) };
    let newer = synchronized(6, NOW + time::Duration::MICROSECOND);
    // Stamped by a clock that ran ahead by a day, so not newer.
    let from_wrong_clock = synchronized(4, NOW + time::Duration::DAY);
    vec![
        projeto("Local"),
        synchronized(1, NOW),
        synchronized(2, NOW),
        synchronized(3, NOW),
        from_wrong_clock,
        deleted,
        newer,
    ]
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
    directory.expect_list().returning(|_| Ok(vec![remote_projeto(1, "Portal"), remote_projeto(2, "Loja")].into()));
    directory
}

#[tokio::test]
async fn sincronizar_stores_the_listed_projects() {
    let mut repository = MockProjetoRepository::new();
    repository.expect_list().returning(|_| Ok(vec![projeto("Local"), azure_projeto(1)].into()));
    let summary = SyncSummary { synced: 2, created: 1, ..SyncSummary::default() };
    repository
        .expect_synchronize()
        .withf(|remote, deleted, since| {
            *remote == [remote_projeto(1, "Portal"), remote_projeto(2, "Loja")] && deleted.is_empty() && *since == NOW
        })
        .returning(move |_, _, _| Ok(summary));

    let result = with_directory(repository, listing_two(), None).sincronizar(&maria()).await.unwrap();

    assert_eq!(result, Sincronizacao { summary, failed: vec![], unconfirmed: 0, em: NOW });
}

/// The clock is read before the request, so rows stored while Azure DevOps responds count as newer.
#[tokio::test]
async fn sincronizar_takes_its_time_before_the_request() {
    let mut clock = crate::MockClock::new();
    let mut order = mockall::Sequence::new();
    clock.expect_now().times(1).in_sequence(&mut order).return_const(NOW);
    let mut directory = MockProjectDirectory::new();
    directory.expect_list().times(1).in_sequence(&mut order).returning(|_| Ok(ProjectList::default()));
    let mut repository = MockProjetoRepository::new();
    repository.expect_list().returning(|_| Ok(vec![].into()));
    repository.expect_synchronize().returning(|_, _, _| Ok(SyncSummary::default()));

    let projetos = Projetos::new(Arc::new(repository), Arc::new(directory), None, Arc::new(clock));

    assert_eq!(projetos.sincronizar(&maria()).await.unwrap().em, NOW);
}

/// Only unlisted projects that are neither marked deleted nor newer are looked up. The credential of the service is
/// preferred, because it may have more permissions than the caller.
#[tokio::test]
async fn sincronizar_marks_unlisted_projects_only_after_a_lookup() {
    let service = || Some(Credential::Basic { pat: "pat".into() });
    let cases = [(None, "Bearer", DeletionEvidence::ListedAsDeleted), (service(), "Basic", DeletionEvidence::NotFound)];
    for (service, scheme, expected) in cases {
        let mut directory = listing_two();
        directory
            .expect_confirm_deleted()
            .withf(move |credential, ids, evidence| {
                let is_of_service = format!("{credential:?}").starts_with(scheme);
                is_of_service && *ids == [azure_id(3), azure_id(4)] && *evidence == expected
            })
            .times(1)
            .returning(|_, _, _| vec![azure_id(4)]);
        let mut repository = MockProjetoRepository::new();
        repository.expect_list().returning(|query| {
            // Every batch has unlisted projects.
            let mut first = stored_projetos();
            let rest = first.split_off(3);
            let last = rest.last().map(|last| Cursor::of(last, ()));
            Ok(if query.apos.is_none() { Batch { items: first, last } } else { rest.into() })
        });
        repository
            .expect_synchronize()
            .withf(|_, deleted, _| *deleted == [azure_id(4)])
            .times(1)
            .returning(|_, _, _| Ok(SyncSummary::default()));

        let result = with_directory(repository, directory, service).sincronizar(&maria()).await.unwrap();

        assert_eq!(result.unconfirmed, 1);
    }
}

/// An entry that cannot be read fails alone. Its project is stored already and therefore not unlisted.
#[tokio::test]
async fn sincronizar_with_unreadable_entries_stores_the_others_and_returns_their_ids() {
    let failed = vec![Some(azure_id(3)), None];
    let list = ProjectList { projects: vec![remote_projeto(1, "Portal")], failed: failed.clone() };
    let mut directory = MockProjectDirectory::new();
    directory.expect_list().return_once(|_| Ok(list));
    let mut repository = MockProjetoRepository::new();
    repository.expect_list().returning(|_| Ok(vec![azure_projeto(1), azure_projeto(3)].into()));
    repository
        .expect_synchronize()
        .withf(|remote, deleted, _| *remote == [remote_projeto(1, "Portal")] && deleted.is_empty())
        .times(1)
        .returning(|_, _, _| Ok(SyncSummary::default()));

    let result = with_directory(repository, directory, None).sincronizar(&maria()).await.unwrap();

    assert_eq!((result.failed, result.unconfirmed), (failed, 0));
}

#[tokio::test]
async fn sincronizar_during_azure_devops_outage_changes_nothing() {
    let mut directory = MockProjectDirectory::new();
    directory.expect_list().returning(|_| {
        Err(Error::Unavailable { service: Service::AzureDevOps, retry_after: None, cause: "down".into() })
    });
    let mut repository = MockProjetoRepository::new();
    repository.expect_synchronize().never();

    let error = with_directory(repository, directory, None).sincronizar(&maria()).await.unwrap_err();

    assert!(matches!(error, Error::Unavailable { service: Service::AzureDevOps, .. }));
}

#[tokio::test]
async fn service_credential_replaces_only_a_missing_one() {
    let is_service = |credential: &Credential| format!("{credential:?}").starts_with("Basic");
    let mut directory = MockProjectDirectory::new();
    directory.expect_list_raw().withf(is_service).times(1).returning(|_| Ok(vec!["1".to_owned()]));
    directory.expect_list_raw().times(1).returning(|_| Ok(vec!["2".to_owned()]));
    let service = Credential::Basic { pat: "pat".into() };
    let projetos = with_directory(MockProjetoRepository::new(), directory, Some(service));
    let anonymous = Caller { credential: None, ..maria() };

    assert_eq!(projetos.listar_do_azure(&anonymous).await.unwrap(), ["1"]);
    assert_eq!(projetos.listar_do_azure(&maria()).await.unwrap(), ["2"]);
}

#[tokio::test]
async fn sincronizar_without_any_credential_is_a_conflict() {
    let projetos = projetos(MockProjetoRepository::new());
    let anonymous = Caller { credential: None, ..maria() };

    assert!(matches!(projetos.sincronizar(&anonymous).await, Err(Error::Conflict(Conflict::SemOrganizacao))));
}
