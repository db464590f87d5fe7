use std::sync::Arc;

use actix_web::test::TestRequest;
use domain::testing::{apontamento, atividade_id, maria, work_item};
use domain::{
    Apontamento, Batch, Comentario, Conflict, Error, Missing, Service, StateCategory, TreeGap, TreeItem, WorkItem,
    WorkItemId, WorkItemTree,
};
use serde_json::{Value, json};
use time::macros::date;

use crate::support::{Response, StubIdentity, TestApp};

const URI: &str = "/api/v1/timesheet?organization_name=exemplo&project_id=Portal&week_start=2026-01-14";
const ITERATION: &str = "48d24750-6492-5802-b000-64173dcd4b6b";

/// The application with two entries of Maria: one on a task below a story, one on a deleted work item.
fn test_app(tree: Result<Result<WorkItemTree, Missing>, Error>) -> TestApp {
    let mut test_app = TestApp { identity: Arc::new(StubIdentity(|| Ok(maria()))), ..TestApp::new() };
    test_app.apontamentos.expect_list().returning(|_| {
        let comentario = Comentario::parse("Com o cliente".to_owned()).unwrap();
        let on_task = Apontamento { comentario, ..apontamento(90) };
        let on_deleted =
            Apontamento { work_item: WorkItemId::new(7).unwrap(), data: date!(2026 - 01 - 18), ..apontamento(20) };
        Ok(Batch { items: vec![on_deleted, on_task], last: None })
    });
    test_app.work_items.expect_tree().return_once(|_, _| tree);
    test_app
}

fn tree() -> WorkItemTree {
    let parent = WorkItemId::new(40).ok();
    let story = WorkItem { tipo: "User Story".to_owned(), original_estimate: None, ..work_item(40) };
    let tasks = [(41, "Active"), (42, "Closed")].map(|(id, estado)| WorkItem {
        parent,
        estado: estado.to_owned(),
        ..work_item(id)
    });
    let item = |item: WorkItem| TreeItem {
        categoria: Some(if item.estado == "Closed" { StateCategory::Completed } else { StateCategory::InProgress }),
        item,
    };
    WorkItemTree { items: [story].into_iter().chain(tasks).map(item).collect(), gaps: vec![] }
}

async fn get(test_app: TestApp, uri: &str) -> Response {
    test_app.send(TestRequest::get().uri(uri).insert_header(("authorization", "Bearer abc"))).await
}

#[actix_web::test]
async fn week_has_items_days_and_totals() {
    let response = get(test_app(Ok(Ok(tree()))), URI).await;

    assert_eq!(response.status, 200);
    let mut week = response.json();
    let items = week["work_items"].take();
    let days = week["totais_por_dia"].take();
    assert_eq!(
        week,
        json!({
            "semana_inicio": "2026-01-12", "semana_fim": "2026-01-18", "semana_label": "12/01 - 18/01", "work_items": null,
            "total_geral_horas": 1.83, "total_geral_formatado": "01:50", "totais_por_dia": null, "total_work_items": 3,
            "total_esforco": 16.0, "total_historico": 5.0, "avisos": [],
        })
    );
    let labels: Vec<_> = days.as_array().unwrap().iter().map(|day| day["dia_semana"].as_str().unwrap()).collect();
    assert_eq!(labels, ["seg", "ter", "qua", "qui", "sex", "sáb", "dom"]);
    assert_eq!(
        days[0],
        json!({
            "data": "2026-01-12", "dia_semana": "seg", "dia_numero": 12, "total_horas": 1.5, "total_formatado": "01:30",
            "eh_hoje": true,
        })
    );
    assert_eq!((&days[1]["total_formatado"], &days[6]["total_horas"]), (&json!("00:00"), &json!(0.33)));
    let mut task = items[1]["children"][0].clone();
    let dias = task["dias"].take();
    assert_eq!(
        task,
        json!({
            "id": 41, "title": "Tarefa 41", "type": "Task", "state": "Active", "state_category": "InProgress",
            "icon_url": "", "assigned_to": "Maria Souza", "original_estimate": 8.0, "completed_work": 2.5,
            "remaining_work": 5.5, "total_semana_horas": 1.5, "total_semana_formatado": "01:30", "nivel": 1,
            "parent_id": 40, "children": [], "pode_editar": true, "pode_excluir": true, "dias": null,
        })
    );
    let entry = json!({
        "id": apontamento(90).id.0, "duracao": "01:30", "duracao_horas": 1.5, "id_atividade": atividade_id().0,
        "atividade_nome": "Revisar", "comentario": "Com o cliente",
    });
    assert_eq!(
        dias[0],
        json!({
            "data": "2026-01-12", "dia_semana": "seg", "dia_numero": 12, "total_horas": 1.5, "total_formatado": "01:30",
            "apontamentos": [entry], "eh_hoje": true, "eh_fim_semana": false,
        })
    );
    assert_eq!(dias.as_array().unwrap().len(), 7);
    let weekend: Vec<_> = dias.as_array().unwrap().iter().map(|dia| dia["eh_fim_semana"] == true).collect();
    assert_eq!(weekend, [false, false, false, false, false, true, true]);
    assert_eq!((&dias[1]["total_formatado"], &dias[1]["apontamentos"]), (&json!(""), &json!([])));
}

