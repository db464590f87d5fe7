//! Searches for work items: the query that is sent, and what its result means.

use adapters_azure::AzureDevOps;
use domain::{
    Credential, Error, WorkItem, WorkItemDirectory, WorkItemLimit, WorkItemSearch, WorkItemText, WorkItemTypes,
};
use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::support::{PAT, azure, bearer, calls, fixture, kind, know_the_pat};

const WIQL: &str = "/contoso-lab/_apis/wit/wiql";
const SCOPED: &str = "/contoso-lab/Portal%20do%20Cliente/_apis/wit/wiql";
const BATCH: &str = "/contoso-lab/_apis/wit/workitemsbatch";

async fn search(
    azure: &AzureDevOps,
    texto: &str,
    projeto: Option<&str>,
    tipos: &str,
) -> Result<Option<Vec<WorkItem>>, Error> {
    let credential: Option<Credential> = Some(bearer(PAT));
    let search = WorkItemSearch {
        texto: WorkItemText::parse(texto).unwrap(),
        projeto: projeto.map(str::to_owned),
        tipos: WorkItemTypes::parse(tipos).unwrap(),
        limit: WorkItemLimit::parse(3).unwrap(),
    };
    azure.search(credential, search).await
}

fn ids(found: Option<Vec<WorkItem>>) -> Option<Vec<i32>> {
    found.map(|items| items.iter().map(|item| item.id.get()).collect())
}

/// An organisation that knows the PAT, finds nothing by id, and finds `found` by title.
async fn organisation(found: &'static [i64]) -> (MockServer, AzureDevOps) {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    let query = move |request: &Request| {
        let is_by_id = request.body_json::<Value>().unwrap()["query"].as_str().unwrap().contains("[System.Id] =");
        let ids = if is_by_id { &[][..] } else { found };
        let items: Vec<_> = ids.iter().map(|id| json!({"id": id, "url": ""})).collect();
        ResponseTemplate::new(200).set_body_json(json!({"queryType": "flat", "workItems": items}))
    };
    let batch = |request: &Request| {
        let ids = request.body_json::<Value>().unwrap()["ids"].as_array().unwrap().clone();
        let items: Vec<_> = ids.iter().map(|id| json!({"id": id, "fields": {"System.Title": "Tela"}})).collect();
        ResponseTemplate::new(200).set_body_json(json!({"count": items.len(), "value": items}))
    };
    Mock::given(method("POST")).and(path(BATCH)).respond_with(batch).mount(&server).await;
    Mock::given(method("POST")).and(query_param("$top", "3")).respond_with(query).mount(&server).await;
    (server, azure)
}

async fn queries(server: &MockServer, at: &str) -> Vec<String> {
    let requests = server.received_requests().await.unwrap();
    let queries = requests.iter().filter(|request| request.url.path() == at);
    queries.map(|request| request.body_json::<Value>().unwrap()["query"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn search_sends_words_project_and_types_and_keeps_the_order_of_the_result() {
    let (server, azure) = organisation(&[57, 41, 42]).await;

    let found = search(&azure, "tela d'água", Some("Portal do Cliente"), "Task,Bug").await.unwrap();

    assert_eq!(ids(found), Some(vec![57, 41, 42]));
    let expected = "SELECT [System.Id] FROM WorkItems WHERE [System.Title] CONTAINS 'tela' AND \
                    [System.Title] CONTAINS 'd''água' AND [System.TeamProject] = @project AND \
                    [System.WorkItemType] IN ('Task', 'Bug') ORDER BY [System.ChangedDate] DESC";
    assert_eq!(queries(&server, SCOPED).await, [expected]);
}

#[tokio::test]
async fn number_is_searched_as_an_id_and_then_as_a_word() {
    let (server, azure) = organisation(&[7, 8, 9, 10]).await;

    let found = search(&azure, "41", None, "").await.unwrap();

    assert_eq!(ids(found), Some(vec![7, 8, 9]), "not more than the limit");
    let conditions = ["[System.Id] = 41", "[System.Title] CONTAINS '41'"];
    let expected = conditions.map(|condition| {
        format!("SELECT [System.Id] FROM WorkItems WHERE {condition} ORDER BY [System.ChangedDate] DESC")
    });
    assert_eq!(queries(&server, WIQL).await, expected);
}

#[tokio::test]
async fn equal_searches_share_one_query_and_one_batch() {
    let (server, azure) = organisation(&[41, 42]).await;

    for _ in 0..3 {
        assert_eq!(ids(search(&azure, "tela", None, "").await.unwrap()), Some(vec![41, 42]));
    }

    assert_eq!((calls(&server, WIQL).await, calls(&server, BATCH).await), (1, 1));
}

#[tokio::test]
async fn search_without_matches_reads_no_items() {
    let (server, azure) = organisation(&[]).await;

    assert_eq!(ids(search(&azure, "nada", None, "").await.unwrap()), Some(vec![]));

    assert_eq!(calls(&server, BATCH).await, 0);
}

#[tokio::test]
async fn unknown_project_is_none_and_any_other_failure_an_error() {
    let cases = [
        (fixture("project_404"), Some("Portal"), "none"),
        (fixture("project_404"), None, "bad upstream"),
        (
            ResponseTemplate::new(400).set_body_json(json!({"typeKey": "SyntaxException"})),
            Some("Portal"),
            "bad upstream",
        ),
        (fixture("error_403_permission"), Some("Portal"), "forbidden"),
        (fixture("signin_203_html"), Some("Portal"), "forbidden"),
        (fixture("ratelimit_429"), Some("Portal"), "unavailable"),
        (fixture("unavailable_503_json"), Some("Portal"), "unavailable"),
        (ResponseTemplate::new(200).set_body_json(json!({"workItemRelations": []})), Some("Portal"), "bad upstream"),
    ];
    for (n, (response, projeto, expected)) in cases.into_iter().enumerate() {
        let (server, azure) = azure().await;
        know_the_pat(&server).await;
        Mock::given(method("POST")).respond_with(response).mount(&server).await;

        let result = match search(&azure, "tela", projeto, "").await {
            Ok(None) => "none",
            Ok(Some(_)) => "found",
            Err(error) => kind(&error),
        };

        assert_eq!(result, expected, "case {n}");
    }
}

#[tokio::test]
async fn name_that_is_no_segment_of_a_path_is_an_unknown_project_without_a_request() {
    let (server, azure) = organisation(&[41, 42]).await;

    for projeto in [".", "..", ""] {
        assert_eq!(ids(search(&azure, "tela", Some(projeto), "").await.unwrap()), None, "{projeto:?}");
    }
    search(&azure, "tela", Some("../_apis/projects?x#y"), "").await.unwrap();

    let posts = server.received_requests().await.unwrap().into_iter().filter(|request| request.method == "POST");
    let paths: Vec<_> = posts.map(|request| request.url.path().to_owned()).collect();
    assert_eq!(paths, ["/contoso-lab/..%2F_apis%2Fprojects%3Fx%23y/_apis/wit/wiql".to_owned(), BATCH.to_owned()]);
}
