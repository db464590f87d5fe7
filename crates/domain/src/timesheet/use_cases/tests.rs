use time::macros::{date, datetime};

use super::*;
use crate::testing::{NOW, apontamento, fixed_clock, maria, nome_projeto, projeto, projeto_id, work_item};
use crate::{
    Batch, IterationId, MockApontamentoRepository, MockProjetoRepository, MockWorkItemDirectory, Organizacao, Projeto,
    ProjetoRef, Refusal, Service, StateCategory, TeamId, TreeItem, WorkItemId,
};

const ITERATION: IterationId = IterationId(uuid::Uuid::from_u128(8));
const TEAM: TeamId = TeamId(uuid::Uuid::from_u128(7));

type TreeResult = Result<Result<WorkItemTree, Missing>, Error>;

fn consulta(projeto: &str) -> ConsultaDeTimesheet {
    ConsultaDeTimesheet {
        organizacao: Organizacao::parse("exemplo").unwrap(),
        projeto: ProjetoSelector::Nome(nome_projeto(projeto)),
        semana: Semana::of(date!(2026 - 01 - 14)).unwrap(),
        iteration: Some(ITERATION),
        team: Some(TEAM),
        is_flat: false,
    }
}

/// The ports with one entry of 90 minutes on work item 41, and the result of the directory.
struct Given {
    apontamentos: MockApontamentoRepository,
    projetos: MockProjetoRepository,
    directory: MockWorkItemDirectory,
}

impl Given {
    fn new(tree: TreeResult) -> Self {
        let mut given = Self {
            apontamentos: MockApontamentoRepository::new(),
            projetos: MockProjetoRepository::new(),
            directory: MockWorkItemDirectory::new(),
        };
        given.apontamentos.expect_list().returning(|query| {
            let filtro = ApontamentoFiltro {
                de: Some(date!(2026 - 01 - 12)),
                ate: Some(date!(2026 - 01 - 18)),
                usuario: Some(UsuarioRef::Id(maria().usuario.id)),
                ..ApontamentoFiltro::default()
            };
            assert_eq!((&query.filtro, query.limit), (&filtro, Limit::LARGEST));
            Ok(Batch { items: vec![apontamento(90)], last: None })
        });
        given.directory.expect_tree().times(..=1).return_once(|credential, query| {
            assert!(credential.is_some(), "the caller's own credential");
            assert_eq!(query.ids, [WorkItemId::new(41).unwrap()]);
            assert_eq!(query.iteration, Some((Some(TEAM), ITERATION)));
            tree
        });
        given
    }

    fn stored_by_name(mut self, is_stored: bool) -> Self {
        self.apontamentos.expect_find_projeto().returning(move |_| Ok(is_stored.then_some(ProjetoRef(projeto_id().0))));
        self
    }

    fn build(self) -> Timesheets {
        let Self { apontamentos, projetos, directory } = self;
        let organizacao = Some("exemplo".to_owned());
        Timesheets::new(Arc::new(apontamentos), Arc::new(projetos), Arc::new(directory), organizacao, fixed_clock())
    }

    async fn obter(self, consulta: ConsultaDeTimesheet) -> Result<Timesheet, Error> {
        self.build().obter(&maria(), consulta, |_| Ok(())).await
    }
}

fn tree(gaps: Vec<TreeGap>) -> WorkItemTree {
    let item = |n, parent: Option<i64>| TreeItem {
        item: crate::WorkItem { parent: parent.map(|id| WorkItemId::new(id).unwrap()), ..work_item(n) },
        categoria: Some(StateCategory::InProgress),
    };
    WorkItemTree { items: vec![item(40, None), item(41, Some(40)), item(42, Some(40))], gaps }
}