#[actix_web::test]
async fn parents_have_sums_and_every_hour_is_visible() {
    let week = get(test_app(Ok(Ok(tree()))), URI).await.json();

    let summary = |item: &Value| {
        json!([
            item["id"],
            item["title"],
            item["state_category"],
            item["total_semana_formatado"],
            item["nivel"],
            item["original_estimate"],
            item["pode_editar"],
            item["pode_excluir"],
            item["children"].as_array().unwrap().len(),
        ])
    };
    let items: Vec<_> = week["work_items"].as_array().unwrap().iter().map(summary).collect();
    assert_eq!(items[0], json!([7, "#7", null, "00:20", 0, null, false, true, 0]), "deleted");
    assert_eq!(items[1], json!([40, "Tarefa 40", "InProgress", "01:30", 0, 16.0, true, true, 2]));
    let closed = summary(&week["work_items"][1]["children"][1]);
    assert_eq!(closed, json!([42, "Tarefa 42", "Completed", "00:00", 1, 8.0, false, false, 0]));
    assert_eq!(week["work_items"][1]["children"][1]["parent_id"], 40);
}

#[actix_web::test]
async fn flat_view_has_leaves_only() {
    for (flat_view, expected) in [("true", json!([7, 41, 42])), ("false", json!([7, 40]))] {
        let week = get(test_app(Ok(Ok(tree()))), &format!("{URI}&flat_view={flat_view}")).await.json();

        let ids: Vec<_> = week["work_items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
        assert_eq!(json!(ids), expected, "{flat_view}");
        assert_eq!((&week["total_work_items"], &week["total_geral_formatado"]), (&json!(3), &json!("01:50")));
    }
}

#[actix_web::test]
async fn failure_of_azure_devops_is_200_with_the_hours_and_a_warning() {
    let timed_out = Error::TimedOut { service: Service::AzureDevOps, cause: "x".into() };
    let busy = Error::Overloaded { retry_after: std::time::Duration::from_secs(5), cause: "x".into() };
    let cases = [
        (Error::Forbidden, "Sua credencial não permite"),
        (timed_out, "O Azure DevOps não respondeu"),
        (busy, "Há consultas demais ao Azure DevOps"),
        (Error::Conflict(Conflict::SemOrganizacao), "não está configurada"),
    ];
    for (error, expected) in cases {
        let response = get(test_app(Err(error)), URI).await;

        assert_eq!(response.status, 200);
        let week = response.json();
        assert!(week["avisos"][0].as_str().unwrap().contains(expected), "{week}");
        assert_eq!((&week["total_geral_formatado"], &week["total_work_items"]), (&json!("01:50"), &json!(2)));
    }
}

#[actix_web::test]
async fn each_gap_has_a_warning_of_its_own() {
    let mut warnings = std::collections::BTreeSet::new();
    for gap in [TreeGap::Assigned, TreeGap::Parents, TreeGap::States, TreeGap::TooMany] {
        let week = get(test_app(Ok(Ok(WorkItemTree { gaps: vec![gap], ..tree() }))), URI).await.json();
        warnings.insert(week["avisos"][0].as_str().unwrap().to_owned());
    }
    assert_eq!(warnings.len(), 4);
}

#[actix_web::test]
async fn missing_iteration_is_404() {
    let uri = format!("{URI}&iteration_id={ITERATION}");

    let response = get(test_app(Ok(Err(Missing::Iteration))), &uri).await;

    assert_eq!(response.error(), (404, format!("Iteração não encontrada: {ITERATION}")));
}

#[actix_web::test]
async fn invalid_parameters_are_422_and_ask_nobody() {
    let base = "/api/v1/timesheet?organization_name=exemplo&project_id=Portal";
    let cases = [
        ("/api/v1/timesheet", vec!["organization_name", "project_id", "week_start"]),
        (&format!("{base}&week_start="), vec!["week_start"]),
        (&format!("{base}&week_start=14/01/2026"), vec!["week_start"]),
        (&format!("{base}&week_start=1999-12-31"), vec!["week_start"]),
        (&format!("{base}&week_start=9999-12-31"), vec!["week_start"]),
        (&format!("{base}&week_start=0000-01-01"), vec!["week_start"]),
        (&format!("{URI}&flat_view=talvez"), vec!["flat_view"]),
        (&format!("{URI}&iteration_id=..&team_id=a/b"), vec!["iteration_id", "team_id"]),
    ];
    for (uri, fields) in cases {
        let test_app = TestApp { identity: Arc::new(StubIdentity(|| Ok(maria()))), ..TestApp::new() };

        let errors = get(test_app, uri).await.errors();

        let named: Vec<_> = errors.iter().map(|(_, location)| location[1].as_str().unwrap()).collect();
        assert_eq!(named, fields, "{uri}");
    }
}

#[actix_web::test]
async fn another_organisation_is_400_and_asks_nobody() {
    let test_app = TestApp { identity: Arc::new(StubIdentity(|| Ok(maria()))), ..TestApp::new() };

    let response = get(test_app, &URI.replace("exemplo", "outra")).await;

    assert_eq!(response.error(), (400, "Este servidor atende a organização exemplo, e não outra".to_owned()));
}
