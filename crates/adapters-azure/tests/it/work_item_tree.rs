//! Trees of work items: the queries that are sent, and what is left if one fails.

use std::time::Duration;

use adapters_azure::AzureDevOps;
use domain::{
    Error, IterationId, Missing, StateCategory, TeamId, TreeGap, TreeQuery, WorkItemDirectory, WorkItemId, WorkItemTree,
};
use serde_json::{Value, json};
use uuid::{Uuid, uuid};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::support::{PAT, azure, bearer, calls, fixture, kind, know_the_pat, respond};

const SCOPED: &str = "/contoso-lab/Portal/_apis/wit/wiql";
const WIQL: &str = "/contoso-lab/_apis/wit/wiql";
const BATCH: &str = "/contoso-lab/_apis/wit/workitemsbatch";
const TYPES: &str = "/contoso-lab/Portal/_apis/wit/workitemtypes";
const TEAM: Uuid = uuid!("d87ab94d-29d0-575a-b835-ec46f9fa77ed");
const SPRINT: Uuid = uuid!("48d24750-6492-5802-b000-64173dcd4b6b");

fn query(ids: &[i64], iteration: Option<(Option<TeamId>, IterationId)>) -> TreeQuery {
    let ids = ids.iter().map(|&id| WorkItemId::new(id).unwrap()).collect();
    TreeQuery { projeto: Some("Portal".to_owned()), iteration, ids }
}

async fn tree(azure: &AzureDevOps, query: TreeQuery) -> Result<Result<WorkItemTree, Missing>, Error> {
    azure.tree(Some(bearer(PAT)), query).await
}

/// The items as `id<parent:category`, in the order of their ids.
fn outline(tree: &WorkItemTree) -> Vec<String> {
    let mut items: Vec<_> = tree.items.iter().collect();
    items.sort_by_key(|item| item.item.id);
    let parent = |item: &domain::TreeItem| item.item.parent.map_or(String::new(), |parent| format!("<{parent}"));
    items.iter().map(|item| format!("{}{}:{}", item.item.id, parent(item), item.categoria.is_some())).collect()
}

/// Responds to queries with `assigned`, and with the links 40 > 41, 40 > 42.
async fn respond_to_queries(server: &MockServer, assigned: Vec<i64>) {
    let links = json!([
        {"rel": null, "source": null, "target": {"id": 40}},
        {"rel": "System.LinkTypes.Hierarchy-Forward", "source": {"id": 40}, "target": {"id": 41}},
        {"rel": "System.LinkTypes.Hierarchy-Forward", "source": {"id": 40}, "target": {"id": 42}},
    ]);
    let respond = move |request: &Request| {
        let is_links = text(request).contains("FROM WorkItemLinks");
        let items: Vec<_> = assigned.iter().map(|id| json!({"id": id})).collect();
        let body = if is_links { json!({"workItemRelations": links}) } else { json!({"workItems": items}) };
        ResponseTemplate::new(200).set_body_json(body)
    };
    Mock::given(method("POST")).and(path(SCOPED)).respond_with(respond.clone()).mount(server).await;
    Mock::given(method("POST")).and(path(WIQL)).respond_with(respond).mount(server).await;
}

async fn respond_to_batches(server: &MockServer) {
    let batch = |request: &Request| {
        let ids = request.body_json::<Value>().unwrap()["ids"].as_array().unwrap().clone();
        let fields = json!({
            "System.Title": "Tarefa", "System.TeamProject": "Portal", "System.WorkItemType": "Task", "System.State": "Active",
            "System.Parent": 7,
        });
        let item = |id: &Value| if id == 99 { Value::Null } else { json!({"id": id, "fields": fields}) };
        let items: Vec<_> = ids.iter().map(item).collect();
        ResponseTemplate::new(200).set_body_json(json!({"count": items.len(), "value": items}))
    };
    Mock::given(method("POST")).and(path(BATCH)).respond_with(batch).mount(server).await;
}

fn types() -> ResponseTemplate {
    let states = json!([{"name": "Active", "category": "InProgress"}, {"name": "Closed", "category": "Completed"}]);
    ResponseTemplate::new(200).set_body_json(json!({"count": 1, "value": [{"name": "Task", "states": states}]}))
}

async fn organisation(assigned: Vec<i64>) -> (MockServer, AzureDevOps) {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    respond_to_queries(&server, assigned).await;
    respond_to_batches(&server).await;
    respond(&server, TYPES, types()).await;
    (server, azure)
}

