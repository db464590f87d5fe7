//! API4: readiness requests need no token, so they must not take what users need.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use e2e::azure::Organisation;
use e2e::client::send;
use e2e::server::Aponta;
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::TOKEN;

const CLIENTS: usize = 2000;
const READS: usize = 200;
const REQUEST: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const HEALTHY: &str = "\"status\":\"healthy\"";
/// Pause between two requests of a client: the clients shall wait for the database, not keep both cores busy.
const PAUSE: Duration = Duration::from_secs(1);
const METRIC: &str =
    "db_client_operation_duration_seconds_count{db_system_name=\"postgresql\",db_operation_name=\"readiness\"";

/// Sends a request on a connection of its own, again and again, until it is stopped.
async fn send_until_stopped(address: String, is_over: Arc<AtomicBool>, responses: Arc<AtomicUsize>) {
    while !is_over.load(Ordering::Relaxed) {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(REQUEST).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        // A busy machine may be too slow for the check; what counts here is what users get meanwhile.
        let is_healthy = response.starts_with("HTTP/1.1 200 ") && response.contains(HEALTHY);
        assert!(is_healthy || response.starts_with("HTTP/1.1 503 "), "{response}");
        responses.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(PAUSE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn api4_2000_concurrent_readiness_requests_fail_no_read() {
    let organisation = Organisation::start().await;
    organisation.add_user(TOKEN, Some("ana.lima@exemplo.br"));
    let aponta = Aponta::start_with(|program| {
        program
            .env("AUTH_ENABLED", "true")
            .env("AZURE_DEVOPS_ORG_URL", organisation.url())
            .env("DATABASE_POOL_SIZE", "2")
            .env("METRICS_PORT", "0")
            .env("LOG", "warn,aponta=info")
    });
    // The server may close an idle connection just when it is used again.
    let read = || {
        let request = aponta.api.request(Method::GET, "/api/v1/projetos").bearer_auth(TOKEN);
        send(request.header("connection", "close"))
    };
    assert_eq!(read().await.status, 200);
    let checks = async || {
        let metrics = aponta.server.wait_for_metrics().get("/metrics").await.text;
        let counts = metrics.lines().filter(|line| line.starts_with(METRIC));
        counts.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum::<f64>()
    };
    let (checks_before, began) = (checks().await, Instant::now());
    let (is_over, responses) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let address = aponta.api.base().trim_start_matches("http://").to_owned();

    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(send_until_stopped(address.clone(), is_over.clone(), responses.clone())))
        .collect();
    while responses.load(Ordering::Relaxed) < CLIENTS {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(began.elapsed() < Duration::from_mins(1), "{responses:?} responses after a minute");
    }
    for _ in 0..READS / 10 {
        let reads: Vec<_> = (0..10).map(|_| tokio::spawn(read())).collect();
        for read in reads {
            let response = read.await.unwrap();
            assert_eq!(response.status, 200, "{}", response.text);
        }
    }
    is_over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }

    let (ran, seconds) = (checks().await - checks_before, began.elapsed().as_secs_f64());
    assert!((1.0..=seconds + 1.0).contains(&ran), "{ran} checks in {seconds} s for {responses:?} responses");
    println!("{responses:?} responses and {READS} reads in {seconds:.1} s by {ran} checks");
}
