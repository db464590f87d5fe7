//! Teams and iterations.

use std::sync::Arc;

use actix_web::test::TestRequest;
use domain::testing::maria;
use domain::{
    Conflict, Error, Iteration, IterationId, IterationItems, Missing, Service, Team, TeamId, Teams, TimeFrame,
    WorkItemId,
};
use serde_json::{Value, json};
use time::macros::date;
use uuid::{Uuid, uuid};

use crate::support::{Response, StubIdentity, TestApp};

const TEAM: Uuid = uuid!("d87ab94d-29d0-575a-b835-ec46f9fa77ed");
const ITERATION: Uuid = uuid!("48d24750-6492-5802-b000-64173dcd4b6b");
const QUERY: &str = "organization_name=Exemplo&project_id=Portal";

fn test_app() -> TestApp {
    TestApp { identity: Arc::new(StubIdentity(|| Ok(maria()))), ..TestApp::new() }
}

async fn get(test_app: TestApp, uri: &str) -> Response {
    test_app.send(TestRequest::get().uri(uri).insert_header(("authorization", "Bearer abc"))).await
}

fn iteration(time_frame: Option<TimeFrame>, inicio: Option<time::Date>) -> Iteration {
    Iteration {
        id: IterationId(ITERATION),
        nome: "Sprint 7".to_owned(),
        path: "Portal\\Sprint 7".to_owned(),
        inicio,
        fim: inicio.map(|inicio| inicio.saturating_add(time::Duration::days(13))),
        time_frame,
        url: "https://dev.azure.com/exemplo".to_owned(),
    }
}

#[actix_web::test]
async fn iterations_have_dates_without_offset_and_the_current_one() {
    let mut test_app = test_app();
    test_app.work_items.expect_iterations().return_once(|credential, team| {
        assert!(credential.is_some(), "the caller's own credential");
        assert_eq!((team.projeto.as_str(), team.team), ("Portal", Some(TeamId(TEAM))));
        let past = Iteration { id: IterationId(TEAM), ..iteration(Some(TimeFrame::Past), None) };
        Ok(Ok(vec![past, iteration(Some(TimeFrame::Current), Some(date!(2026 - 11 - 15)))]))
    });

    let response = get(test_app, &format!("/api/v1/iterations?{QUERY}&team_id={TEAM}")).await;

    assert_eq!(response.status, 200);
    let expected = |id: Uuid, attributes: Value| {
        json!({
            "id": id, "name": "Sprint 7", "path": "Portal\\Sprint 7", "attributes": attributes,
            "url": "https://dev.azure.com/exemplo",
        })
    };
    let dates =
        json!({"startDate": "2026-11-15T00:00:00", "finishDate": "2026-11-28T00:00:00", "timeFrame": "current"});
    let unset = json!({"startDate": null, "finishDate": null, "timeFrame": "past"});
    assert_eq!(
        response.json(),
        json!({
            "count": 2, "iterations": [expected(TEAM, unset), expected(ITERATION, dates)],
            "current_iteration_id": ITERATION,
        })
    );
}

#[actix_web::test]
async fn iterations_without_a_current_one_have_none() {
    let mut test_app = test_app();
    test_app.work_items.expect_iterations().return_once(|_, team| {
        assert_eq!(team.team, None, "the default team");
        Ok(Ok(vec![iteration(None, None)]))
    });

    let response = get(test_app, &format!("/api/v1/iterations?{QUERY}")).await.json();

    assert_eq!(response["current_iteration_id"], Value::Null);
    assert_eq!(response["iterations"][0]["attributes"]["timeFrame"], Value::Null);
}

#[actix_web::test]
async fn work_items_of_an_iteration_are_ids() {
    let mut test_app = test_app();
    test_app.work_items.expect_iteration_items().return_once(|_, team, id| {
        assert_eq!((team.projeto.as_str(), id), ("Portal", IterationId(ITERATION)));
        let ids = [41, 42].map(|id| WorkItemId::new(id).unwrap()).to_vec();
        Ok(Ok(IterationItems { nome: "Sprint 7".to_owned(), ids }))
    });

    let response = get(test_app, &format!("/api/v1/iterations/{ITERATION}/work-items?{QUERY}")).await;

    assert_eq!(
        (response.status.as_u16(), response.json()),
        (200, json!({"iteration_id": ITERATION, "iteration_name": "Sprint 7", "work_item_ids": [41, 42], "count": 2}))
    );
}

