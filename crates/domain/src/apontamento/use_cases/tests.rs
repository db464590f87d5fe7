use mockall::predicate::{always, eq, function};
use time::macros::date;

use super::*;
use crate::testing::{
    NOW, apontamento, fixed_clock, maria, nome_projeto, novo_apontamento, projeto, projeto_id, remote_projeto,
    stored_apontamento, work_item, work_item_states,
};
use crate::{
    Conflict, IdempotencyKey, Minutos, MockApontamentoRepository, MockProjectDirectory, MockProjetoRepository,
    MockWorkItemDirectory, Service, Usuario,
};

struct Given {
    repository: MockApontamentoRepository,
    projetos: MockProjetoRepository,
    directory: MockProjectDirectory,
    work_items: MockWorkItemDirectory,
    organizacao: Option<String>,
}

/// Ports of which the work item is in that state, and everything is stored.
fn given(estado: &'static str) -> Given {
    let mut work_items = MockWorkItemDirectory::new();
    work_items.expect_find().returning(move |_, _| Ok(Some(in_state(estado))));
    work_items.expect_states().returning(|_, _, _| Ok(work_item_states()));
    let mut repository = MockApontamentoRepository::new();
    repository.expect_insert_all().returning(|records, _| {
        // The double shows by the state which entries are verified.
        let escrita = |record: &ApontamentoRecord| if record.verificado { Escrita::Ok } else { Escrita::Pendente };
        let stored = |record| Apontamento { escrita: escrita(&record), ..stored_apontamento(record) };
        Ok(records.into_iter().map(stored).collect())
    });
    repository.expect_replay().returning(|_, _| Ok(None));
    repository.expect_find().returning(|_| Ok(Some(apontamento(90))));
    repository.expect_update().returning(|_, _, _, _| Ok(Some(apontamento(60))));
    repository.expect_delete().returning(|_, _, _, _| Ok(true));
    Given {
        repository,
        projetos: MockProjetoRepository::new(),
        directory: MockProjectDirectory::new(),
        work_items,
        organizacao: Some("Exemplo".to_owned()),
    }
}

/// Ports without any expectation of the repository: a call of it is a failure.
fn given_untouched_repository(estado: &'static str) -> Given {
    let mut repository = MockApontamentoRepository::new();
    repository.expect_find().returning(|_| Ok(Some(apontamento(90))));
    Given { repository, ..given(estado) }
}

impl Given {
    fn use_cases(self) -> Apontamentos {
        let Self { repository, projetos, directory, work_items, organizacao } = self;
        Apontamentos::new(
            Arc::new(repository),
            Arc::new(projetos),
            Arc::new(directory),
            Arc::new(work_items),
            organizacao,
            fixed_clock(),
        )
    }

    fn with_work_item(mut self, find: Found) -> Self {
        self.work_items = MockWorkItemDirectory::new();
        self.work_items.expect_find().returning(move |_, _| find());
        self
    }
}

/// The work item of [`novo_apontamento`].
fn in_state(estado: &str) -> WorkItem {
    WorkItem { estado: estado.to_owned(), ..work_item(41) }
}

type Found = fn() -> Result<Option<WorkItem>, Error>;

fn rui() -> Caller {
    let usuario = Usuario { id: "rui".to_owned(), display_name: "Rui".to_owned(), email: None };
    Caller { usuario, ..maria() }
}

fn patch(minutos: i64) -> ApontamentoPatch {
    ApontamentoPatch { minutos: Some(Minutos::from_stored(minutos).unwrap()), ..ApontamentoPatch::default() }
}

fn reasons(error: Error) -> Vec<(Option<usize>, RefusalReason)> {
    let Error::Refused(refusals) = error else { panic!("{error:?}") };
    refusals.into_iter().map(|refusal| (refusal.item, refusal.reason)).collect()
}

