//! The metrics, as Prometheus would read them.

use std::collections::BTreeMap;

use e2e::client::{Api, send};
use e2e::server::{Aponta, Program};
use reqwest::Method;
use serde_json::json;

use super::{TOKEN, production};

/// Every sample: its name with labels, and its value.
async fn samples(metrics: &Api) -> BTreeMap<String, f64> {
    let answer = metrics.get("/metrics").await;
    let text = answer.text;
    assert_eq!(answer.status, 200);
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
async fn what_happens_is_counted() {
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

    for (name, grown) in [
        (r#"aponta_syncs_total{outcome="ok"}"#, 1.0),
        (r#"aponta_syncs_total{outcome="error"}"#, 0.0),
        ("aponta_sync_duration_seconds_count", 1.0),
        (r#"aponta_authentications_total{outcome="ok"}"#, 2.0),
        (r#"azure_identity_cache_requests_total{result="hit"}"#, 2.0),
        (r#"azure_request_duration_seconds_count{call="projects",outcome="ok"}"#, 1.0),
        (r#"azure_request_duration_seconds_count{call="connectionData",outcome="ok"}"#, 1.0),
    ] {
        let difference = value(&after, name) - value(&before, name);
        assert!(difference.total_cmp(&grown).is_eq(), "{name}: {difference}");
    }
    for (name, expected) in [
        (r#"http_server_request_duration_seconds_count{method="POST",route="/api/v1/atividades",status="201"}"#, 1.0),
        (
            r#"http_server_request_duration_seconds_bucket{le="+Inf",method="POST",route="/api/v1/atividades",status="201"}"#,
            1.0,
        ),
        (r#"db_client_operation_duration_seconds_count{operation="atividades.insert",outcome="ok"}"#, 1.0),
        (r#"db_client_operation_duration_seconds_count{operation="projetos.synchronize",outcome="ok"}"#, 1.0),
        ("http_server_active_requests", 0.0),
        ("db_client_connections_pending", 0.0),
        ("db_client_connections_max", 10.0),
        (r#"db_client_connections{state="used"}"#, 0.0),
        (r#"azure_breaker_state{callers="users",state="closed"}"#, 1.0),
        (concat!("aponta_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\",revision=\"unknown\"}"), 1.0),
    ] {
        assert!(value(&after, name).total_cmp(&expected).is_eq(), "{name}: {}", value(&after, name));
    }
    assert!(1.7e9 < value(&after, "aponta_sync_last_success_timestamp_seconds"));
    assert!(1.0 <= value(&after, r#"db_client_connections{state="idle"}"#));
    for name in ["resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds", "cpu_seconds_total", "threads"] {
        assert!(0.0 < value(&after, &format!("process_{name}")), "{name}");
    }
    assert_eq!(aponta.api.get("/metrics").await.status, 404, "the API's own port shows them");
}

#[tokio::test]
async fn what_clients_invent_makes_no_metrics() {
    let aponta = Aponta::start_with(|program| program.env("METRICS_PORT", "0"));
    let metrics = aponta.server.wait_for_metrics();
    let _ = aponta.api.get("/nada").await.expect(404);
    let _ = aponta.api.get("/api/v1/nada").await.expect(404);
    let invented = |n: usize| Method::from_bytes(format!("X{n}").as_bytes()).unwrap();
    send(aponta.api.request(invented(0), "/nada")).await;
    let before = samples(&metrics).await.len();

    for n in 0..1000 {
        let path = if n % 2 == 0 { format!("/nada-{n}") } else { format!("/api/v1/nada/{n}") };
        let _ = aponta.api.get(&path).await.expect(404);
        if n % 50 == 0 {
            send(aponta.api.request(invented(n), "/nada")).await;
        }
    }

    assert_eq!(samples(&metrics).await.len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_used_up_shows() {
    let aponta = Aponta::start_with(|program| program.env("METRICS_PORT", "0").env("DATABASE_POOL_SIZE", "1"));
    let metrics = aponta.server.wait_for_metrics();
    let lock = "BEGIN; LOCK TABLE api_aponta.projetos; SELECT pg_sleep(2); COMMIT";

    std::thread::scope(|scope| {
        scope.spawn(|| aponta.database.execute(lock));
        let requests: Vec<_> = (0..3)
            .map(|_| {
                let api = aponta.api.clone();
                std::thread::sleep(std::time::Duration::from_millis(200));
                tokio::spawn(async move { drop(api.get("/api/v1/projetos").await.expect(200)) })
            })
            .collect();
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                while value(&samples(&metrics).await, "db_client_connections_pending") < 2.0 {}
                let now = samples(&metrics).await;
                assert!(value(&now, r#"db_client_connections{state="used"}"#).total_cmp(&1.0).is_eq());
                assert!(value(&now, "http_server_active_requests").total_cmp(&3.0).is_eq());
                for request in requests {
                    request.await.unwrap();
                }
            });
        });
    });

    let after = samples(&metrics).await;
    let quick = value(&after, r#"db_client_connection_wait_seconds_bucket{le="0.25"}"#);
    assert!(quick + 2.0 <= value(&after, "db_client_connection_wait_seconds_count"), "two have waited");
}

#[test]
fn a_port_for_metrics_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let database = e2e::postgres::Cluster::shared().create_database();

    let finished = Program::serve(&database).env("METRICS_PORT", port.to_string()).run();

    assert_eq!(finished.code(), 1);
    assert!(finished.stderr().contains(&format!("port {port} of 127.0.0.1 is taken")), "{}", finished.stderr());
}
