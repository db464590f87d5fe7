//! Work items: the requests, what the responses mean, and one request for equal queries.

use std::time::Duration;

use adapters_azure::AzureDevOps;
use domain::{Conflict, Credential, Error, StateCategory, WorkItem, WorkItemDirectory, WorkItemId};
use serde_json::{Value, json};
use wiremock::matchers::{basic_auth, header, method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::support::{
    CONNECTION_DATA, PAT, adapter, azure, bearer, calls, config, fixture, fixture_json, kind, know, know_the_pat,
    respond, retry_after,
};

const ITEM: &str = "/contoso-lab/_apis/wit/workitems/41";
const BATCH: &str = "/contoso-lab/_apis/wit/workitemsbatch";
const STATES: &str = "/contoso-lab/Apontamentos/_apis/wit/workitemtypes/Task/states";
const FIELDS: [&str; 9] = [
    "System.Title",
    "System.WorkItemType",
    "System.State",
    "System.TeamProject",
    "System.AssignedTo",
    "Microsoft.VSTS.Scheduling.OriginalEstimate",
    "Microsoft.VSTS.Scheduling.RemainingWork",
    "Microsoft.VSTS.Scheduling.CompletedWork",
    "System.Parent",
];

fn id(id: i64) -> WorkItemId {
    WorkItemId::new(id).unwrap()
}

fn pat() -> Credential {
    bearer(PAT)
}

async fn find(azure: &AzureDevOps) -> Result<Option<WorkItem>, Error> {
    azure.find(Some(pat()), id(41)).await
}

async fn states(azure: &AzureDevOps, projeto: &str, tipo: &str) -> Result<domain::WorkItemStates, Error> {
    azure.states(Some(pat()), projeto.to_owned(), tipo.to_owned()).await
}

/// An organisation that knows the PAT and responds with `response` to every request for work item 41.
async fn with_item(response: ResponseTemplate) -> (MockServer, AzureDevOps) {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    respond(&server, ITEM, response).await;
    (server, azure)
}

/// Makes `server` respond to batches with `item` of each id.
async fn respond_to_batches(server: &MockServer, item: impl Fn(&Value) -> Value + Send + Sync + 'static) {
    let response = move |request: &Request| {
        let body: Value = request.body_json().unwrap();
        // Not in the order of the ids.
        let value: Vec<_> = body["ids"].as_array().unwrap().iter().rev().map(&item).collect();
        ResponseTemplate::new(200).set_body_json(json!({"count": value.len(), "value": value}))
    };
    Mock::given(method("POST")).and(path(BATCH)).respond_with(response).mount(server).await;
}

fn titled(id: &Value) -> Value {
    json!({"id": id, "rev": 1, "fields": {"System.Title": format!("Tarefa {id}")}})
}

fn ids_of(items: &[WorkItem]) -> Vec<i32> {
    items.iter().map(|item| item.id.get()).collect()
}

#[tokio::test]
async fn find_sends_the_documented_request_and_reads_every_field() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    Mock::given(method("GET"))
        .and(path(ITEM))
        .and(basic_auth("", PAT))
        .and(query_param("api-version", "7.1"))
        .and(query_param("fields", FIELDS.join(",")))
        .respond_with(fixture("workitem_200"))
        .mount(&server)
        .await;

    let item = find(&azure).await.unwrap().unwrap();

    let expected = WorkItem {
        id: id(41),
        titulo: "Importar folha".to_owned(),
        tipo: "Task".to_owned(),
        estado: "Active".to_owned(),
        projeto: "Apontamentos".to_owned(),
        url: format!("{}/contoso-lab/_workitems/edit/41", server.uri()),
        parent: Some(id(40)),
        assigned_to: Some("Ana Lima".to_owned()),
        original_estimate: Some(8.0),
        remaining_work: Some(5.5),
        completed_work: Some(2.5),
    };
    assert_eq!(item, expected);
}