#[tokio::test]
async fn criar_stamps_owner_organisation_and_what_was_seen() {
    let criado = given("Active").use_cases().criar(&maria(), novo_apontamento(90), None).await.unwrap();

    assert_eq!(criado.nao_verificados, []);
    let criado = criado.gravado;
    assert_eq!((criado.usuario, criado.criado_em, criado.atualizado_em), (maria().usuario, NOW, NOW));
    // As the deployment spells it, not the request.
    assert_eq!(criado.organizacao, "Exemplo");
    let visto = criado.work_item_visto.unwrap();
    assert_eq!((visto.titulo.as_str(), visto.tipo.as_str()), ("Tarefa 41", "Task"));
    assert_eq!(criado.id.0.get_version_num(), 7);
}

#[tokio::test]
async fn criar_uses_the_credential_of_the_caller() {
    let mut given = given("Active");
    given.work_items = MockWorkItemDirectory::new();
    let is_marias = function(|credential: &Option<crate::Credential>| credential.is_some());
    given.work_items.expect_find().with(is_marias, always()).times(1).returning(|_, _| Ok(Some(in_state("Active"))));
    given
        .work_items
        .expect_states()
        .with(
            function(|credential: &Option<crate::Credential>| credential.is_some()),
            eq("Portal".to_owned()),
            eq("Task".to_owned()),
        )
        .times(1)
        .returning(|_, _, _| Ok(work_item_states()));

    given.use_cases().criar(&maria(), novo_apontamento(90), None).await.unwrap();
}

#[tokio::test]
async fn criar_without_organisation_takes_any_name() {
    let use_cases = Given { organizacao: None, ..given("Active") }.use_cases();

    let criado = use_cases.criar(&maria(), novo_apontamento(90), None).await.unwrap();

    assert_eq!(criado.gravado.organizacao, "exemplo");
}

#[tokio::test]
async fn criar_in_another_organisation_is_refused_with_both_names() {
    let use_cases = Given { organizacao: Some("outra".to_owned()), ..given_untouched_repository("Active") }.use_cases();

    let error = use_cases.criar(&maria(), novo_apontamento(90), None).await.unwrap_err();

    let reason = RefusalReason::OtherOrganisation { served: "outra".to_owned(), sent: "exemplo".to_owned() };
    assert_eq!(reasons(error), [(None, reason)]);
    assert!(use_cases.verificar_organizacao(None).is_ok());
    assert!(use_cases.verificar_organizacao(Some(&Organizacao::parse("OUTRA").unwrap())).is_ok());
    assert!(use_cases.verificar_organizacao(Some(&Organizacao::parse("exemplo").unwrap())).is_err());
}

#[tokio::test]
async fn work_item_that_is_missing_or_closed_takes_no_hours() {
    let id = novo_apontamento(90).work_item;
    let closed = |estado: &str| RefusalReason::ClosedWorkItem { id, estado: estado.to_owned() };
    let cases = [("Closed", closed("Closed")), ("removed", closed("removed"))];
    for (estado, reason) in cases {
        let use_cases = given_untouched_repository(estado).use_cases();
        let created = use_cases.criar(&maria(), novo_apontamento(90), None).await.unwrap_err();
        let updated = use_cases.atualizar(&maria(), apontamento(90).id, patch(60)).await.unwrap_err();
        let deleted = use_cases.excluir(&maria(), apontamento(90).id, None).await.unwrap_err();
        for error in [created, updated, deleted] {
            assert_eq!(reasons(error), [(None, reason.clone())]);
        }
    }
    let missing = || given_untouched_repository("Active").with_work_item(|| Ok(None));
    let use_cases = missing().use_cases();
    let created = use_cases.criar(&maria(), novo_apontamento(90), None).await.unwrap_err();
    let updated = use_cases.atualizar(&maria(), apontamento(90).id, patch(60)).await.unwrap_err();
    for error in [created, updated] {
        assert_eq!(reasons(error), [(None, RefusalReason::UnknownWorkItem(id))]);
    }
    // The entry of an item that is gone can be removed.
    let gone = given("Active").with_work_item(|| Ok(None)).use_cases();
    assert!(gone.excluir(&maria(), apontamento(90).id, None).await.is_ok());
}