fn reason(error: Error) -> RefusalReason {
    match error {
        Error::Refused(mut refusals) => {
            let Refusal { reason, .. } = refusals.remove(0);
            reason
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn week_has_totals_of_each_day_and_of_the_leaves() {
    let timesheet = Given::new(Ok(Ok(tree(vec![])))).obter(consulta("Portal")).await.unwrap();

    assert_eq!(timesheet.minutos_por_dia, [90, 0, 0, 0, 0, 0, 0]);
    assert_eq!((timesheet.hoje, timesheet.semana.fim()), (NOW.date(), date!(2026 - 01 - 18)));
    assert_eq!((timesheet.total_work_items, timesheet.total_esforco, timesheet.total_historico), (2, 16.0, 5.0));
    assert_eq!((timesheet.linhas.len(), timesheet.linhas[0].filhas.len(), timesheet.avisos), (1, 2, vec![]));
}

/// The timesheet shows what its owner sees.
#[tokio::test]
async fn entries_that_wait_are_verified_if_the_work_item_is_seen() {
    let unavailable = || Error::Unavailable { service: Service::Database, retry_after: None, cause: "full".into() };
    let without = WorkItemTree { items: vec![], gaps: vec![] };
    let cases: [(WorkItemTree, usize, bool); 3] =
        [(tree(vec![]), 1, true), (without, 0, true), (tree(vec![]), 1, false)];
    for (tree, marks, succeeds) in cases {
        let mut given = Given::new(Ok(Ok(tree)));
        given.apontamentos = MockApontamentoRepository::new();
        let waiting = || Apontamento { escrita: Escrita::Pendente, ..apontamento(90) };
        given.apontamentos.expect_list().returning(move |_| Ok(Batch { items: vec![waiting()], last: None }));
        let expected = |usuario: &str, ids: &Vec<WorkItemId>, now: &OffsetDateTime| {
            (usuario, *now) == (maria().usuario.id.as_str(), NOW) && *ids == [WorkItemId::new(41).unwrap()]
        };
        let marked = move || if succeeds { Ok(()) } else { Err(unavailable()) };
        given.apontamentos.expect_mark_verified().withf(expected).times(marks).returning(move |_, _, _| marked());

        let timesheet = given.obter(consulta("Portal")).await.unwrap();

        assert_eq!(timesheet.minutos_por_dia[0], 90);
    }
}

/// The lines are reserved beside the entries: many work items without a single entry are a large response as well.
#[tokio::test]
async fn memory_is_reserved_for_the_entries_and_then_for_the_lines() {
    for (items, lines) in [(tree(vec![]).items, 3), (vec![], 1)] {
        let texts: usize =
            items.iter().map(|item| item.item.titulo.len() + item.item.tipo.len() + item.item.estado.len()).sum();
        let people: usize = items.iter().filter_map(|item| item.item.assigned_to.as_ref()).map(String::len).sum();
        let mut reserved = Vec::new();
        let reserve = |bytes| {
            reserved.push(bytes);
            Ok::<_, Error>(())
        };

        let given = Given::new(Ok(Ok(WorkItemTree { items, gaps: vec![] })));
        given.build().obter(&maria(), consulta("Portal"), reserve).await.unwrap();

        let entries = memory(&apontamento(90));
        assert_eq!(reserved, [entries, entries + lines * LINE + 3 * (texts + people)]);
    }
}

#[tokio::test]
async fn flat_week_has_the_same_totals() {
    let consulta = ConsultaDeTimesheet { is_flat: true, ..consulta("Portal") };

    let timesheet = Given::new(Ok(Ok(tree(vec![])))).obter(consulta).await.unwrap();

    assert_eq!((timesheet.linhas.len(), timesheet.total_work_items), (2, 2));
    assert_eq!((timesheet.minutos_por_dia[0], timesheet.total_esforco), (90, 16.0));
}

#[tokio::test]
async fn failure_of_azure_keeps_the_hours_and_warns() {
    let service = Service::AzureDevOps;
    let busy = Error::Overloaded { retry_after: std::time::Duration::from_secs(5), cause: "x".into() };
    let cases: [(TreeResult, AvisoDoTimesheet); 6] = [
        (Err(busy), AvisoDoTimesheet::Sobrecarga),
        (Err(Error::Unavailable { service, retry_after: None, cause: "x".into() }), AvisoDoTimesheet::SemAzure),
        (Err(Error::TimedOut { service, cause: "x".into() }), AvisoDoTimesheet::SemAzure),
        (Err(Error::BadUpstream { service, cause: "x".into() }), AvisoDoTimesheet::SemAzure),
        (Err(Error::Forbidden), AvisoDoTimesheet::SemPermissao),
        (Err(Error::Conflict(Conflict::SemOrganizacao)), AvisoDoTimesheet::SemOrganizacao),
    ];
    for (result, aviso) in cases {
        let timesheet = Given::new(result).obter(consulta("Portal")).await.unwrap();

        assert_eq!(timesheet.avisos, [aviso]);
        assert_eq!((timesheet.minutos_por_dia[0], timesheet.linhas[0].minutos()), (90, 90));
        assert!(timesheet.linhas[0].pode_editar);
    }
}

#[tokio::test]
async fn gaps_of_the_tree_become_warnings() {
    for gap in [TreeGap::Assigned, TreeGap::Parents, TreeGap::States, TreeGap::TooMany] {
        let timesheet = Given::new(Ok(Ok(tree(vec![gap])))).obter(consulta("Portal")).await.unwrap();

        assert_eq!(timesheet.avisos, [AvisoDoTimesheet::Parte(gap)]);
        assert_eq!(timesheet.linhas.len(), 1);
    }
}

#[tokio::test]
async fn rejected_credential_is_an_error() {
    let error = Given::new(Err(Error::CredentialRejected)).obter(consulta("Portal")).await.unwrap_err();

    assert!(matches!(error, Error::CredentialRejected));
}

#[tokio::test]
async fn projeto_that_azure_does_not_have_is_shown_if_it_exists_here() {
    for result in [Ok(Err(Missing::Projeto)), Ok(Ok(tree(vec![TreeGap::Projeto])))] {
        let timesheet = Given::new(result).stored_by_name(true).obter(consulta("Portal")).await.unwrap();
        assert_eq!(timesheet.avisos, [AvisoDoTimesheet::Parte(TreeGap::Projeto)]);
        assert_eq!(timesheet.minutos_por_dia[0], 90);
    }

    let unknown =
        Given::new(Ok(Err(Missing::Projeto))).stored_by_name(false).obter(consulta("Loja")).await.unwrap_err();

    assert_eq!(reason(unknown), RefusalReason::UnknownProjeto("Loja".to_owned()));
}

#[tokio::test]
async fn missing_iteration_is_refused() {
    let error = Given::new(Ok(Err(Missing::Iteration))).obter(consulta("Portal")).await.unwrap_err();

    assert_eq!(reason(error), RefusalReason::UnknownIteration(ITERATION));
}

#[tokio::test]
async fn other_organisation_and_impossible_projeto_ask_nobody() {
    let other = ConsultaDeTimesheet { organizacao: Organizacao::parse("outra").unwrap(), ..consulta("Portal") };
    let unused = || Given {
        apontamentos: MockApontamentoRepository::new(),
        projetos: MockProjetoRepository::new(),
        directory: MockWorkItemDirectory::new(),
    };

    let refused = reason(unused().obter(other).await.unwrap_err());
    let impossible = reason(unused().stored_by_name(false).obter(consulta("../outra")).await.unwrap_err());

    assert!(matches!(refused, RefusalReason::OtherOrganisation { .. }));
    assert_eq!(impossible, RefusalReason::UnknownProjeto("../outra".to_owned()));
}

#[tokio::test]
async fn local_projeto_is_known_to_azure_by_its_name() {
    let mut given = Given::new(Ok(Ok(tree(vec![]))));
    given.projetos.expect_find().returning(|_| Ok(Some(Projeto { ..projeto("Portal") })));
    given.directory = MockWorkItemDirectory::new();
    given
        .directory
        .expect_tree()
        .withf(|_, query| query.projeto.as_deref() == Some("Portal"))
        .return_once(|_, _| Ok(Ok(tree(vec![]))));
    let consulta =
        ConsultaDeTimesheet { projeto: ProjetoSelector::Id(ProjetoRef(projeto_id().0)), ..consulta("Portal") };

    assert!(given.obter(consulta).await.is_ok());
}

#[test]
fn today_is_that_of_brasilia() {
    let cases = [
        (datetime!(2026-11-27 02:59:59 UTC), date!(2026 - 11 - 26)),
        (datetime!(2026-11-27 03:00 UTC), date!(2026 - 11 - 27)),
        (datetime!(2026-11-27 23:59 UTC), date!(2026 - 11 - 27)),
    ];
    for (now, today) in cases {
        assert_eq!(today_in_brasilia(now), today);
    }
}
