//! The weekly timesheet over an organisation: what it shows, how often it calls Azure DevOps, and what fails gracefully.

use std::time::Duration;

use e2e::azure::{Endpoint, Organisation};
use e2e::client::Api;
use e2e::server::Aponta;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use super::{ANA, ANAS_EMAIL, get, given_ana, post};

const BIA: &str = "token-da-bia";
const DAY: &str = "2026-11-25";

/// The week of `DAY` for the project `Portal`. Its name in another case is another query for the cache of the service.
async fn week(api: &Api, project: &str, parameters: &str) -> Value {
    let path = format!("/api/v1/timesheet?organization_name=exemplo&project_id={project}&week_start={DAY}{parameters}");
    get(api, ANA, &path).await.expect(200)
}

/// Books hours of Ana on a work item.
async fn book(api: &Api, atividade: &Value, project: &str, work_item: i64, duracao: &str) -> Value {
    let body = json!({
        "work_item_id": work_item, "duracao": duracao, "data_apontamento": DAY, "id_atividade": atividade,
        "organization_name": "exemplo", "project_id": project,
    });
    post(api, ANA, "/api/v1/apontamentos", body).await.expect(201)
}

/// The lines as `id:hours:can-edit(children)`.
fn outline(items: &Value) -> String {
    let line = |item: &Value| {
        let below = outline(&item["children"]);
        let below = if below.is_empty() { below } else { format!("({below})") };
        let edit = if item["pode_editar"] == true { "" } else { "!" };
        format!("{}:{}{edit}{below}", item["id"], item["total_semana_formatado"].as_str().unwrap())
    };
    items.as_array().unwrap().iter().map(line).collect::<Vec<_>>().join(" ")
}

/// The project `Portal` with an epic, a feature, a story and four tasks: two of Ana, one of them closed, and two of Bia.
async fn given_portal() -> (Organisation, Aponta, Value) {
    let (organisation, aponta) = given_ana().await;
    organisation.add_user(BIA, Some("bia@exemplo.br"));
    let portal = organisation.add_project("Portal");
    let items = [
        (1, "Epic", "Active"),
        (2, "Feature", "Active"),
        (3, "User Story", "Active"),
        (41, "Tarefa", "Fazendo"),
        (42, "Tarefa", "Feito"),
        (43, "Tarefa", "Fazendo"),
        (44, "Tarefa", "Fazendo"),
    ];
    for (id, tipo, estado) in items {
        organisation.add_work_item(id, "Portal", tipo, estado, &format!("Item {id}"));
    }
    // The process is translated.
    organisation.set_states("Tarefa", &[("A fazer", "Proposed"), ("Fazendo", "InProgress"), ("Feito", "Completed")]);
    for (id, parent) in [(2, 1), (3, 2), (41, 3), (42, 3), (43, 3), (44, 3)] {
        organisation.set_parent(id, parent);
    }
    for id in [41, 42] {
        organisation.assign(id, "Ana Lima", ANAS_EMAIL);
    }
    for id in [43, 44] {
        organisation.assign(id, "Bia", "bia@exemplo.br");
    }
    for (id, hours) in [(41, 8.0), (42, 4.0), (43, 2.0)] {
        organisation.change_work_item(id, |fields| {
            fields.insert("Microsoft.VSTS.Scheduling.OriginalEstimate".to_owned(), json!(hours));
            fields.insert("Microsoft.VSTS.Scheduling.CompletedWork".to_owned(), json!(1.5));
        });
    }
    let atividade = json!({"nome": "Desenvolver", "id_projeto": portal});
    let atividade = post(&aponta.api, ANA, "/api/v1/atividades", atividade).await.expect(201)["id"].clone();
    (organisation, aponta, atividade)
}

/// The number of requests about work items and iterations so far.
async fn upstream_calls(organisation: &Organisation) -> usize {
    organisation.calls("/_apis/wit/").await + organisation.calls("/_apis/work/").await
}

#[tokio::test]
async fn week_has_trees_hours_and_categories() {
    let (_organisation, aponta, atividade) = given_portal().await;
    let api = &aponta.api;
    let booked = book(api, &atividade, "Portal", 41, "1:15").await;
    book(api, &atividade, "Portal", 43, "0:30").await;
    book(api, &atividade, "Portal", 2, "0:20").await;

    let tree = week(api, "Portal", "").await;

    assert_eq!(outline(&tree["work_items"]), "1:02:05(2:02:05(3:01:45(41:01:15 42:00:00! 43:00:30)))");
    assert_eq!((&tree["total_geral_formatado"], &tree["total_geral_horas"]), (&json!("02:05"), &json!(2.08)));
    assert_eq!((&tree["total_esforco"], &tree["total_historico"]), (&json!(14.0), &json!(4.5)));
    assert_eq!((&tree["semana_inicio"], &tree["semana_label"]), (&json!("2026-11-23"), &json!("23/11 - 29/11")));
    assert_eq!((&tree["avisos"], &tree["total_work_items"]), (&json!([]), &json!(4)));
    let story = &tree["work_items"][0]["children"][0]["children"][0];
    assert_eq!(
        (&story["nivel"], &story["parent_id"], &story["original_estimate"]),
        (&json!(2), &json!(2), &json!(14.0))
    );
    let task = &story["children"][0];
    assert_eq!((&task["state"], &task["state_category"]), (&json!("Fazendo"), &json!("InProgress")));
    assert_eq!(task["dias"][2]["apontamentos"][0]["id"], booked["id"]);
    assert_eq!(task["dias"][2]["data"], DAY);

    let flat = week(api, "Portal", "&flat_view=true").await;
    assert_eq!(outline(&flat["work_items"]), "2:00:20 41:01:15 42:00:00! 43:00:30");
    assert_eq!(flat["totais_por_dia"], tree["totais_por_dia"]);

    // Another person has hours of their own.
    let path = format!("/api/v1/timesheet?organization_name=exemplo&project_id=Portal&week_start={DAY}");
    let of_bia = get(api, BIA, &path).await.expect(200);
    assert_eq!(outline(&of_bia["work_items"]), "1:00:00(2:00:00(3:00:00(43:00:00 44:00:00)))");
}