#[tokio::test]
async fn fields_without_a_value_are_none() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    respond(&server, "/contoso-lab/_apis/wit/workitems/42", fixture("workitem_200_no_schedule_fields")).await;

    let item = azure.find(Some(pat()), id(42)).await.unwrap().unwrap();

    assert_eq!((item.titulo.as_str(), item.parent, item.assigned_to), ("Importar folha", None, None));
    assert_eq!((item.original_estimate, item.remaining_work, item.completed_work), (None, None, None));
}

#[tokio::test]
async fn missing_or_hidden_item_is_none_and_any_other_failure_an_error() {
    let huge = json!({"id": 41, "fields": {"System.Title": "a".repeat(5 * 1024 * 1024)}});
    let cases = [
        (fixture("error_404_work_item"), "none"),
        (fixture("error_404_org"), "bad upstream"),
        (fixture("project_404"), "bad upstream"),
        (ResponseTemplate::new(404), "bad upstream"),
        (fixture("signin_203_html"), "forbidden"),
        (fixture("signin_302_rejected_credential"), "forbidden"),
        (fixture("unauthorized_401_missing_scope"), "forbidden"),
        (fixture("error_403_permission"), "forbidden"),
        (fixture("error_500_not_transient"), "bad upstream"),
        (fixture("unavailable_503_html"), "unavailable"),
        (ResponseTemplate::new(504), "timed out"),
        (ResponseTemplate::new(200).set_body_json(huge), "bad upstream"),
        (ResponseTemplate::new(200).set_body_json(json!({"id": 42, "fields": {}})), "bad upstream"),
        (ResponseTemplate::new(200).set_body_json(json!({"count": 0, "value": []})), "bad upstream"),
        (ResponseTemplate::new(200).set_body_raw("{\"id\": 41, ", "application/json"), "bad upstream"),
        (ResponseTemplate::new(302).insert_header("Location", "https://dev.azure.com/outra"), "bad upstream"),
    ];
    for (n, (response, expected)) in cases.into_iter().enumerate() {
        let (_server, azure) = with_item(response).await;

        let result = match find(&azure).await {
            Ok(None) => "none",
            Ok(Some(_)) => "found",
            Err(error) => kind(&error),
        };

        assert_eq!(result, expected, "case {n}");
    }
}

#[tokio::test]
async fn throttled_caller_is_told_to_wait_and_spared_further_requests() {
    let (server, azure) = with_item(fixture("ratelimit_429")).await;

    let first = find(&azure).await.unwrap_err();
    let second = azure.find_many(Some(pat()), vec![id(1), id(2)]).await.unwrap_err();

    assert_eq!([kind(&first), kind(&second)], ["unavailable"; 2]);
    assert!(retry_after(&first).is_some() && retry_after(&second).is_some());
    assert_eq!((calls(&server, ITEM).await, calls(&server, BATCH).await), (1, 0));
}

#[tokio::test]
async fn slow_response_times_out_within_the_limit_of_work_items() {
    let server = MockServer::start().await;
    let mut config = config(&server.uri());
    config.timeouts.work_items = Duration::from_millis(300);
    let azure = adapter(&config);
    know_the_pat(&server).await;
    respond(&server, ITEM, fixture("workitem_200").set_delay(Duration::from_mins(1))).await;

    assert_eq!(kind(&find(&azure).await.unwrap_err()), "timed out");
}

#[tokio::test]
async fn find_many_sends_batches_of_200_and_keeps_the_order_of_the_ids() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    respond_to_batches(&server, |id| if id == 7 { Value::Null } else { titled(id) }).await;
    let wanted: Vec<_> = (1..=450).rev().chain([450, 1]).map(id).collect();

    let items = azure.find_many(Some(pat()), wanted).await.unwrap();

    assert_eq!(ids_of(&items), (1..=450).rev().filter(|&id| id != 7).collect::<Vec<_>>());
    assert!(items.iter().all(|item| item.titulo == format!("Tarefa {}", item.id)));
    let requests = server.received_requests().await.unwrap();
    let batches: Vec<_> = requests.iter().filter(|request| request.url.path() == BATCH).collect();
    assert_eq!(batches.len(), 3);
    let mut sizes = Vec::new();
    for batch in batches {
        let body: Value = batch.body_json().unwrap();
        assert_eq!((&body["errorPolicy"], &body["fields"]), (&json!("omit"), &json!(FIELDS)));
        assert_eq!(batch.url.query(), Some("api-version=7.1"));
        assert_eq!(batch.headers["content-type"], "application/json");
        sizes.push(body["ids"].as_array().unwrap().len());
    }
    sizes.sort_unstable();
    assert_eq!(sizes, [50, 200, 200]);
}

