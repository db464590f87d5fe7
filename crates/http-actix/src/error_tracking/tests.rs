//! The queue and the sender, with stand-ins of a server.

use std::time::Instant;

use serde_json::Value;
use tokio::net::TcpListener;
use wiremock::matchers::{header_exists, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

fn start(address: &str) -> ErrorTracking {
    // An error means that a provider is installed.
    drop(rustls::crypto::ring::default_provider().install_default());
    let dsn = parse_dsn(&format!("http://chave@{address}/7").into()).unwrap();
    ErrorTracking::start(dsn, "production").unwrap()
}

fn server_error(cause: &str) -> ServerError {
    ServerError {
        method: "GET",
        route: "/api/v1/projetos".to_owned(),
        request_id: "pedido-1".to_owned(),
        trace_id: "0".repeat(32),
        cause: http_api::ServerErrorCause::Error(cause.to_owned()),
    }
}

/// Starts a server that responds to every envelope like this.
async fn server(response: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    let envelope = Mock::given(method("POST")).and(path("/api/7/envelope/")).and(header_exists("x-sentry-auth"));
    envelope.respond_with(response).mount(&server).await;
    server
}

/// Waits until `count` events have this end.
async fn ended(tracking: &ErrorTracking, outcome: Outcome, count: u64) {
    let has_ended = async {
        while tracking.tracker().metrics().get(outcome) < count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), has_ended).await.unwrap();
}

#[test]
fn dsn_that_is_wrong_is_an_error_without_its_value() {
    for dsn in ["segredo", "https://segredo@h", "https://h/1", "ftp://segredo@h/1", "https://segredo@/1", "https:///1"]
    {
        let problem = parse_dsn(&dsn.into()).unwrap_err();
        assert!(problem.starts_with("is not a DSN") && !problem.contains("segredo"), "{dsn}: {problem}");
    }
    for dsn in ["https://k@o1.ingest.sentry.io/2", "http://k:s@[::1]:8000/path/3"] {
        parse_dsn(&dsn.into()).unwrap();
    }
}

#[tokio::test]
async fn event_names_route_release_and_request_id_and_is_grouped_by_error() {
    let server = server(ResponseTemplate::new(200)).await;
    let tracking = start(&server.address().to_string());

    tracking.tracker().server_error(server_error("internal error: relation \"segredo\" is gone"));
    tracking.tracker().dead_job("write_back", "sem_permissao");
    tracking.stop().await;

    let received = server.received_requests().await.unwrap();
    let events: Vec<Value> = received
        .iter()
        .map(|request| {
            let lines: Vec<_> = request.body.split(|byte| *byte == b'\n').collect();
            assert_eq!(request.headers["content-type"], "application/x-sentry-envelope");
            serde_json::from_slice(lines[2]).unwrap()
        })
        .collect();
    let [error, job] = &events[..] else { panic!("{events:?}") };
    assert_eq!(error["fingerprint"][0], "GET /api/v1/projetos");
    assert_eq!(error["fingerprint"][2], "internal error: relation […] is gone");
    assert_eq!(error["tags"]["request_id"], "pedido-1");
    assert_eq!((&error["environment"], error["release"].as_str()), (&"production".into(), Some("aponta@1.0.0")));
    assert_eq!(job["fingerprint"], serde_json::json!(["write_back", "DeadJob", "sem_permissao"]));
    assert!(!format!("{events:?}").contains("segredo"));
}

#[tokio::test]
async fn server_that_hangs_bounds_the_queue_and_the_shutdown() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tracking = start(&silent.local_addr().unwrap().to_string());

    let started = Instant::now();
    for _ in 0..QUEUE_SIZE * 3 {
        tracking.tracker().server_error(server_error("internal error"));
    }
    assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
    let dropped = tracking.tracker().metrics().get(Outcome::QueueFull);
    // The first event may have left the queue.
    let expected = 2 * QUEUE_SIZE as u64;
    assert!((expected - 1..=expected).contains(&dropped), "{dropped}");

    // The connection is open: the sender waits for a response.
    let _connection = silent.accept().await.unwrap();
    let started = Instant::now();
    tracking.stop().await;
    assert!(started.elapsed() < FLUSH_TIMEOUT + Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn server_that_refuses_costs_the_event_only() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let tracking = start(&address.to_string());

    tracking.tracker().dead_job("write_back", "regra");

    ended(&tracking, Outcome::Unreachable, 1).await;
    tracking.stop().await;
}

#[tokio::test]
async fn rate_limit_of_the_server_is_respected() {
    let limits = ResponseTemplate::new(429).insert_header("x-sentry-rate-limits", "600:error:organization");
    let server = server(limits).await;
    let tracking = start(&server.address().to_string());

    for _ in 0..3 {
        tracking.tracker().dead_job("write_back", "regra");
    }

    ended(&tracking, Outcome::RateLimited, 3).await;
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
    tracking.stop().await;
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let server = server(ResponseTemplate::new(307).insert_header("location", "/outro")).await;
    let tracking = start(&server.address().to_string());

    tracking.tracker().dead_job("write_back", "regra");

    ended(&tracking, Outcome::Rejected, 1).await;
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
    tracking.stop().await;
}
