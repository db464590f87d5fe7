//! Searches for work items: each caller finds what Azure DevOps shows to that caller.

use e2e::azure::Endpoint;
use e2e::client::{Api, Response};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use super::{ANA, get, given_ana};

/// The search with these parameters.
async fn search(api: &Api, token: &str, parameters: &str) -> Response {
    get(api, token, &format!("/api/v1/work-items/search?organization_name=EXEMPLO&{parameters}")).await
}

async fn found(api: &Api, parameters: &str) -> Vec<Value> {
    let response = search(api, ANA, parameters).await.expect(200);
    let results = response["results"].as_array().unwrap();
    assert_eq!(response["count"], results.len());
    results.iter().map(|item| item["id"].clone()).collect()
}

#[tokio::test]
async fn search_finds_by_id_or_words_within_project_types_and_limit() {
    let (organisation, aponta) = given_ana().await;
    let api = &aponta.api;
    let [portal, _] = ["Portal do Cliente", "Loja"].map(|nome| organisation.add_project(nome));
    organisation.add_work_item(41, "Portal do Cliente", "Task", "Active", "Desenvolver tela de pedidos");
    organisation.add_work_item(42, "Portal do Cliente", "Bug", "New", "Tela d'água não abre");
    organisation.add_work_item(43, "Loja", "Task", "Closed", "Tela 41 da loja");
    organisation.change_work_item(41, |fields| {
        fields.insert("Microsoft.VSTS.Scheduling.OriginalEstimate".to_owned(), json!(8.0));
        fields.insert("Microsoft.VSTS.Scheduling.CompletedWork".to_owned(), json!(2.5));
    });

    let by_id = search(api, ANA, "query=41").await.expect(200);
    assert_eq!(
        by_id,
        json!({"results": [{
            "id": 41, "title": "Desenvolver tela de pedidos", "type": "Task", "project": "Portal do Cliente",
            "url": format!("{}/_workitems/edit/41", organisation.url()), "iconUrl": "", "originalEstimate": 8.0,
            "completedWork": 2.5, "remainingWork": null, "state": "Active",
        }], "count": 1})
    );
    for (parameters, expected) in [
        ("query=TELA", json!([43, 42, 41])),
        ("query=pedidos+tela", json!([41])),
        ("query=d%27%C3%A1gua", json!([42])),
        ("query=%27%20OR%201=1", json!([])),
        ("query=tela&limit=1", json!([43])),
        ("query=tela&work_item_types=Bug,+Epic", json!([42])),
        ("query=tela&project_id=portal+do+cliente", json!([42, 41])),
        (&format!("query=tela&project_id={portal}&work_item_types=Task"), json!([41])),
        ("query=41&project_id=Loja", json!([43])),
        ("query=99999", json!([])),
    ] {
        assert_eq!(json!(found(api, parameters).await), expected, "{parameters}");
    }
}

#[tokio::test]
async fn search_shows_nothing_of_a_project_hidden_from_the_caller() {
    let (organisation, aponta) = given_ana().await;
    organisation.add_user("token-da-bia", Some("bia@exemplo.br"));
    let secret = organisation.add_project("Secreto");
    organisation.add_work_item(41, "Secreto", "Task", "Active", "Tela secreta");
    organisation.hide("token-da-bia", &secret);

    assert_eq!(found(&aponta.api, "query=tela").await, [41]);
    for parameters in ["query=tela", "query=41"] {
        let of_bia = search(&aponta.api, "token-da-bia", parameters).await.expect(200);
        assert_eq!(of_bia, json!({"results": [], "count": 0}));
    }
    for project in ["Secreto", &secret] {
        let refused = search(&aponta.api, "token-da-bia", &format!("query=tela&project_id={project}")).await;
        assert_eq!(refused.error(400), format!("Projeto não encontrado: {project}"));
    }
}

#[tokio::test]
async fn search_in_another_organisation_or_with_hostile_names_asks_for_nothing_else() {
    let (organisation, aponta) = given_ana().await;
    let api = &aponta.api;
    let _ = organisation.add_project("Portal");
    assert_eq!(get(api, ANA, "/api/v1/projetos").await.status, 200);
    let before = organisation.calls("/_apis/wit/").await;

    let other = get(api, ANA, "/api/v1/work-items/search?query=tela&organization_name=outra").await;
    assert_eq!(other.error(400), "Este servidor atende a organização exemplo, e não outra");
    for project in ["..", ".", "%2e%2e", ""] {
        let status = search(api, ANA, &format!("query=tela&project_id={project}")).await.status;
        assert!([400, 422].contains(&status), "{project}: {status}");
    }
    assert_eq!(organisation.calls("/_apis/wit/").await, before);

    for project in ["..%2F..%2Foutra", "Portal%3Fx%3D1%23y", "Portal%2F_apis%2Fprojects"] {
        let refused = search(api, ANA, &format!("query=tela&project_id={project}")).await;
        assert_eq!(refused.status, 400, "{project}");
    }
    assert_eq!(organisation.calls("/_apis/wit/").await, before);

    assert_eq!(search(api, ANA, "query=tela&project_id=@Me").await.status, 400);
    assert_eq!(organisation.calls("/exemplo/@Me/_apis/wit/wiql").await, 1, "a name like any other");
}

#[tokio::test]
async fn search_while_azure_fails_has_its_status_and_recovers() {
    let (organisation, aponta) = given_ana().await;
    let _ = organisation.add_project("Portal");
    organisation.add_work_item(41, "Portal", "Task", "Active", "Tela");
    let html = ResponseTemplate::new(203).set_body_raw("<html>Sign In</html>", "text/html");
    for (response, status) in [(ResponseTemplate::new(500), 502), (ResponseTemplate::new(503), 503), (html, 403)] {
        organisation.respond_with(Endpoint::WorkItems, response);
        assert_eq!(search(&aponta.api, ANA, "query=tela").await.status, status);
        organisation.recover();
    }

    assert_eq!(found(&aponta.api, "query=tela").await, [41]);
}