#[tokio::test]
async fn batch_with_null_slots_and_foreign_items_returns_the_requested_ones() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    let mut body = fixture_json("workitemsbatch_200_omit_null")["response"]["body"].take();
    body["value"].as_array_mut().unwrap().extend([json!({"id": 7, "fields": {}}), json!({"id": -1}), json!("x")]);
    let response = ResponseTemplate::new(200).set_body_json(body);
    Mock::given(method("POST")).and(path(BATCH)).respond_with(response).mount(&server).await;

    let items = azure.find_many(Some(pat()), vec![id(41), id(999_999)]).await.unwrap();

    assert_eq!(ids_of(&items), [41]);
}

#[tokio::test]
async fn find_many_fails_as_a_whole_and_sends_nothing_for_no_ids() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    let is_last = |request: &Request| request.body_json::<Value>().unwrap()["ids"].as_array().unwrap().len() < 200;
    let response = move |request: &Request| {
        if is_last(request) { ResponseTemplate::new(400) } else { fixture("workitemsbatch_200") }
    };
    Mock::given(method("POST")).and(path(BATCH)).respond_with(response).mount(&server).await;

    let failed = azure.find_many(Some(pat()), (1..=201).map(id).collect()).await.unwrap_err();

    assert_eq!(kind(&failed), "bad upstream");
    assert_eq!(azure.find_many(Some(pat()), vec![]).await.unwrap(), []);
    assert_eq!(calls(&server, BATCH).await, 2);
}

#[tokio::test]
async fn equal_queries_of_one_credential_share_one_request() {
    let (server, azure) = azure().await;
    know(&server, basic_auth("", PAT), "connectiondata_200_entra_user").await;
    know(&server, basic_auth("", "rui"), "connectiondata_200_msa_user").await;
    let slow = fixture("workitem_200").set_delay(Duration::from_millis(100));
    let of_ana = Mock::given(path(ITEM)).and(basic_auth("", PAT));
    of_ana.respond_with(slow).mount(&server).await;
    Mock::given(path(ITEM)).respond_with(fixture("error_404_work_item")).mount(&server).await;
    respond_to_batches(&server, titled).await;

    let concurrent: Vec<_> = (0..20)
        .map(|_| {
            let azure = azure.clone();
            tokio::spawn(async move { find(&azure).await.unwrap() })
        })
        .collect();
    for query in concurrent {
        assert!(query.await.unwrap().is_some());
    }
    assert!(find(&azure).await.unwrap().is_some());
    for _ in 0..2 {
        azure.find_many(Some(pat()), vec![id(1), id(2)]).await.unwrap();
    }
    assert_eq!((calls(&server, ITEM).await, calls(&server, BATCH).await), (1, 1));

    // What one caller sees is never shown to another.
    assert_eq!(azure.find(Some(bearer("rui")), id(41)).await.unwrap(), None);
    assert_eq!(calls(&server, ITEM).await, 2);
}

#[tokio::test]
async fn failure_is_not_cached() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    let once = Mock::given(path(ITEM)).respond_with(fixture("error_500_not_transient")).up_to_n_times(1);
    once.mount(&server).await;
    respond(&server, ITEM, fixture("workitem_200")).await;

    assert_eq!(kind(&find(&azure).await.unwrap_err()), "bad upstream");
    assert!(find(&azure).await.unwrap().is_some());
}

#[tokio::test]
async fn rejection_of_a_known_credential_looks_its_identity_up_again() {
    let (server, azure) = with_item(fixture("unauthorized_401_suppress_empty")).await;

    for _ in 0..2 {
        assert_eq!(kind(&find(&azure).await.unwrap_err()), "forbidden");
    }

    assert_eq!(calls(&server, CONNECTION_DATA).await, 2);
}