#[tokio::test]
async fn week_needs_at_most_three_calls_and_one_for_200_items() {
    let (organisation, aponta, atividade) = given_portal().await;
    let api = &aponta.api;
    let team = organisation.add_team("Portal", "Time");
    let sprint = organisation.add_iteration(&team, "Portal\\Sprint D'água", ("2026-11-16", "2026-11-27"), "current");
    for id in 1_000..1_250 {
        organisation.add_work_item(id, "Portal", "Tarefa", "Fazendo", "Uma de muitas");
        organisation.assign(id, "Ana Lima", ANAS_EMAIL);
        organisation.set_parent(id, 3);
        if id < 1_010 {
            organisation.change_work_item(id, |fields| {
                fields.insert("System.IterationPath".to_owned(), json!("Portal\\Sprint D'água"));
            });
        }
    }
    book(api, &atividade, "Portal", 43, "0:30").await;

    // The first call pays for the states of the project as well.
    let cases = [("Portal", String::new(), 256), ("portal", String::new(), 256)];
    let of_sprint = [("Portal", format!("&iteration_id={sprint}&team_id={team}"), 14)];
    for (project, parameters, items) in cases.into_iter().chain(of_sprint) {
        let before = upstream_calls(&organisation).await;
        let found = week(api, project, &parameters).await;
        let calls = upstream_calls(&organisation).await - before;
        assert!(calls <= 3 + usize::div_ceil(items, 200), "{calls} calls for {items} items");
        assert_eq!(found["avisos"], json!([]));
        let leaves = found["total_work_items"].as_u64().unwrap();
        assert_eq!(leaves, u64::try_from(items).unwrap() - 3, "all but the epic, the feature and the story");

        // The client asks twice.
        assert_eq!(week(api, project, &parameters).await, found);
        assert_eq!(upstream_calls(&organisation).await - before, calls);
    }

    // An entry on an item that is already shown is there at once, and needs no query.
    let before = organisation.calls("/wiql").await;
    book(api, &atividade, "Portal", 43, "0:15").await;
    assert_eq!(week(api, "Portal", "").await["total_geral_formatado"], "00:45");
    assert_eq!(organisation.calls("/wiql").await, before);
}

#[tokio::test]
async fn hours_on_deleted_and_hidden_items_stay_visible() {
    let (organisation, aponta, atividade) = given_portal().await;
    let api = &aponta.api;
    let loja = organisation.add_project("Loja");
    organisation.add_work_item(50, "Loja", "Bug", "Active", "Vitrine");
    organisation.add_work_item(51, "Loja", "Bug", "Active", "Caixa");
    for id in [44, 50, 51] {
        book(api, &atividade, "Portal", id, "1:00").await;
    }
    organisation.change_work_item(51, |fields| drop(fields.insert("System.State".to_owned(), json!("Closed"))));
    organisation.delete_work_item(44);

    let shown = week(api, "Portal", "").await;
    assert_eq!(
        outline(&shown["work_items"]),
        "1:00:00(2:00:00(3:00:00(41:00:00 42:00:00!))) 44:01:00! 50:01:00 51:01:00!"
    );
    let deleted = &shown["work_items"][1];
    assert_eq!(
        (&deleted["title"], &deleted["type"], &deleted["pode_excluir"]),
        (&json!("Item 44"), &json!("Tarefa"), &json!(true))
    );

    organisation.hide(ANA, &loja);
    let hidden = week(api, "PORTAL", "").await;
    assert_eq!(
        outline(&hidden["work_items"]),
        "1:00:00(2:00:00(3:00:00(41:00:00 42:00:00!))) 44:01:00! 50:01:00! 51:01:00!"
    );
    assert_eq!(
        (&hidden["work_items"][2]["title"], &hidden["work_items"][2]["state"]),
        (&json!("Vitrine"), &Value::Null)
    );
    assert_eq!(hidden["total_geral_formatado"], "03:00");
}

