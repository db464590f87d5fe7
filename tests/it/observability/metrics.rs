//! The metrics as Prometheus reads them.

use std::collections::BTreeMap;
use std::time::Duration;

use e2e::client::{Api, send};
use e2e::server::{Aponta, Program};
use reqwest::Method;
use serde_json::json;

use super::{TOKEN, production};

const PENDING: &str = r#"db_client_connection_pending_requests{db_client_connection_pool_name="requests"}"#;
const USED: &str =
    r#"db_client_connection_count{db_client_connection_pool_name="requests",db_client_connection_state="used"}"#;

/// Returns every sample: its name with labels, and its value.
async fn samples(metrics: &Api) -> BTreeMap<String, f64> {
    let response = metrics.get("/metrics").await;
    let text = response.text;
    assert_eq!(response.status, 200);
    assert!(text.ends_with("# EOF\n"), "{text}");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

fn value(samples: &BTreeMap<String, f64>, name: &str) -> f64 {
    *samples.get(name).unwrap_or_else(|| panic!("{name} is missing: {:#?}", samples.keys()))
}

#[tokio::test]
async fn requests_calls_and_operations_are_counted() {
    let (organisation, _, aponta) = production(|program| program.env("METRICS_PORT", "0")).await;
    let metrics = aponta.server.wait_for_metrics();
    let projeto = organisation.add_project("Portal");
    let sync = |token| aponta.api.request(Method::POST, "/api/v1/integracao/sincronizar").bearer_auth(token);
    let before = samples(&metrics).await;
    let _ = send(sync(TOKEN)).await.expect(200);
    let create = aponta.api.request(Method::POST, "/api/v1/atividades").bearer_auth(TOKEN);
    let _ = send(create.json(&json!({"nome": "A", "id_projeto": projeto}))).await.expect(201);
    let _ = send(sync("lixo")).await.expect(401);
    let after = samples(&metrics).await;

    let azure = reqwest::Url::parse(&organisation.url()).unwrap();
    let calls = |path| {
        format!(
            concat!(
                r#"http_client_request_duration_seconds_count{{http_request_method="GET",server_address="127.0.0.1","#,
                r#"server_port="{}",url_template="{}",http_response_status_code="200",error_type=""}}"#
            ),
            azure.port().unwrap(),
            path
        )
    };
    for (name, grown) in [
        (r#"aponta_syncs_total{outcome="ok"}"#, 1.0),
        (r#"aponta_syncs_total{outcome="error"}"#, 0.0),
        ("aponta_sync_duration_seconds_count", 1.0),
        (r#"aponta_authentications_total{outcome="ok"}"#, 2.0),
        (r#"azure_identity_cache_requests_total{result="hit"}"#, 2.0),
    ] {
        let difference = value(&after, name) - value(&before, name);
        assert!(difference.total_cmp(&grown).is_eq(), "{name}: {difference}");
    }
    for path in ["/_apis/projects", "/_apis/connectionData"] {
        assert!(value(&after, &calls(path)).total_cmp(&1.0).is_eq(), "{path}");
    }
    for (name, expected) in [
        (
            r#"http_server_request_duration_seconds_count{http_request_method="POST",http_route="/api/v1/atividades",http_response_status_code="201"}"#,
            1.0,
        ),
        (
            r#"http_server_request_duration_seconds_bucket{le="+Inf",http_request_method="POST",http_route="/api/v1/atividades",http_response_status_code="201"}"#,
            1.0,
        ),
        (
            r#"db_client_operation_duration_seconds_count{db_system_name="postgresql",db_operation_name="atividades.insert",error_type=""}"#,
            1.0,
        ),
        (
            r#"db_client_operation_duration_seconds_count{db_system_name="postgresql",db_operation_name="projetos.synchronize",error_type=""}"#,
            1.0,
        ),
        (r#"http_server_active_requests{http_request_method="GET"}"#, 0.0),
        (r#"http_server_active_requests{http_request_method="POST"}"#, 0.0),
        (PENDING, 0.0),
        (r#"db_client_connection_max{db_client_connection_pool_name="requests"}"#, 10.0),
        (USED, 0.0),
        (r#"azure_breaker_state{callers="users",state="closed"}"#, 1.0),
        (concat!("aponta_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\",revision=\"unknown\"}"), 1.0),
    ] {
        assert!(value(&after, name).total_cmp(&expected).is_eq(), "{name}: {}", value(&after, name));
    }
    assert!(1.7e9 < value(&after, "aponta_sync_last_success_timestamp_seconds"));
    assert!(
        1.0 <= value(
            &after,
            r#"db_client_connection_count{db_client_connection_pool_name="requests",db_client_connection_state="idle"}"#
        )
    );
    for name in ["resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds", "cpu_seconds_total", "threads"] {
        assert!(0.0 < value(&after, &format!("process_{name}")), "{name}");
    }
    assert_eq!(aponta.api.get("/metrics").await.status, 404, "the port of the API serves no metrics");
}

#[tokio::test]
async fn invented_paths_and_methods_create_no_series() {
    let aponta = Aponta::start_with(|program| program.env("METRICS_PORT", "0"));
    let metrics = aponta.server.wait_for_metrics();
    let _ = aponta.api.get("/nada").await.expect(404);
    let _ = aponta.api.get("/api/v1/nada").await.expect(404);
    let invented = |n: usize| Method::from_bytes(format!("X{n}").as_bytes()).unwrap();
    send(aponta.api.request(invented(0), "/nada")).await;
    // Background jobs add series of their own meanwhile.
    let series = async || samples(&metrics).await.into_keys().filter(|name| name.starts_with("http_")).count();
    let before = series().await;

    for n in 0..1000 {
        let path = if n % 2 == 0 { format!("/nada-{n}") } else { format!("/api/v1/nada/{n}") };
        let _ = aponta.api.get(&path).await.expect(404);
        if n % 50 == 0 {
            send(aponta.api.request(invented(n), "/nada")).await;
        }
    }

    assert_eq!(series().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn exhausted_pool_counts_waiting_requests() {
    let aponta = Aponta::start_with(|program| program.env("METRICS_PORT", "0").env("DATABASE_POOL_SIZE", "1"));
    let metrics = aponta.server.wait_for_metrics();
    let lock = "BEGIN; LOCK TABLE api_aponta.projetos; SELECT pg_sleep(4); COMMIT";

    std::thread::scope(|scope| {
        scope.spawn(|| aponta.database.execute(lock));
        let requests: Vec<_> = (0..3)
            .map(|_| {
                let api = aponta.api.clone();
                std::thread::sleep(Duration::from_millis(200));
                tokio::spawn(async move { drop(api.get("/api/v1/projetos").await.expect(200)) })
            })
            .collect();
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let two_wait = async { while value(&samples(&metrics).await, PENDING) < 2.0 {} };
                tokio::time::timeout(Duration::from_secs(10), two_wait).await.expect("two requests wait within 10 s");
                let now = samples(&metrics).await;
                assert!(value(&now, USED).total_cmp(&1.0).is_eq());
                assert!(
                    value(&now, r#"http_server_active_requests{http_request_method="GET"}"#).total_cmp(&3.0).is_eq()
                );
                for request in requests {
                    request.await.unwrap();
                }
            });
        });
    });

    let after = samples(&metrics).await;
    let quick = value(
        &after,
        r#"db_client_connection_wait_time_seconds_bucket{db_client_connection_pool_name="requests",le="0.25"}"#,
    );
    assert!(
        quick + 2.0
            <= value(
                &after,
                r#"db_client_connection_wait_time_seconds_count{db_client_connection_pool_name="requests"}"#
            ),
        "two have waited"
    );
}

#[test]
fn metrics_port_in_use_stops_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let database = e2e::postgres::Cluster::shared().create_database();

    let finished = Program::serve(&database).env("METRICS_PORT", port.to_string()).run();

    assert_eq!(finished.code(), 1);
    assert!(finished.stderr().contains(&format!("port {port} of 127.0.0.1 is taken")), "{}", finished.stderr());
}