#[tokio::test]
async fn states_are_read_by_category_once_per_project_and_type() {
    let (server, azure) = azure().await;
    respond(&server, CONNECTION_DATA, fixture("connectiondata_200_entra_user")).await;
    Mock::given(method("GET"))
        .and(path(STATES))
        .and(header("accept", "application/json"))
        .and(query_param("api-version", "7.1"))
        .respond_with(fixture("workitemtype_states_200"))
        .mount(&server)
        .await;

    let read = states(&azure, "Apontamentos", "Task").await.unwrap();
    let again = azure.states(Some(bearer("rui")), "Apontamentos".to_owned(), "Task".to_owned()).await.unwrap();

    let categories = ["New", "active", "Closed", "Removed", "Parked"].map(|state| read.category(state));
    let expected =
        [StateCategory::Proposed, StateCategory::InProgress, StateCategory::Completed, StateCategory::Removed];
    assert_eq!(categories, [Some(expected[0]), Some(expected[1]), Some(expected[2]), Some(expected[3]), None]);
    assert_eq!(read, again);
    assert_eq!(calls(&server, STATES).await, 1);
}

#[tokio::test]
async fn names_of_projects_and_types_are_single_segments_of_the_path() {
    let (server, azure) = azure().await;
    respond(&server, CONNECTION_DATA, fixture("connectiondata_200_entra_user")).await;
    Mock::given(method("GET")).respond_with(fixture("workitemtype_states_200")).with_priority(10).mount(&server).await;

    for (projeto, tipo, expected) in [
        ("Portal do Cliente", "História de Usuário", "Portal%20do%20Cliente|Hist%C3%B3ria%20de%20Usu%C3%A1rio"),
        ("../outra", "a/b?c#d", "..%2Foutra|a%2Fb%3Fc%23d"),
        ("%2e%2e", "a%2Fb", "%252e%252e|a%252Fb"),
    ] {
        states(&azure, projeto, tipo).await.unwrap();
        let (projeto, tipo) = expected.split_once('|').unwrap();
        let expected = format!("/contoso-lab/{projeto}/_apis/wit/workitemtypes/{tipo}/states");
        assert_eq!(calls(&server, &expected).await, 1, "{expected}");
    }
    let before = server.received_requests().await.unwrap().len();
    for (projeto, tipo) in [("", "Task"), ("..", "Task"), (".", "Task"), ("Portal", ""), ("Portal", "..")] {
        assert_eq!(kind(&states(&azure, projeto, tipo).await.unwrap_err()), "bad upstream", "{projeto:?} {tipo:?}");
    }
    assert_eq!(server.received_requests().await.unwrap().len(), before);
}

#[tokio::test]
async fn unknown_type_is_an_error_that_is_not_cached() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    respond(
        &server,
        STATES,
        ResponseTemplate::new(404).set_body_json(json!({"typeKey": "WorkItemTypeNotFoundException"})),
    )
    .await;

    for _ in 0..2 {
        assert_eq!(kind(&states(&azure, "Apontamentos", "Task").await.unwrap_err()), "bad upstream");
    }

    assert_eq!(calls(&server, STATES).await, 2);
}

#[tokio::test]
async fn without_credential_or_organisation_nothing_is_asked() {
    let (server, azure) = azure().await;
    let mut no_organisation = config(&server.uri());
    no_organisation.org_url = None;

    let without_credential = azure.find(None, id(41)).await.unwrap_err();
    let without_organisation = adapter(&no_organisation).find_many(Some(pat()), vec![id(41)]).await.unwrap_err();

    for error in [without_credential, without_organisation] {
        assert!(matches!(error, Error::Conflict(Conflict::SemOrganizacao)), "{error}");
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn rejected_credential_reads_nothing() {
    let (server, azure) = with_item(fixture("workitem_200")).await;

    assert_eq!(kind(&azure.find(Some(bearer("unknown")), id(41)).await.unwrap_err()), "rejected");

    assert_eq!(calls(&server, ITEM).await, 0);
}
