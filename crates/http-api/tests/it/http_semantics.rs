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
    for path in ["/nada", "/api", "/api/v1/nada", "/api/v1/atividades/1/2", "/api/v2/atividades"] {
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
async fn malformed_path_returns_400() {
    let response = TestApp::new().send(TestRequest::get().uri("/api/v1/atividades/%zz")).await;

    assert_eq!(response.error().0, 400);
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
async fn errors_have_cors_headers() {
    let origin = ("origin", "https://ms.gallerycdn.vsassets.io");
    let mut panicking = TestApp::new();
    panicking.projetos.expect_list().returning(|_| panic!("segredo"));
    for (test_app, path, status) in [
        (TestApp::new(), "/api/v1/atividades/%zz", 400),
        (TestApp::new(), "/nada", 404),
        (panicking, "/api/v1/projetos", 500),
    ] {
        let response = test_app.send(TestRequest::get().uri(path).insert_header(origin)).await;

        assert_eq!(response.error().0, status, "{path}");
        assert_eq!(response.header("access-control-allow-origin"), Some(origin.1), "{path}");
        assert!(response.header("access-control-expose-headers").unwrap().contains("x-request-id"), "{path}");
    }
}

#[actix_web::test]
async fn rejected_preflight_returns_400_with_a_general_message() {
    for (origin, method) in [("https://ms.gallerycdn.vsassets.io", "PATCH"), ("https://evil.example", "GET")] {
        let request = TestRequest::default().method(Method::OPTIONS).uri("/api/v1/projetos");
        let request =
            request.insert_header(("origin", origin)).insert_header(("access-control-request-method", method));

        let response = TestApp::new().send(request).await;

        let text = "Esta página não pode fazer esta chamada: a origem, o método ou um cabeçalho não é permitido";
        assert_eq!(response.error(), (400, text.to_owned()), "{origin} {method}");
    }
}

#[actix_web::test]
async fn only_allowed_origins_get_cors_headers() {
    let origin = |origin| TestRequest::get().uri("/healthz").insert_header(("origin", origin));

    let friend = TestApp::new().send(origin("https://ms.gallerycdn.vsassets.io")).await;
    let stranger = TestApp::new().send(origin("https://gallerycdn.vsassets.io.evil.com")).await;

    assert_eq!(friend.header("access-control-allow-origin"), Some("https://ms.gallerycdn.vsassets.io"));
    assert_eq!(stranger.header("access-control-allow-origin"), None);
}
