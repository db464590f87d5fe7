use actix_web::http::Method;
use actix_web::test::TestRequest;
use domain::testing::projeto;
use domain::{Error, Service};

use crate::support::{TestApp, send};

#[actix_web::test]
async fn health_reports_the_state_of_the_database() {
    let mut healthy = TestApp::new();
    healthy.readiness.expect_check().returning(|| Ok(()));
    let mut unhealthy = TestApp::new();
    unhealthy.readiness.expect_check().returning(|| {
        Err(Error::Unavailable { service: Service::Database, retry_after: None, cause: "segredo".into() })
    });

    let healthy = healthy.send(TestRequest::get().uri("/health")).await;
    let unhealthy = unhealthy.send(TestRequest::get().uri("/health")).await;

    let version = env!("CARGO_PKG_VERSION");
    let body = |status| format!(r#"{{"status":"{status}","version":"{version}","environment":"development"}}"#);
    assert_eq!((healthy.status.as_u16(), healthy.body), (200, body("healthy")));
    assert_eq!(unhealthy.header("retry-after"), Some("5"));
    assert_eq!((unhealthy.status.as_u16(), unhealthy.body), (503, body("unhealthy")));
}

#[actix_web::test]
async fn liveness_without_database_returns_200() {
    for path in ["/", "/healthz"] {
        let response = TestApp::new().send(TestRequest::get().uri(path)).await;

        assert_eq!((response.status.as_u16(), &response.json()["status"]), (200, &"healthy".into()));
    }
}

#[actix_web::test]
async fn api_root_returns_name_and_version() {
    for path in ["/api/v1", "/api/v1/"] {
        let response = TestApp::new().send(TestRequest::get().uri(path)).await;

        let version = env!("CARGO_PKG_VERSION");
        let expected = format!(r#"{{"name":"API Aponta","version":"{version}","docs":"/docs","redoc":"/redoc"}}"#);
        assert_eq!(response.body, expected);
    }
}

#[actix_web::test]
async fn unknown_path_returns_404_in_json() {
    for path in ["/nada", "/api", "/api/v1/nada", "/api/v1/atividades/1/2", "/api/v2/atividades", "/docs/nada"] {
        let response = TestApp::new().send(TestRequest::get().uri(path)).await;

        assert_eq!(response.error(), (404, "Recurso não encontrado".to_owned()), "{path}");
    }
}

#[actix_web::test]
async fn wrong_method_returns_405_with_allow() {
    let cases = [
        ("/api/v1/atividades", Method::PATCH, "GET, HEAD, POST"),
        ("/api/v1/atividades/1", Method::POST, "GET, HEAD, PUT, DELETE"),
        ("/api/v1/projetos", Method::DELETE, "GET, HEAD, POST"),
        ("/api/v1/integracao/sincronizar", Method::GET, "POST"),
        ("/health", Method::POST, "GET, HEAD"),
    ];
    for (path, method, allowed) in cases {
        let response = TestApp::new().send(TestRequest::with_uri(path).method(method)).await;

        assert_eq!(response.error(), (405, "Método não permitido".to_owned()), "{path}");
        assert_eq!(response.header("allow"), Some(allowed), "{path}");
    }
}

#[actix_web::test]
async fn trailing_slash_is_ignored() {
    let mut test_app = TestApp::new();
    test_app.projetos.expect_list().returning(|_| Ok(vec![projeto("A")].into()));

    let response = test_app.send(TestRequest::get().uri("/api/v1/projetos/")).await;

    assert_eq!(response.status, 200);
}

#[actix_web::test]
async fn head_returns_the_status_of_get() {
    let mut test_app = TestApp::new();
    test_app.projetos.expect_list().returning(|_| Ok(vec![].into()));

    let response = test_app.send(TestRequest::default().method(Method::HEAD).uri("/api/v1/projetos")).await;

    assert_eq!(response.status, 200);
}

#[actix_web::test]
async fn every_response_has_a_request_id() {
    for path in ["/", "/nada", "/api/v1/atividades/1", "/%zz"] {
        let own = TestApp::new().send(TestRequest::get().uri(path).insert_header(("x-request-id", "a.B_9-"))).await;
        let bad = TestApp::new().send(TestRequest::get().uri(path).insert_header(("x-request-id", "a b"))).await;

        assert_eq!(own.header("x-request-id"), Some("a.B_9-"), "{path}");
        assert_eq!(uuid::Uuid::parse_str(bad.header("x-request-id").unwrap()).unwrap().get_version_num(), 7);
    }
}

#[actix_web::test]
async fn safe_request_id_is_kept_and_any_other_replaced() {
    let with = |id: &str| TestRequest::get().uri("/nada").insert_header(("x-request-id", id.as_bytes()));
    let (longest, too_long) = ("x".repeat(128), "x".repeat(129));

    for id in ["a", "7f.A_-9", &longest] {
        assert_eq!(TestApp::new().send(with(id)).await.header("x-request-id"), Some(id));
    }
    for id in ["", "a b", "a,b", "<script>", "a\u{e7}", &too_long] {
        let response = TestApp::new().send(with(id)).await;
        let new = uuid::Uuid::parse_str(response.header("x-request-id").unwrap()).unwrap();
        assert_eq!(new.get_version_num(), 7, "{id}");
    }
}

#[actix_web::test]
async fn malformed_path_returns_400() {
    for path in ["/api/v1/atividades/%zz", "/api/v1/atividades/%", "/%ff"] {
        let (status, detail) = TestApp::new().send(TestRequest::get().uri(path)).await.error();

        assert_eq!(status, 400, "{path}");
        assert!(detail.contains("codificação inválida"), "{detail}");
    }
}

#[actix_web::test]
async fn handler_panic_returns_500_without_details() {
    let mut test_app = TestApp::new();
    test_app.projetos.expect_list().returning(|_| panic!("segredo"));

    let response = test_app.send(TestRequest::get().uri("/api/v1/projetos")).await;

    assert_eq!(response.error(), (500, "Erro interno".to_owned()));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert!(response.header("x-request-id").is_some());
}

#[actix_web::test]
async fn handler_panic_is_counted_for_its_route() {
    let mut test_app = TestApp::new();
    test_app.projetos.expect_list().returning(|_| panic!("segredo"));
    let state = test_app.state();
    let mut registry = prometheus_client::registry::Registry::default();
    state.metrics().register(&mut registry);

    let response = send(&state, TestRequest::get().uri("/api/v1/projetos")).await;

    let mut metrics = String::new();
    prometheus_client::encoding::text::encode(&mut metrics, &registry).unwrap();
    assert_eq!(response.status, 500);
    let count = r#"request_duration_seconds_count{http_request_method="GET",http_route="/api/v1/projetos",http_response_status_code="500"} 1"#;
    assert!(metrics.contains(count), "{metrics}");
}

#[actix_web::test]
async fn every_response_has_cache_control() {
    for (path, expected) in
        [("/", "no-cache"), ("/healthz", "no-cache"), ("/api/v1", "no-cache"), ("/nada", "no-store")]
    {
        let response = TestApp::new().send(TestRequest::get().uri(path)).await;
        assert_eq!(response.header("cache-control"), Some(expected), "{path}");
    }
}