/// A state that the process does not list is not closed.
#[tokio::test]
async fn work_item_in_an_unknown_state_takes_hours() {
    given("Em revisão").use_cases().criar(&maria(), novo_apontamento(90), None).await.unwrap();
}

#[tokio::test]
async fn entries_are_kept_while_azure_devops_cannot_be_asked() {
    let failures: [Found; 4] = [
        || Err(Error::Unavailable { service: Service::AzureDevOps, retry_after: None, cause: "down".into() }),
        || Err(Error::TimedOut { service: Service::AzureDevOps, cause: "slow".into() }),
        || Err(Error::BadUpstream { service: Service::AzureDevOps, cause: "bad".into() }),
        || Err(Error::Conflict(Conflict::SemOrganizacao)),
    ];
    for failure in failures {
        let use_cases = given("Active").with_work_item(failure).use_cases();
        let id = novo_apontamento(90).work_item;

        let criado = use_cases.criar(&maria(), novo_apontamento(90), None).await.unwrap();
        let mudado = use_cases.atualizar(&maria(), apontamento(90).id, patch(60)).await.unwrap();

        // Without an organisation there is no view of the caller's, and no write-back.
        let is_verified = matches!(failure(), Err(Error::Conflict(_)));
        assert_eq!(criado.gravado.escrita == Escrita::Ok, is_verified);
        assert_eq!((criado.nao_verificados, criado.gravado.work_item_visto), (vec![id], None));
        assert_eq!(mudado.nao_verificados, [id]);
        use_cases.excluir(&maria(), apontamento(90).id, None).await.unwrap();
    }
}

/// Otherwise a caller who keeps this service busy would disable the check.
#[tokio::test]
async fn entries_are_refused_while_this_service_is_overloaded() {
    let overloaded = || Error::Overloaded { retry_after: std::time::Duration::from_secs(5), cause: "busy".into() };
    let mut busy_states = given_untouched_repository("Active");
    busy_states.repository.expect_replay().returning(|_, _| Ok(None));
    busy_states.work_items = MockWorkItemDirectory::new();
    busy_states.work_items.expect_find().returning(|_, _| Ok(Some(in_state("Active"))));
    busy_states.work_items.expect_states().returning(move |_, _, _| Err(overloaded()));
    let busy = given_untouched_repository("Active")
        .with_work_item(|| Err(Error::Overloaded { retry_after: std::time::Duration::from_secs(5), cause: "".into() }));
    for use_cases in [busy.use_cases(), busy_states.use_cases()] {
        let created = use_cases.criar(&maria(), novo_apontamento(90), None).await.unwrap_err();
        let updated = use_cases.atualizar(&maria(), apontamento(90).id, patch(60)).await.unwrap_err();
        let deleted = use_cases.excluir(&maria(), apontamento(90).id, None).await.unwrap_err();

        assert!([created, updated, deleted].iter().all(|error| matches!(error, Error::Overloaded { .. })));
    }
}

#[tokio::test]
async fn entry_that_waits_is_verified_by_a_change_whose_owner_sees_the_work_item() {
    let pending = || Apontamento { escrita: Escrita::Pendente, ..apontamento(90) };
    for (is_seen, marks) in [(true, 1), (false, 0)] {
        let mut given = given("Active");
        given.repository = MockApontamentoRepository::new();
        given.repository.expect_find().returning(move |_| Ok(Some(pending())));
        given.repository.expect_update().returning(|_, _, _, _| Ok(Some(apontamento(60))));
        let expected = |usuario: &str, ids: &Vec<WorkItemId>, _: &OffsetDateTime| {
            usuario == maria().usuario.id && *ids == [novo_apontamento(90).work_item]
        };
        given.repository.expect_mark_verified().withf(expected).times(marks).returning(|_, _, _| Ok(()));
        let failure: Found = || Err(Error::TimedOut { service: Service::AzureDevOps, cause: "slow".into() });
        let given = if is_seen { given } else { given.with_work_item(failure) };

        given.use_cases().atualizar(&maria(), apontamento(90).id, patch(60)).await.unwrap();
    }
}

