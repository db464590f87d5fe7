//! Teams and iterations: the requests, and what the responses mean.

use domain::{IterationId, Missing, TeamId, TeamSelector, TimeFrame, WorkItemDirectory};
use serde_json::json;
use time::macros::date;
use uuid::{Uuid, uuid};
use wiremock::matchers::{body_string_contains, method, path, query_param};
use wiremock::{Mock, ResponseTemplate};

use crate::support::{PAT, azure, bearer, calls, fixture, kind, know_the_pat, respond};

const PROJECT: &str = "/contoso-lab/_apis/projects/Portal%20do%20Cliente";
const SPRINT: Uuid = uuid!("48d24750-6492-5802-b000-64173dcd4b6b");

fn selector(team: Option<Uuid>) -> TeamSelector {
    TeamSelector { projeto: "Portal do Cliente".to_owned(), team: team.map(TeamId) }
}

fn address(team: &str, rest: &str) -> String {
    format!("/contoso-lab/Portal%20do%20Cliente{team}/_apis/work/teamsettings/iterations{rest}")
}

#[tokio::test]
async fn teams_are_read_page_by_page_with_the_default_one() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    respond(&server, PROJECT, fixture("project_200_capabilities")).await;
    let team = |n: u128| json!({"id": Uuid::from_u128(n), "name": format!("Time {n}"), "description": "d", "url": "u"});
    for (skip, numbers) in [("0", 1..=1_000), ("1000", 1_001..=1_001)] {
        let page: Vec<_> = numbers.map(team).collect();
        Mock::given(method("GET"))
            .and(path(format!("{PROJECT}/teams")))
            .and(query_param("$skip", skip))
            .and(query_param("$top", "1000"))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({"value": page})))
            .mount(&server)
            .await;
    }

    let teams = azure.teams(Some(bearer(PAT)), "Portal do Cliente".to_owned()).await.unwrap().unwrap();

    assert_eq!((teams.teams.len(), teams.teams[1_000].nome.as_str()), (1_001, "Time 1001"));
    assert_eq!(teams.default, Some(TeamId(uuid!("d87ab94d-29d0-575a-b835-ec46f9fa77ed"))));
    assert_eq!((teams.teams[0].projeto_nome.as_str(), teams.teams[0].identity_url.as_str()), ("Apontamentos", ""));
    azure.teams(Some(bearer(PAT)), "Portal do Cliente".to_owned()).await.unwrap().unwrap();
    assert_eq!(calls(&server, PROJECT).await, 1);
}

#[tokio::test]
async fn iterations_have_days_and_their_place_in_time() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    respond(&server, &address("", ""), fixture("iterations_200")).await;

    let iterations = azure.iterations(Some(bearer(PAT)), selector(None)).await.unwrap().unwrap();

    let read: Vec<_> = iterations.iter().map(|one| (one.nome.as_str(), one.inicio, one.fim, one.time_frame)).collect();
    let expected = [
        ("Sprint 6", Some(date!(2026 - 04 - 13)), Some(date!(2026 - 04 - 24)), Some(TimeFrame::Past)),
        ("Sprint 7", Some(date!(2026 - 04 - 27)), Some(date!(2026 - 05 - 08)), Some(TimeFrame::Current)),
        ("Sprint 8", None, None, Some(TimeFrame::Future)),
    ];
    assert_eq!(read, expected);
    assert_eq!(iterations[1].path, "Apontamentos\\Sprint 7");
}

#[tokio::test]
async fn work_items_of_an_iteration_are_found_by_its_path() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    let team = Uuid::from_u128(7);
    let iteration = json!({"id": SPRINT, "name": "Sprint 7", "path": "Portal\\D'água"});
    let at = address(&format!("/{team}"), &format!("/{SPRINT}"));
    respond(&server, &at, ResponseTemplate::new(200).set_body_json(iteration)).await;
    Mock::given(method("POST"))
        .and(path("/contoso-lab/Portal%20do%20Cliente/_apis/wit/wiql"))
        .and(query_param("$top", "20000"))
        .and(body_string_contains("[System.IterationPath] = 'Portal\\\\D''água'"))
        .respond_with(
            ResponseTemplate::new(200).set_body_json(json!({"workItems": [{"id": 42}, {"id": "x"}, {"id": 41}]})),
        )
        .mount(&server)
        .await;

    let found = azure.iteration_items(Some(bearer(PAT)), selector(Some(team)), IterationId(SPRINT)).await;

    let items = found.unwrap().unwrap();
    assert_eq!(items.nome, "Sprint 7");
    assert_eq!(items.ids.iter().map(|id| id.get()).collect::<Vec<_>>(), [42, 41]);
}

#[tokio::test]
async fn missing_is_told_from_failed() {
    let json = |status, key: &str| ResponseTemplate::new(status).set_body_json(json!({"typeKey": key}));
    let other = json!({"id": Uuid::from_u128(7), "name": "Outra", "path": "P"});
    let cases = [
        (fixture("project_404"), "Projeto", "Projeto"),
        (fixture("project_400_no_access_by_id"), "Projeto", "Projeto"),
        (json(404, "TeamNotFoundException"), "Team", "Iteration"),
        (json(400, "VssPropertyValidationException"), "bad upstream", "bad upstream"),
        (fixture("signin_203_html"), "forbidden", "forbidden"),
        (fixture("error_403_permission"), "forbidden", "forbidden"),
        (fixture("unavailable_503_json"), "unavailable", "unavailable"),
        (ResponseTemplate::new(200).set_body_json(other), "bad upstream", "bad upstream"),
    ];
    for (n, (response, of_list, of_items)) in cases.into_iter().enumerate() {
        let (server, azure) = azure().await;
        know_the_pat(&server).await;
        let is_planning = |request: &wiremock::Request| request.url.path().contains("/teamsettings/");
        Mock::given(is_planning).respond_with(response).mount(&server).await;
        let word = |missing: Missing| format!("{missing:?}");

        let list = azure.iterations(Some(bearer(PAT)), selector(Some(Uuid::from_u128(7)))).await;
        let list = list.map_or_else(|error| kind(&error).to_owned(), |found| word(found.unwrap_err()));
        let items = azure.iteration_items(Some(bearer(PAT)), selector(None), IterationId(SPRINT)).await;
        let items = items.map_or_else(|error| kind(&error).to_owned(), |found| word(found.unwrap_err()));

        assert_eq!((list.as_str(), items.as_str()), (of_list, of_items), "case {n}");
    }
}
