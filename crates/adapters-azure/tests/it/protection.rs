//! The circuit breakers, the throttle and the bulkheads.

use std::time::{Duration, Instant};

use adapters_azure::{AzureDevOps, BreakerConfig};
use domain::ProjectDirectory;
use wiremock::{MockServer, ResponseTemplate};

use crate::projects::apontamentos;
use crate::support::{
    CONNECTION_DATA, PAT, PROJECTS, adapter, azure, basic, bearer, calls, config, fixture, kind, know_the_pat, respond,
    retry_after, until, usuario,
};

const OPEN_DURATION: Duration = Duration::from_secs(1);

/// An adapter whose breaker opens after three failures, without retries.
async fn with_breaker(open_duration: Duration) -> (MockServer, AzureDevOps) {
    let server = MockServer::start().await;
    let mut config = config(&server.uri());
    config.breaker = BreakerConfig { failure_threshold: 3, open_duration };
    config.retries.max = 0;
    (server, adapter(&config))
}

async fn fail(azure: &AzureDevOps, times: usize) {
    for n in 0..times {
        let error = usuario(azure, basic(&format!("someone-{n}"))).await.unwrap_err();
        assert_eq!(kind(&error), "unavailable");
    }
}

#[tokio::test]
async fn open_breaker_stops_calls_while_cached_users_continue() {
    let (server, azure) = with_breaker(Duration::from_mins(1)).await;
    know_the_pat(&server).await;
    usuario(&azure, bearer(PAT)).await.unwrap();
    server.reset().await;
    respond(&server, CONNECTION_DATA, fixture("unavailable_503_html")).await;

    fail(&azure, 3).await;
    let error = usuario(&azure, bearer("newcomer")).await.unwrap_err();

    assert_eq!(kind(&error), "unavailable");
    let retry_after = retry_after(&error).unwrap();
    assert!(Duration::from_secs(50) < retry_after && retry_after <= Duration::from_mins(1), "{retry_after:?}");
    assert_eq!(calls(&server, CONNECTION_DATA).await, 3, "the look-up of the newcomer was not sent");
    usuario(&azure, bearer(PAT)).await.unwrap();
}

#[tokio::test]
async fn open_breaker_after_open_duration_admits_one_probe() {
    let (server, azure) = with_breaker(OPEN_DURATION).await;
    respond(&server, CONNECTION_DATA, fixture("unavailable_503_html")).await;
    fail(&azure, 3).await;

    until(async || {
        usuario(&azure, bearer("newcomer")).await.unwrap_err();
        calls(&server, CONNECTION_DATA).await == 4
    })
    .await;
    fail(&azure, 3).await;
    assert_eq!(calls(&server, CONNECTION_DATA).await, 4, "the failed probe opens the breaker again");

    server.reset().await;
    know_the_pat(&server).await;
    until(async || usuario(&azure, bearer(PAT)).await.is_ok()).await;
    usuario(&azure, basic("unknown")).await.unwrap_err();
    assert_eq!(calls(&server, CONNECTION_DATA).await, 2, "the breaker is closed");
}

#[tokio::test]
async fn error_that_clients_can_provoke_does_not_open_the_breaker() {
    let responses = [
        ("rejected", fixture("unauthorized_401_suppress_empty")),
        ("rejected", fixture("signin_302_rejected_credential")),
        ("rejected", fixture("signin_203_html")),
        ("rejected", fixture("connectiondata_200_anonymous_bad_pat")),
        ("forbidden", fixture("error_403_permission")),
        ("unavailable", fixture("ratelimit_429")),
        ("bad upstream", fixture("error_500_not_transient")),
        ("bad upstream", ResponseTemplate::new(431)),
        ("bad upstream", ResponseTemplate::new(400)),
    ];
    for (expected, template) in responses {
        let (server, azure) = with_breaker(Duration::from_mins(1)).await;
        respond(&server, CONNECTION_DATA, template).await;
        for n in 0..20 {
            let error = usuario(&azure, basic(&format!("garbage-{n}"))).await.unwrap_err();
            assert_eq!(kind(&error), expected);
        }
        server.reset().await;
        know_the_pat(&server).await;

        usuario(&azure, bearer(PAT)).await.unwrap();
    }
}

#[tokio::test]
async fn attempt_cut_short_by_the_deadline_does_not_open_the_breaker() {
    let server = MockServer::start().await;
    let mut config = config(&server.uri());
    config.breaker = BreakerConfig { failure_threshold: 3, open_duration: Duration::from_mins(1) };
    config.timeouts.identity = Duration::from_millis(50);
    let azure = adapter(&config);
    respond(&server, CONNECTION_DATA, fixture("connectiondata_200_entra_user").set_delay(Duration::from_mins(1))).await;
    for n in 0..5 {
        let error = usuario(&azure, basic(&format!("someone-{n}"))).await.unwrap_err();
        assert_eq!(kind(&error), "timed out");
    }
    server.reset().await;
    know_the_pat(&server).await;

    until(async || usuario(&azure, bearer(PAT)).await.map_err(|error| assert_eq!(kind(&error), "timed out")).is_ok())
        .await;
}