/// What is about the caller is not about Azure DevOps.
#[tokio::test]
async fn forbidden_or_rejected_credential_is_an_error() {
    let failures: [Found; 2] = [|| Err(Error::Forbidden), || Err(Error::CredentialRejected)];
    for failure in failures {
        let use_cases = given_untouched_repository("Active").with_work_item(failure).use_cases();
        assert!(use_cases.criar(&maria(), novo_apontamento(90), None).await.is_err());
    }
}

#[tokio::test]
async fn states_that_cannot_be_read_leave_the_work_item_unchecked() {
    let mut given = given("Closed");
    given.work_items = MockWorkItemDirectory::new();
    given.work_items.expect_find().returning(|_, _| Ok(Some(in_state("Closed"))));
    given
        .work_items
        .expect_states()
        .returning(|_, _, _| Err(Error::TimedOut { service: Service::AzureDevOps, cause: "slow".into() }));

    let criado = given.use_cases().criar(&maria(), novo_apontamento(90), None).await.unwrap();

    assert_eq!(criado.nao_verificados, [novo_apontamento(90).work_item]);
    assert_eq!(criado.gravado.escrita, Escrita::Ok, "the caller sees it");
}

#[tokio::test]
async fn only_the_owner_changes_and_deletes() {
    let use_cases = given_untouched_repository("Active").use_cases();

    let updated = use_cases.atualizar(&rui(), apontamento(90).id, patch(60)).await.unwrap_err();
    let deleted = use_cases.excluir(&rui(), apontamento(90).id, None).await.unwrap_err();

    assert_eq!(reasons(updated), [(None, RefusalReason::NotOwner)]);
    assert_eq!(reasons(deleted), [(None, RefusalReason::NotOwner)]);
    assert_eq!(use_cases.obter(apontamento(90).id).await.unwrap(), apontamento(90));
}

#[tokio::test]
async fn patch_without_fields_makes_no_call() {
    let mut given = given("Closed");
    given.work_items = MockWorkItemDirectory::new();

    given.use_cases().atualizar(&maria(), apontamento(90).id, ApontamentoPatch::default()).await.unwrap();
}

#[tokio::test]
async fn date_out_of_range_is_invalid() {
    let use_cases = given_untouched_repository("Active").use_cases();
    for data in [date!(1999 - 12 - 31), date!(2027 - 01 - 13)] {
        let novo = NovoApontamento { data, ..novo_apontamento(90) };
        let created = use_cases.criar(&maria(), novo.clone(), None).await.unwrap_err();
        let lote = use_cases.criar_lote(&maria(), vec![novo_apontamento(90), novo], None).await.unwrap_err();
        let patch = ApontamentoPatch { data: Some(data), ..ApontamentoPatch::default() };
        let updated = use_cases.atualizar(&maria(), apontamento(90).id, patch).await.unwrap_err();

        for (error, item) in [(created, None), (updated, None), (lote, Some(1))] {
            let Error::Invalid(fields) = error else { panic!("{error:?}") };
            assert_eq!((fields.len(), fields[0].item, fields[0].field), (1, item, "data_apontamento"));
        }
    }
}

