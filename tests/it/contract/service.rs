//! Health and documentation of the service.

use std::time::Duration;

use e2e::client::Api;
use e2e::postgres::Cluster;
use e2e::server::{Aponta, Program};

/// How long the service returns the last result of its readiness check.
const REMEMBERED: Duration = Duration::from_secs(1);

async fn status(api: &Api, path: &str) -> (u16, String) {
    let response = api.get(path).await;
    let body = response.json();
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["environment", "status", "version"]);
    assert_eq!(body["environment"], "development");
    (response.status, body["status"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn health_depends_on_the_database_and_liveness_does_not() {
    let cluster = Cluster::start();
    let database = cluster.create_database();
    let server = Program::serve(&database).start();
    let api = server.api();

    for path in ["/", "/health", "/healthz"] {
        assert_eq!(status(&api, path).await, (200, "healthy".to_owned()), "{path}");
    }
    cluster.stop();
    tokio::time::sleep(REMEMBERED).await;
    assert_eq!(status(&api, "/health").await, (503, "unhealthy".to_owned()));
    assert_eq!(api.get("/health").await.header("retry-after"), Some("5"));
    for path in ["/", "/healthz"] {
        assert_eq!(status(&api, path).await, (200, "healthy".to_owned()), "{path}");
    }
    let response = api.get("/api/v1/atividades").await;
    assert!(response.header("retry-after").is_some());
    assert_eq!(response.error(503), "Banco de dados indisponível no momento; tente novamente em instantes");
    cluster.restart();
    tokio::time::sleep(REMEMBERED).await;
    assert_eq!(status(&api, "/health").await, (200, "healthy".to_owned()));
    let _ = api.get("/api/v1/atividades").await.expect(200);
}

#[tokio::test]
async fn documentation_pages_use_no_other_host() {
    let Aponta { api, .. } = &Aponta::start();

    for path in ["/docs", "/redoc"] {
        let page = api.get(path).await;
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("script-src 'self';"), "{policy}");
        assert!(!page.text.contains("https://"), "{path} names another host");
    }
    assert_eq!(api.get("/openapi.json").await.expect(200)["openapi"], "3.0.3");
}