#[actix_web::test]
async fn teams_have_the_default_one() {
    let mut test_app = test_app();
    test_app.work_items.expect_teams().return_once(|credential, projeto| {
        assert!(credential.is_some() && projeto == "Portal");
        let team = Team {
            id: TeamId(TEAM),
            nome: "Time Portal".to_owned(),
            descricao: String::new(),
            url: "https://dev.azure.com/exemplo/t".to_owned(),
            identity_url: "https://vssps.dev.azure.com/exemplo/i".to_owned(),
            projeto_id: ITERATION,
            projeto_nome: "Portal".to_owned(),
        };
        Ok(Ok(Teams { teams: vec![team], default: Some(TeamId(TEAM)) }))
    });

    let response = get(test_app, &format!("/api/v1/teams?{QUERY}")).await;

    let team = json!({
        "id": TEAM, "name": "Time Portal", "description": "", "url": "https://dev.azure.com/exemplo/t",
        "identity_url": "https://vssps.dev.azure.com/exemplo/i", "project_id": ITERATION, "project_name": "Portal",
    });
    let expected = json!({"count": 1, "teams": [team], "mine_only": false, "is_admin": false, "default_team_id": TEAM});
    assert_eq!((response.status.as_u16(), response.json()), (200, expected));
}

#[actix_web::test]
async fn what_azure_devops_does_not_have_is_an_error_with_a_text() {
    let cases = [
        (Missing::Projeto, (400, "Projeto não encontrado: Portal".to_owned()), ["query", "project_id"]),
        (Missing::Team, (404, format!("Time não encontrado: {TEAM}")), ["query", "team_id"]),
        (Missing::Iteration, (404, format!("Iteração não encontrada: {ITERATION}")), ["path", "iteration_id"]),
    ];
    for (missing, expected, location) in cases {
        let mut test_app = test_app();
        test_app.work_items.expect_iteration_items().return_once(move |_, _, _| Ok(Err(missing)));

        let uri = format!("/api/v1/iterations/{ITERATION}/work-items?{QUERY}&team_id={TEAM}");

        let response = get(test_app, &uri).await;
        assert_eq!(response.error(), expected);
        assert_eq!(response.json()["errors"][0]["loc"], json!(location));
    }
}

#[actix_web::test]
async fn invalid_parameters_are_422_and_ask_nobody() {
    let cases = [
        ("/api/v1/teams", vec!["organization_name", "project_id"]),
        ("/api/v1/iterations?organization_name=&project_id=", vec!["organization_name", "project_id"]),
        (&format!("/api/v1/iterations?{QUERY}&team_id=Time"), vec!["team_id"]),
        (&format!("/api/v1/iterations?{QUERY}&team_id=.."), vec!["team_id"]),
        (&format!("/api/v1/iterations/..%2Fx/work-items?{QUERY}"), vec!["iteration_id"]),
        (&format!("/api/v1/iterations/x/work-items?{QUERY}&team_id=x"), vec!["iteration_id", "team_id"]),
    ];
    for (uri, fields) in cases {
        let errors = get(test_app(), uri).await.errors();

        let named: Vec<_> = errors.iter().map(|(_, location)| location[1].as_str().unwrap()).collect();
        assert_eq!(named, fields, "{uri}");
    }
}

#[actix_web::test]
async fn failure_of_azure_devops_has_its_status() {
    let cases: [(fn() -> Error, u16); 5] = [
        (|| Error::Conflict(Conflict::SemOrganizacao), 409),
        (|| Error::Forbidden, 403),
        (|| Error::Unavailable { service: Service::AzureDevOps, retry_after: None, cause: "x".into() }, 503),
        (|| Error::TimedOut { service: Service::AzureDevOps, cause: "x".into() }, 504),
        (|| Error::BadUpstream { service: Service::AzureDevOps, cause: "x".into() }, 502),
    ];
    for (error, status) in cases {
        let mut test_app = test_app();
        test_app.work_items.expect_teams().returning(move |_, _| Err(error()));

        assert_eq!(get(test_app, &format!("/api/v1/teams?{QUERY}")).await.status, status);
    }
}