#[tokio::test]
async fn circle_of_parents_is_shown_once() {
    let (organisation, aponta, _) = given_portal().await;
    organisation.set_parent(1, 41);

    let shown = week(&aponta.api, "Portal", "").await;

    assert_eq!(outline(&shown["work_items"]), "1:00:00(2:00:00(3:00:00(41:00:00 42:00:00!)))");
}

#[tokio::test]
async fn failing_part_of_azure_is_a_warning() {
    let (organisation, aponta, atividade) = given_portal().await;
    let api = &aponta.api;
    book(api, &atividade, "Portal", 41, "1:00").await;
    let html = || ResponseTemplate::new(203).set_body_raw("<html>Sign In</html>", "text/html");
    let error = || ResponseTemplate::new(500);
    let no_json = || ResponseTemplate::new(200).set_body_raw("{", "application/json");
    // The states of `Tarefa` are known since the entry was made.
    let whole = "1:01:00(2:01:00(3:01:00(41:01:00 42:00:00!)))";
    let cases = [
        ("Portal", Endpoint::Types, error(), whole, "todos os estados"),
        ("PORTAL", Endpoint::Queries, error(), "41:01:00", "atribuídos a você"),
        ("portaL", Endpoint::Queries, html(), "41:01:00", "atribuídos a você"),
        ("porTal", Endpoint::WorkItems, no_json(), "41:01:00", "não respondeu"),
        ("poRtal", Endpoint::WorkItems, html(), "41:01:00", "Sua credencial não permite"),
        // It opens the circuit breaker, so it is the last one.
        ("portAl", Endpoint::WorkItems, ResponseTemplate::new(503), "41:01:00", "não respondeu"),
    ];
    for (project, endpoint, response, expected, warning) in cases {
        organisation.respond_with(endpoint, response);
        let shown = week(api, project, "").await;
        organisation.recover();

        assert_eq!(outline(&shown["work_items"]), expected, "{project}");
        assert!(shown["avisos"][0].as_str().unwrap().contains(warning), "{}", shown["avisos"]);
        assert_eq!(shown["total_geral_formatado"], "01:00");
        assert!(shown["work_items"][0]["title"].as_str().unwrap().starts_with("Item "), "{project}");
    }
}

#[tokio::test]
async fn throttled_caller_sees_the_hours() {
    let (organisation, aponta, atividade) = given_portal().await;
    book(&aponta.api, &atividade, "Portal", 41, "1:00").await;
    organisation.respond_with(Endpoint::WorkItems, ResponseTemplate::new(429).insert_header("Retry-After", "30"));

    for _ in 0..2 {
        let shown = week(&aponta.api, "Portal", "").await;
        assert_eq!(
            (outline(&shown["work_items"]), &shown["avisos"].as_array().unwrap().len()),
            ("41:01:00".to_owned(), &1)
        );
    }

    assert_eq!(organisation.calls("/wiql").await, 1, "Azure DevOps is left alone");
}

#[tokio::test]
async fn slow_azure_gives_the_hours_in_time() {
    let (organisation, aponta, atividade) = given_portal().await;
    book(&aponta.api, &atividade, "Portal", 41, "1:00").await;
    organisation.respond_with(Endpoint::WorkItems, ResponseTemplate::new(200).set_delay(Duration::from_mins(1)));

    let started = std::time::Instant::now();
    let shown = week(&aponta.api, "Portal", "").await;

    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!((outline(&shown["work_items"]).as_str(), shown["avisos"].as_array().unwrap().len()), ("41:01:00", 1));
}

#[tokio::test]
async fn local_projeto_has_hours_and_an_unknown_one_is_400() {
    let (_organisation, aponta, atividade) = given_portal().await;
    let api = &aponta.api;
    let local = post(api, ANA, "/api/v1/projetos", json!({"nome": "Só aqui"})).await.expect(201)["id"].clone();
    book(api, &atividade, local.as_str().unwrap(), 41, "1:00").await;

    for project in [local.as_str().unwrap(), "S%C3%B3%20aqui"] {
        let shown = week(api, project, "").await;
        assert_eq!(outline(&shown["work_items"]), "1:01:00(2:01:00(3:01:00(41:01:00)))");
        assert!(shown["avisos"][0].as_str().unwrap().contains("O projeto não existe"), "{}", shown["avisos"]);
    }
    let path = format!("/api/v1/timesheet?organization_name=exemplo&project_id=Nenhum&week_start={DAY}");
    assert_eq!(get(api, ANA, &path).await.error(400), "Projeto não encontrado: Nenhum");
}

#[tokio::test]
async fn unknown_iteration_is_404() {
    let (organisation, aponta, _) = given_portal().await;
    let team = organisation.add_team("Portal", "Time");
    let unknown = "01234567-89ab-7def-8123-456789abcdef";
    for parameters in [format!("&iteration_id={unknown}"), format!("&iteration_id={unknown}&team_id={team}")] {
        let path =
            format!("/api/v1/timesheet?organization_name=exemplo&project_id=Portal&week_start={DAY}{parameters}");
        let refused = get(&aponta.api, ANA, &path).await;
        assert_eq!(refused.error(404), format!("Iteração não encontrada: {unknown}"));
    }
}