fn text(request: &Request) -> String {
    request.body_json::<Value>().unwrap()["query"].as_str().unwrap_or_default().to_owned()
}

async fn queries(server: &MockServer) -> Vec<(String, String)> {
    let requests = server.received_requests().await.unwrap();
    let queries = requests.iter().filter(|request| request.url.path().ends_with("/wiql"));
    queries.map(|request| (request.url.path().to_owned(), text(request))).collect()
}

fn numbers(count: u32) -> Vec<i64> {
    (1..=i64::from(count)).collect()
}

#[tokio::test]
async fn tree_takes_three_calls_and_a_batch() {
    let (server, azure) = organisation(vec![41, 42]).await;

    let found = tree(&azure, query(&[42, 99], None)).await.unwrap().unwrap();

    assert_eq!(outline(&found), ["40:true", "41<40:true", "42<40:true"]);
    assert_eq!((found.items[0].categoria, found.gaps), (Some(StateCategory::InProgress), vec![]));
    let queries = queries(&server).await;
    let assigned = "SELECT [System.Id] FROM WorkItems WHERE [System.TeamProject] = @project AND [System.AssignedTo] = @Me \
                    ORDER BY [System.ChangedDate] DESC";
    let with_parents = "SELECT [System.Id] FROM WorkItemLinks WHERE ([System.Links.LinkType] = \
                        'System.LinkTypes.Hierarchy-Forward') AND ([Target].[System.Id] IN (42, 99, 41, 42)) ORDER BY \
                        [System.Id] MODE (Recursive, ReturnMatchingChildren)";
    assert_eq!(queries[0], (SCOPED.to_owned(), assigned.to_owned()));
    assert_eq!(queries[1], (WIQL.to_owned(), with_parents.to_owned()));
    assert_eq!((queries.len(), calls(&server, BATCH).await, calls(&server, TYPES).await), (2, 1, 1));
}

#[tokio::test]
async fn equal_queries_share_every_call_and_another_caller_shares_the_states() {
    let (server, azure) = organisation(vec![41]).await;
    crate::support::know(&server, wiremock::matchers::basic_auth("", "rui"), "connectiondata_200_msa_user").await;
    let concurrent: Vec<_> = (0..10)
        .map(|_| {
            let azure = azure.clone();
            tokio::spawn(async move { tree(&azure, query(&[], None)).await.unwrap().unwrap().items.len() })
        })
        .collect();
    assert_eq!(crate::support::join_all(concurrent).await, [3; 10]);
    assert_eq!((queries(&server).await.len(), calls(&server, BATCH).await, calls(&server, TYPES).await), (2, 1, 1));

    azure.tree(Some(bearer("rui")), query(&[], None)).await.unwrap().unwrap();

    assert_eq!((queries(&server).await.len(), calls(&server, BATCH).await, calls(&server, TYPES).await), (4, 2, 1));
}

#[tokio::test]
async fn iteration_is_a_condition_of_the_query_for_links() {
    let (server, azure) = organisation(vec![]).await;
    let body = json!({"id": SPRINT, "name": "Sprint 7", "path": "Portal\\D'água"});
    let address = format!("/contoso-lab/Portal/{TEAM}/_apis/work/teamsettings/iterations/{SPRINT}");
    respond(&server, &address, ResponseTemplate::new(200).set_body_json(body)).await;

    let found = tree(&azure, query(&[42], Some((Some(TeamId(TEAM)), IterationId(SPRINT))))).await.unwrap().unwrap();

    assert_eq!((outline(&found).len(), found.gaps), (3, vec![]));
    let queries = queries(&server).await;
    let target = "([Target].[System.Id] IN (42) OR ([Target].[System.TeamProject] = @project AND \
                  [Target].[System.AssignedTo] = @Me AND [Target].[System.IterationPath] = 'Portal\\D''água'))";
    assert_eq!((queries.len(), queries[0].0.as_str()), (1, SCOPED));
    assert!(queries[0].1.contains(target), "{}", queries[0].1);
}

