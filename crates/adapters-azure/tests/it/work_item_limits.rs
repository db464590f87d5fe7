//! What is left for the check of a work item while queries, or other checks, keep this process busy.

use std::time::Duration;

use adapters_azure::{AzureDevOps, BreakerConfig};
use domain::{
    Error, WorkItem, WorkItemDirectory, WorkItemId, WorkItemLimit, WorkItemSearch, WorkItemText, WorkItemTypes,
};
use serde_json::json;
use tokio::time::timeout;
use wiremock::matchers::{method, path, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{PAT, adapter, bearer, calls, config, fixture, kind, know_the_pat, respond, until};

const ITEM: &str = "/contoso-lab/_apis/wit/workitems/41";
const WIQL: &str = "/contoso-lab/_apis/wit/wiql";
/// The calls of one user that run or are queued at once: four, and sixteen for each of them.
const PER_USER: i64 = 4 + 4 * 16;

async fn find(azure: &AzureDevOps, id: i64) -> Result<Option<WorkItem>, Error> {
    azure.find(Some(bearer(PAT)), WorkItemId::new(id).unwrap()).await
}

async fn search(azure: &AzureDevOps, texto: &str) -> Result<Option<Vec<WorkItem>>, Error> {
    let search = WorkItemSearch {
        texto: WorkItemText::parse(texto).unwrap(),
        projeto: None,
        tipos: WorkItemTypes::parse("").unwrap(),
        limit: WorkItemLimit::default(),
    };
    azure.search(Some(bearer(PAT)), search).await
}

async fn respond_to_queries(server: &MockServer, response: ResponseTemplate) {
    Mock::given(method("POST")).and(path(WIQL)).respond_with(response).mount(server).await;
}

async fn hang(server: &MockServer) {
    let hanging = ResponseTemplate::new(200).set_delay(Duration::from_mins(1));
    Mock::given(method("GET")).and(path_regex("/workitems/[0-9]+$")).respond_with(hanging).mount(server).await;
}

#[tokio::test]
async fn slow_queries_of_a_user_delay_no_check_of_the_same_user() {
    let server = MockServer::start().await;
    know_the_pat(&server).await;
    let mut config = config(&server.uri());
    config.in_flight.work_items = 1;
    config.timeouts.work_items = Duration::from_mins(2);
    config.timeouts.attempt = Duration::from_mins(2);
    let azure = adapter(&config);
    respond_to_queries(&server, ResponseTemplate::new(200).set_delay(Duration::from_mins(1))).await;
    respond(&server, ITEM, fixture("workitem_200")).await;
    let queries: Vec<_> = (0..PER_USER)
        .map(|n| {
            let azure = azure.clone();
            tokio::spawn(async move {
                let texto = format!("tela {n}");
                while matches!(search(&azure, &texto).await, Err(Error::Overloaded { .. })) {
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    until(async || {
        let next = timeout(Duration::from_millis(20), search(&azure, "outra tela")).await;
        matches!(next, Ok(Err(error)) if kind(&error) == "overloaded")
    })
    .await;

    assert_eq!(find(&azure, 41).await.unwrap().unwrap().titulo, "Importar folha");

    for query in queries {
        query.abort();
    }
}

/// It is not Azure DevOps that fails.
#[tokio::test]
async fn too_many_checks_are_overload_and_no_outage() {
    let server = MockServer::start().await;
    know_the_pat(&server).await;
    let mut config = config(&server.uri());
    config.in_flight.checks = 1;
    config.timeouts.work_items = Duration::from_mins(2);
    config.timeouts.attempt = Duration::from_mins(2);
    config.timeouts.check = Duration::from_mins(2);
    let azure = adapter(&config);
    hang(&server).await;
    let checks: Vec<_> = (1..=PER_USER)
        .map(|id| {
            let azure = azure.clone();
            tokio::spawn(async move {
                while matches!(find(&azure, id).await, Err(Error::Overloaded { .. })) {
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();

    until(async || {
        let next = timeout(Duration::from_millis(20), find(&azure, 1_000)).await;
        matches!(next, Ok(Err(Error::Overloaded { retry_after, .. })) if Duration::ZERO < retry_after)
    })
    .await;

    for check in checks {
        check.abort();
    }
}

/// Otherwise those that wait for a slot would be refused for as long as Azure DevOps hangs.
#[tokio::test]
async fn checks_that_hang_open_the_circuit_breaker() {
    let server = MockServer::start().await;
    know_the_pat(&server).await;
    let mut config = config(&server.uri());
    config.breaker = BreakerConfig { failure_threshold: 3, open_duration: Duration::from_mins(1) };
    config.retries.max = 0;
    config.timeouts.work_items = Duration::from_mins(1);
    config.timeouts.check = Duration::from_millis(50);
    let azure = adapter(&config);
    hang(&server).await;

    for id in [41, 42, 43] {
        assert_eq!(kind(&find(&azure, id).await.unwrap_err()), "timed out");
    }
    assert_eq!(kind(&find(&azure, 41).await.unwrap_err()), "unavailable");
    assert_eq!(calls(&server, ITEM).await, 1, "the last one was not sent");
}

#[tokio::test]
async fn responses_to_queries_share_a_number_of_bytes() {
    let server = MockServer::start().await;
    know_the_pat(&server).await;
    let mut config = config(&server.uri());
    config.in_flight.query_bytes = 2_000;
    let azure = adapter(&config);
    let result = |count: i64| {
        let items: Vec<_> = (1..=count).map(|id| json!({"id": id, "url": "https://exemplo"})).collect();
        ResponseTemplate::new(200).set_body_json(json!({"workItems": items}))
    };
    respond_to_queries(&server, result(500)).await;
    respond(&server, ITEM, fixture("workitem_200")).await;

    assert_eq!(kind(&search(&azure, "tela").await.unwrap_err()), "overloaded");
    assert!(find(&azure, 41).await.unwrap().is_some());

    server.reset().await;
    know_the_pat(&server).await;
    respond_to_queries(&server, result(0)).await;
    for n in 0..100 {
        assert_eq!(search(&azure, &format!("tela {n}")).await.unwrap(), Some(vec![]), "the bytes are returned");
    }
}
