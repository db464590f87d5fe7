//! Teams and iterations: each caller gets what Azure DevOps shows to that caller.

use e2e::azure::{Endpoint, Organisation};
use e2e::client::{Api, Response};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use super::{ANA, get, given_ana};

const PROJECT: &str = "organization_name=exemplo&project_id=Portal%20do%20Cliente";

async fn expect(api: &Api, path: &str) -> Value {
    get(api, ANA, path).await.expect(200)
}

/// A project with two teams, of which the first has two iterations.
fn add_portal(organisation: &Organisation) -> (String, [String; 2], [String; 2]) {
    let project = organisation.add_project("Portal do Cliente");
    let teams = ["Time Portal", "Suporte"].map(|nome| organisation.add_team("Portal do Cliente", nome));
    let sprints = [("11", "past"), ("12", "current")].map(|(number, time_frame)| {
        let dates = if number == "12" { ("2026-11-15", "2026-11-28") } else { ("", "") };
        organisation.add_iteration(&teams[0], &format!("Portal do Cliente\\Sprint {number}"), dates, time_frame)
    });
    (project, teams, sprints)
}

#[tokio::test]
async fn teams_and_iterations_of_a_project_by_name_or_id() {
    let (organisation, aponta) = given_ana().await;
    let api = &aponta.api;
    let (project, teams, sprints) = add_portal(&organisation);
    for (id, sprint) in [(41, "12"), (42, "12"), (43, "11")] {
        organisation.add_work_item(id, "Portal do Cliente", "Task", "Active", "Tarefa");
        organisation.change_work_item(id, |fields| {
            let path = format!("Portal do Cliente\\Sprint {sprint}");
            fields.insert("System.IterationPath".to_owned(), json!(path));
        });
    }

    let listed = expect(api, &format!("/api/v1/teams?{PROJECT}")).await;
    assert_eq!((&listed["count"], &listed["default_team_id"]), (&json!(2), &json!(teams[0])));
    assert_eq!(listed["teams"][1]["name"], "Suporte");
    assert_eq!(
        (&listed["teams"][0]["project_id"], &listed["teams"][0]["project_name"]),
        (&json!(project), &json!("Portal do Cliente"))
    );
    assert_eq!((&listed["mine_only"], &listed["is_admin"]), (&json!(false), &json!(false)));

    let of_default = expect(api, &format!("/api/v1/iterations?{PROJECT}")).await;
    let by_ids = format!("/api/v1/iterations?organization_name=EXEMPLO&project_id={project}&team_id={}", teams[0]);
    assert_eq!(expect(api, &by_ids).await, of_default);
    assert_eq!((&of_default["count"], &of_default["current_iteration_id"]), (&json!(2), &json!(sprints[1])));
    assert_eq!(
        of_default["iterations"][1]["attributes"],
        json!({"startDate": "2026-11-15T00:00:00", "finishDate": "2026-11-28T00:00:00", "timeFrame": "current"})
    );
    assert_eq!(of_default["iterations"][0]["attributes"]["startDate"], Value::Null);
    let of_other = expect(api, &format!("/api/v1/iterations?{PROJECT}&team_id={}", teams[1])).await;
    assert_eq!(of_other, json!({"count": 0, "iterations": [], "current_iteration_id": null}));

    let items = expect(api, &format!("/api/v1/iterations/{}/work-items?{PROJECT}", sprints[1])).await;
    assert_eq!(
        items,
        json!({"iteration_id": sprints[1], "iteration_name": "Sprint 12", "work_item_ids": [41, 42], "count": 2})
    );
}

#[tokio::test]
async fn equal_requests_share_the_calls_to_azure() {
    let (organisation, aponta) = given_ana().await;
    let (_, _, sprints) = add_portal(&organisation);
    for _ in 0..2 {
        for path in ["teams", "iterations", &format!("iterations/{}/work-items", sprints[0])] {
            let _ = expect(&aponta.api, &format!("/api/v1/{path}?{PROJECT}")).await;
        }
    }

    let calls = [organisation.calls("/teams?").await, organisation.calls("/_apis/work/").await];
    assert_eq!((calls, organisation.calls("/wiql").await), ([1, 2], 1));
}

#[tokio::test]
async fn what_is_missing_or_hidden_has_the_same_error() {
    let (organisation, aponta) = given_ana().await;
    let api = &aponta.api;
    let (project, teams, sprints) = add_portal(&organisation);
    organisation.add_user("token-da-bia", Some("bia@exemplo.br"));
    organisation.hide("token-da-bia", &project);
    let unknown = "01234567-89ab-7def-8123-456789abcdef";
    let of = async |token, path: String| get(api, token, &path).await;

    for path in ["teams".to_owned(), "iterations".to_owned(), format!("iterations/{}/work-items", sprints[0])] {
        let hidden = of("token-da-bia", format!("/api/v1/{path}?organization_name=exemplo&project_id={project}")).await;
        assert_eq!(hidden.error(400), format!("Projeto não encontrado: {project}"));
        let missing = of(ANA, format!("/api/v1/{path}?organization_name=exemplo&project_id={unknown}")).await;
        assert_eq!(missing.error(400), format!("Projeto não encontrado: {unknown}"));
    }
    let no_team = of(ANA, format!("/api/v1/iterations?{PROJECT}&team_id={unknown}")).await;
    assert_eq!(no_team.error(404), format!("Time não encontrado: {unknown}"));
    for (team, iteration) in [(&teams[0], unknown), (&teams[1], sprints[0].as_str())] {
        let path = format!("/api/v1/iterations/{iteration}/work-items?{PROJECT}&team_id={team}");
        assert_eq!(of(ANA, path).await.error(404), format!("Iteração não encontrada: {iteration}"));
    }
}