/// Each worker of the server is a separate runtime that ends when it has no requests left.
#[test]
fn call_of_another_worker_survives_the_end_of_a_worker() {
    let worker = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = worker();
    let outside = tokio::runtime::Runtime::new().unwrap();
    let (server, azure) = outside.block_on(async {
        let server = MockServer::start().await;
        let mut config = config(&server.uri());
        config.retries.max = 0;
        know_the_pat(&server).await;
        let slow = fixture("project_200_capabilities").set_delay(Duration::from_secs(1));
        respond(&server, &format!("{PROJECTS}/{}", apontamentos()), slow).await;
        (server, adapter(&config))
    });

    // The call of the second worker uses the connection opened by the first one.
    first.block_on(async {
        usuario(&azure, bearer(PAT)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    });
    let asking = azure.clone();
    let second = std::thread::spawn(move || worker().block_on(asking.find(bearer(PAT), apontamentos())));
    first.block_on(until(async || calls(&server, &format!("{PROJECTS}/{}", apontamentos())).await == 1));
    drop(first);

    assert!(second.join().unwrap().unwrap().is_some());
}

#[tokio::test]
async fn throttled_credential_is_blocked_and_others_are_not() {
    let (server, azure) = azure().await;
    respond(&server, CONNECTION_DATA, fixture("ratelimit_429")).await;
    usuario(&azure, basic("greedy")).await.unwrap_err();
    server.reset().await;
    respond(&server, CONNECTION_DATA, fixture("connectiondata_200_entra_user")).await;

    let error = usuario(&azure, basic("greedy")).await.unwrap_err();
    let shown_otherwise = usuario(&azure, bearer("greedy")).await.unwrap_err();
    usuario(&azure, basic("modest")).await.unwrap();

    assert_eq!((kind(&error), kind(&shown_otherwise)), ("unavailable", "unavailable"));
    let retry_after = retry_after(&error).unwrap();
    assert!(Duration::from_secs(40) < retry_after && retry_after <= Duration::from_secs(49), "{retry_after:?}");
    assert_eq!(calls(&server, CONNECTION_DATA).await, 1);
}

#[tokio::test]
async fn retry_after_on_a_200_delays_the_next_call() {
    let (server, azure) = azure().await;
    let flagged = fixture("connectiondata_200_entra_user").insert_header("retry-after", "3");
    respond(&server, CONNECTION_DATA, flagged).await;
    respond(&server, PROJECTS, fixture("projects_200")).await;
    let started = Instant::now();

    usuario(&azure, bearer(PAT)).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(3), "this call is not delayed");
    azure.list(bearer(PAT)).await.unwrap();

    assert!(Duration::from_secs(3) <= started.elapsed());
}

#[tokio::test]
async fn retry_after_beyond_the_deadline_is_returned() {
    let (server, azure) = azure().await;
    respond(&server, CONNECTION_DATA, fixture("connectiondata_200_entra_user").insert_header("retry-after", "17"))
        .await;
    respond(&server, PROJECTS, fixture("projects_200")).await;

    let error = azure.list(bearer(PAT)).await.unwrap_err();

    assert_eq!(kind(&error), "unavailable");
    assert!(Duration::from_secs(15) < retry_after(&error).unwrap());
    assert_eq!(calls(&server, PROJECTS).await, 0);
}

#[tokio::test]
async fn rejection_shortly_after_throttling_is_unavailable() {
    let (server, _) = azure().await;
    let mut config = config(&server.uri());
    config.cache_ttl = Duration::ZERO;
    let azure = adapter(&config);
    respond(&server, CONNECTION_DATA, fixture("connectiondata_200_entra_user").insert_header("retry-after", "0.05"))
        .await;
    usuario(&azure, bearer(PAT)).await.unwrap();
    server.reset().await;
    respond(&server, CONNECTION_DATA, fixture("unauthorized_401_suppress_empty")).await;

    let error = usuario(&azure, bearer(PAT)).await.unwrap_err();

    assert_eq!(kind(&error), "unavailable");
    assert!(retry_after(&error).is_some());
    assert_eq!(kind(&usuario(&azure, bearer("unknown")).await.unwrap_err()), "rejected");
}

#[tokio::test]
async fn concurrent_calls_are_limited_by_in_flight() {
    let (server, _) = azure().await;
    let mut config = config(&server.uri());
    config.in_flight.unknown_users = 2;
    let azure = adapter(&config);
    let hanging = fixture("connectiondata_200_entra_user").set_delay(Duration::from_mins(1));
    respond(&server, CONNECTION_DATA, hanging).await;
    let ask = |n: usize| {
        let azure = azure.clone();
        tokio::spawn(async move { usuario(&azure, basic(&format!("someone-{n}"))).await })
    };

    let first = [ask(1), ask(2)];
    until(async || calls(&server, CONNECTION_DATA).await == 2).await;
    let third = tokio::time::timeout(Duration::from_millis(200), ask(3)).await;
    assert!(third.is_err(), "it is queued");
    assert_eq!(calls(&server, CONNECTION_DATA).await, 2);

    for request in &first {
        request.abort();
    }
    until(async || calls(&server, CONNECTION_DATA).await == 3).await;
}