#[tokio::test]
async fn repeated_key_returns_the_first_result_without_any_check() {
    let mut given = given_untouched_repository("Closed");
    given.work_items = MockWorkItemDirectory::new();
    given.repository.expect_replay().with(always(), eq(NOW)).returning(|_, _| Ok(Some(vec![apontamento(30)])));
    let key = IdempotencyKey::parse("a").unwrap();
    let idempotency = Idempotency { usuario: "maria".to_owned(), key, request: [1; 32] };

    let criado = given.use_cases().criar(&maria(), novo_apontamento(90), Some(idempotency)).await.unwrap();

    assert_eq!(criado.gravado, apontamento(30));
}

#[tokio::test]
async fn lote_asks_once_for_all_work_items_and_names_the_refused_items() {
    let novo = |id: i64| NovoApontamento { work_item: WorkItemId::new(id).unwrap(), ..novo_apontamento(90) };
    let mut given = given_untouched_repository("Active");
    given.work_items = MockWorkItemDirectory::new();
    given.work_items.expect_find_many().times(1).returning(|_, ids| {
        let item = |id, estado| WorkItem { id, ..in_state(estado) };
        Ok(ids
            .into_iter()
            .filter(|id| id.get() != 3)
            .map(|id| item(id, if id.get() == 2 { "Closed" } else { "New" }))
            .collect())
    });
    given.work_items.expect_states().times(1).returning(|_, _, _| Ok(work_item_states()));

    let error =
        given.use_cases().criar_lote(&maria(), vec![novo(1), novo(2), novo(3), novo(1)], None).await.unwrap_err();

    let id = |id| WorkItemId::new(id).unwrap();
    let closed = RefusalReason::ClosedWorkItem { id: id(2), estado: "Closed".to_owned() };
    assert_eq!(reasons(error), [(Some(1), closed), (Some(2), RefusalReason::UnknownWorkItem(id(3)))]);
}

#[tokio::test]
async fn lote_keeps_its_order_by_microseconds() {
    let mut given = given("Active");
    given.work_items.expect_find_many().returning(|_, _| Ok(vec![in_state("Active")]));
    let criados = given.use_cases().criar_lote(&maria(), vec![novo_apontamento(1), novo_apontamento(2)], None).await;

    let times: Vec<_> = criados.unwrap().gravado.into_iter().map(|item| item.criado_em - NOW).collect();
    assert_eq!(times, [Duration::ZERO, Duration::MICROSECOND]);
}

#[tokio::test]
async fn unknown_projeto_is_imported_by_id_or_name() {
    let mut by_id = given("Active");
    by_id.repository = MockApontamentoRepository::new();
    let unknown = || {
        let reason = RefusalReason::UnknownProjeto(projeto_id().0.to_string());
        Error::Refused(vec![Refusal { item: Some(0), reason }])
    };
    by_id.repository.expect_insert_all().times(1).returning(move |_, _| Err(unknown()));
    by_id
        .repository
        .expect_insert_all()
        .times(1)
        .returning(|records, _| Ok(records.into_iter().map(stored_apontamento).collect()));
    by_id.directory.expect_find().times(1).returning(|_, _| Ok(Some(remote_projeto(1, "Novo"))));
    by_id.projetos.expect_store_remote().times(1).returning(|_, _| Ok(projeto("Novo")));
    by_id.use_cases().criar(&maria(), novo_apontamento(90), None).await.unwrap();

    let mut by_name = given("Active");
    by_name.repository.expect_find_projeto().with(eq(nome_projeto("novo"))).times(1).returning(|_| Ok(None));
    by_name
        .directory
        .expect_list()
        .times(1)
        .returning(|_| Ok(vec![remote_projeto(2, "Outro"), remote_projeto(1, "NOVO")].into()));
    by_name
        .projetos
        .expect_store_remote()
        .with(eq(remote_projeto(1, "NOVO")), eq(NOW))
        .times(1)
        .returning(|_, _| Ok(projeto("Novo")));
    let novo = NovoApontamento { projeto: ProjetoSelector::parse("novo").unwrap(), ..novo_apontamento(90) };
    let criado = by_name.use_cases().criar(&maria(), novo, None).await.unwrap();
    assert_eq!(criado.gravado.id_projeto, projeto_id());
}