/// No name or id of a request becomes another address, and none of these is sent at all.
#[tokio::test]
async fn hostile_names_and_ids_are_rejected_without_a_request() {
    let (organisation, aponta) = given_ana().await;
    let api = &aponta.api;
    let (_, _, sprints) = add_portal(&organisation);
    assert_eq!(get(api, ANA, "/api/v1/projetos").await.status, 200);
    let before = organisation.calls("/").await;
    let week = "week_start=2026-11-23";
    let paths = |query: &str| {
        [
            format!("/api/v1/teams?{query}"),
            format!("/api/v1/iterations?{query}"),
            format!("/api/v1/iterations/{}/work-items?{query}", sprints[0]),
            format!("/api/v1/timesheet?{query}&{week}"),
            format!("/api/v1/work-items/search?{query}&query=tela"),
        ]
    };
    let is_refused = |response: &Response| [400, 404, 422].contains(&response.status);

    let long = "a".repeat(300);
    let projects = [
        "",
        ".",
        "..",
        "%2e%2e",
        "..%2F..%2Foutra",
        "Portal%2F_apis%2Fprojects",
        "Portal%3Fx%3D1%23y",
        "..%5Coutra",
        "%252e%252e",
        "https:%2F%2Fexemplo.org",
        "@exemplo.org%2F",
        "a%00b",
        "a%0d%0aHost:%20x",
        "%2F",
        "Portal%25",
        &long,
    ];
    for project in projects {
        for path in paths(&format!("organization_name=exemplo&project_id={project}")) {
            let response = get(api, ANA, &path).await;
            assert!(is_refused(&response), "{path}: {}", response.status);
        }
    }
    for organisation in ["outra", "", "..", "exemplo%2F..", "exemplo%00", "https:%2F%2Fexemplo.org"] {
        for path in paths(&format!("organization_name={organisation}&project_id=Portal")) {
            let response = get(api, ANA, &path).await;
            assert!(is_refused(&response), "{path}: {}", response.status);
        }
    }
    for id in
        ["..", "%2e%2e", "..%2Fx", "Time%20Portal", "1", "%00", "x%3Fy", "01234567-89ab-7def-8123-456789abcdef%2F.."]
    {
        for path in [
            format!("/api/v1/iterations?{PROJECT}&team_id={id}"),
            format!("/api/v1/iterations/{id}/work-items?{PROJECT}"),
            format!("/api/v1/iterations/{}/work-items?{PROJECT}&team_id={id}", sprints[0]),
            format!("/api/v1/timesheet?{PROJECT}&{week}&iteration_id={id}"),
            format!("/api/v1/timesheet?{PROJECT}&{week}&team_id={id}"),
        ] {
            let response = get(api, ANA, &path).await;
            assert!((400..500).contains(&response.status), "{path}: {}", response.status);
        }
    }
    assert_eq!(organisation.calls("/").await, before);
}

#[tokio::test]
async fn failure_of_azure_has_its_status() {
    let (organisation, aponta) = given_ana().await;
    let (_, _, sprints) = add_portal(&organisation);
    let html = || ResponseTemplate::new(203).set_body_raw("<html>Sign In</html>", "text/html");
    // A 503 opens the circuit breaker, so it is the last one.
    for (response, status) in [(ResponseTemplate::new(500), 502), (html(), 403), (ResponseTemplate::new(503), 503)] {
        organisation.respond_with(Endpoint::WorkItems, response);
        for path in ["teams", "iterations", &format!("iterations/{}/work-items", sprints[0])] {
            assert_eq!(get(&aponta.api, ANA, &format!("/api/v1/{path}?{PROJECT}")).await.status, status, "{path}");
        }
        organisation.recover();
    }
}

#[tokio::test]
async fn requests_without_a_valid_token_are_401() {
    let (organisation, aponta) = given_ana().await;
    let (_, _, sprints) = add_portal(&organisation);
    for path in
        ["teams", "iterations", &format!("iterations/{}/work-items", sprints[0]), "timesheet", "work-items/search"]
    {
        let _ = aponta.api.get(&format!("/api/v1/{path}?{PROJECT}")).await.error(401);
        let _ = get(&aponta.api, "lixo", &format!("/api/v1/{path}?{PROJECT}")).await.error(401);
    }
}