#[tokio::test]
async fn missing_iteration_is_missing_and_a_missing_project_a_gap() {
    let (server, azure) = organisation(vec![]).await;
    let address = format!("/contoso-lab/Portal/_apis/work/teamsettings/iterations/{SPRINT}");
    let not_found = json!({"typeKey": "CurrentIterationDoesNotExistException", "message": "x"});
    respond(&server, &address, ResponseTemplate::new(404).set_body_json(not_found)).await;
    let iteration = Some((None, IterationId(SPRINT)));

    assert_eq!(tree(&azure, query(&[42], iteration)).await.unwrap(), Err(Missing::Iteration));

    let (server, azure) = crate::support::azure().await;
    know_the_pat(&server).await;
    Mock::given(path(SCOPED)).respond_with(fixture("project_404")).mount(&server).await;
    respond_to_queries(&server, vec![]).await;
    respond_to_batches(&server).await;
    respond(&server, TYPES, types()).await;
    let found = tree(&azure, query(&[42], None)).await.unwrap().unwrap();
    assert_eq!((outline(&found).len(), found.gaps), (3, vec![TreeGap::Projeto]));
}

#[tokio::test]
async fn failed_part_is_a_gap() {
    let cases = [
        ("FROM WorkItems ", TreeGap::Assigned, vec!["40:true", "41<40:true", "42<40:true"]),
        ("FROM WorkItemLinks ", TreeGap::Parents, vec!["41<7:true"]),
    ];
    for (part, gap, expected) in cases {
        for response in [fixture("error_500_not_transient"), fixture("signin_203_html"), ResponseTemplate::new(400)] {
            let (server, azure) = azure().await;
            know_the_pat(&server).await;
            let is_part =
                move |request: &Request| request.url.path().ends_with("/wiql") && text(request).contains(part);
            Mock::given(is_part).respond_with(response).mount(&server).await;
            respond_to_queries(&server, vec![41]).await;
            respond_to_batches(&server).await;
            respond(&server, TYPES, types()).await;

            let found = tree(&azure, query(&[41], None)).await.unwrap().unwrap();

            assert_eq!(
                (outline(&found), found.gaps.as_slice()),
                (expected.iter().map(|&s| s.to_owned()).collect(), &[gap][..])
            );
        }
    }
}

#[tokio::test]
async fn states_that_cannot_be_read_are_a_gap() {
    let huge = ResponseTemplate::new(200).set_body_string(" ".repeat(17 * 1024 * 1024));
    for response in [ResponseTemplate::new(500), fixture("project_404"), huge] {
        let (server, azure) = azure().await;
        know_the_pat(&server).await;
        respond_to_queries(&server, vec![41]).await;
        respond_to_batches(&server).await;
        respond(&server, TYPES, response).await;

        let found = tree(&azure, query(&[], None)).await.unwrap().unwrap();

        assert_eq!(
            (outline(&found), found.gaps),
            (vec!["40:false".to_owned(), "41<40:false".to_owned(), "42<40:false".to_owned()], vec![TreeGap::States])
        );
    }
}

#[tokio::test]
async fn without_any_item_a_failure_is_an_error_and_not_cached() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    let once = Mock::given(path(SCOPED)).respond_with(fixture("error_500_not_transient")).up_to_n_times(1);
    once.mount(&server).await;
    respond_to_queries(&server, vec![]).await;

    assert_eq!(kind(&tree(&azure, query(&[], None)).await.unwrap_err()), "bad upstream");
    assert_eq!(tree(&azure, query(&[], None)).await.unwrap(), Ok(WorkItemTree::default()));
}

#[tokio::test]
async fn number_of_items_is_bounded() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    respond_to_batches(&server).await;
    respond(&server, TYPES, types()).await;
    let links = |request: &Request| {
        let text = text(request);
        assert!(text.len() < 32_000, "{}", text.len());
        ResponseTemplate::new(200).set_body_json(json!({"workItemRelations": []}))
    };
    Mock::given(path(WIQL)).respond_with(links).mount(&server).await;
    let assigned: Vec<_> = (2_147_480_000_i64..).take(1_001).map(|id| json!({"id": id})).collect();
    Mock::given(path(SCOPED))
        .and(query_param("$top", "1001"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"workItems": assigned})))
        .mount(&server)
        .await;

    let found = tree(&azure, query(&numbers(1_500), None)).await.unwrap().unwrap();

    assert_eq!((found.items.len(), found.gaps), (1_999, vec![TreeGap::TooMany]), "all but the one that is hidden");
    assert_eq!(calls(&server, BATCH).await, 10);
}

#[tokio::test]
async fn slow_part_ends_within_the_limit_of_work_items() {
    let server = MockServer::start().await;
    let mut config = crate::support::config(&server.uri());
    config.timeouts.work_items = Duration::from_millis(300);
    let azure = crate::support::adapter(&config);
    know_the_pat(&server).await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_delay(Duration::from_mins(1)))
        .mount(&server)
        .await;

    assert_eq!(kind(&tree(&azure, query(&[41], None)).await.unwrap_err()), "timed out");
}