#[tokio::test]
async fn unknown_projeto_is_refused() {
    let mut given = given_untouched_repository("Active");
    given.work_items.expect_find_many().returning(|_, _| Ok(vec![in_state("Active")]));
    given.repository.expect_find_projeto().times(1).returning(|_| Ok(None));
    given.directory.expect_list().times(1).returning(|_| Ok(crate::ProjectList::default()));
    let novo = NovoApontamento { projeto: ProjetoSelector::parse("Nada").unwrap(), ..novo_apontamento(90) };

    // A name that occurs twice is looked up once.
    let error = given.use_cases().criar_lote(&maria(), vec![novo.clone(), novo], None).await.unwrap_err();

    let reason = RefusalReason::UnknownProjeto("Nada".to_owned());
    assert_eq!(reasons(error), [(Some(0), reason.clone()), (Some(1), reason)]);
}

#[tokio::test]
async fn lote_with_unknown_names_takes_one_list() {
    let mut given = given("Active");
    given.work_items.expect_find_many().returning(|_, _| Ok(vec![in_state("Active")]));
    given.repository.expect_find_projeto().times(3).returning(|_| Ok(None));
    let listed = || vec![remote_projeto(1, "Portal"), remote_projeto(2, "PORTAL"), remote_projeto(3, "Site")];
    given.directory.expect_list().times(1).returning(move |_| Ok(listed().into()));
    // Of several with one name, the first one.
    given
        .projetos
        .expect_store_remote()
        .with(eq(remote_projeto(1, "Portal")), eq(NOW))
        .times(1)
        .returning(|_, _| Ok(projeto("Portal")));
    given
        .projetos
        .expect_store_remote()
        .with(eq(remote_projeto(3, "Site")), eq(NOW))
        .times(1)
        .returning(|_, _| Ok(projeto("Site")));
    let named = |nome| NovoApontamento { projeto: ProjetoSelector::parse(nome).unwrap(), ..novo_apontamento(1) };
    let novos = ["portal", "Site", "Nada", "PORTAL", "Nada"].map(named).to_vec();

    let error = given.use_cases().criar_lote(&maria(), novos, None).await.unwrap_err();

    let nada = RefusalReason::UnknownProjeto("Nada".to_owned());
    assert_eq!(reasons(error), [(Some(2), nada.clone()), (Some(4), nada)]);
}

#[tokio::test]
async fn relatorio_is_ordered_by_its_keys() {
    let linha = |chaves: Vec<Chave>| LinhaDeHoras {
        chaves,
        totais: Totais { apontamentos: 1, minutos: 60 },
        primeira_data: date!(2026 - 01 - 12),
        ultima_data: date!(2026 - 01 - 12),
    };
    let pessoa = |nome: &str| Chave::Usuario(nome.to_owned(), nome.to_owned());
    let mes = |data| Chave::Mes(data);
    let (jan, feb) = (mes(date!(2026 - 01 - 01)), mes(date!(2026 - 02 - 01)));
    let mut given = given("Active");
    let lines = vec![
        linha(vec![feb.clone(), pessoa("Ana")]),
        linha(vec![jan.clone(), pessoa("zeca")]),
        linha(vec![jan.clone(), pessoa("Érica")]),
    ];
    given.repository.expect_report().returning(move |_, _, _| Ok(lines.clone()));

    let linhas = given.use_cases().relatorio(ApontamentoFiltro::default(), vec![]).await.unwrap();

    let chaves: Vec<_> = linhas.into_iter().map(|linha| linha.chaves).collect();
    assert_eq!(chaves, [vec![jan.clone(), pessoa("Érica")], vec![jan, pessoa("zeca")], vec![feb, pessoa("Ana")]]);
}
