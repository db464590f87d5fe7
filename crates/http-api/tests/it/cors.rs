//! Calls of pages of other origins.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::test::TestRequest;
use domain::Error;

use crate::support::{StubIdentity, TestApp};

#[actix_web::test]
async fn errors_have_cors_headers() {
    let origin = ("origin", "https://ms.gallerycdn.vsassets.io");
    let mut panicking = TestApp::new();
    panicking.projetos.expect_list().returning(|_| panic!("segredo"));
    let mut unauthenticated = TestApp::new();
    unauthenticated.identity = Arc::new(StubIdentity(|| Err(Error::CredentialMissing)));
    for (test_app, path, status) in [
        (unauthenticated, "/api/v1/atividades", 401),
        (TestApp::new(), "/api/v1/atividades/%zz", 400),
        (TestApp::new(), "/nada", 404),
        (panicking, "/api/v1/projetos", 500),
    ] {
        let response = test_app.send(TestRequest::get().uri(path).insert_header(origin)).await;

        assert_eq!(response.error().0, status, "{path}");
        assert_eq!(response.header("access-control-allow-origin"), Some(origin.1), "{path}");
        let exposed = response.header("access-control-expose-headers").unwrap();
        assert!(["etag", "link", "location", "x-request-id"].iter().all(|header| exposed.contains(header)), "{path}");
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
    assert_eq!(friend.header("access-control-allow-origin"), Some("https://ms.gallerycdn.vsassets.io"));
    assert_eq!(friend.header("access-control-allow-credentials"), Some("true"));

    for stranger in [
        "https://gallerycdn.vsassets.io",
        "https://a.b.gallerycdn.vsassets.io",
        "http://ms.gallerycdn.vsassets.io",
        "https://ms.gallerycdn.vsassets.io:8443",
        "https://ms.gallerycdn.vsassets.io.evil.example",
        "https://evil.example/ms.gallerycdn.vsassets.io",
        "https://ms.gallerycdn.vsassets.io@evil.example",
        "https://evilgallerycdn.vsassets.io",
        "null",
        "nonsense",
    ] {
        let response = TestApp::new().send(origin(stranger)).await;
        assert_eq!(response.header("access-control-allow-origin"), None, "{stranger}");
    }
}

#[actix_web::test]
async fn preflight_without_token_lists_methods_and_headers() {
    let mut test_app = TestApp::new();
    test_app.identity = Arc::new(StubIdentity(|| Err(Error::CredentialMissing)));
    let origin = "https://ms.gallerycdn.vsassets.io";
    let requested = "authorization, content-type, x-azure-access-token, if-match";
    let request = TestRequest::default()
        .method(Method::OPTIONS)
        .uri("/api/v1/atividades")
        .insert_header(("origin", origin))
        .insert_header(("access-control-request-method", "PUT"))
        .insert_header(("access-control-request-headers", requested));

    let response = test_app.send(request).await;

    assert_eq!((response.status.as_u16(), response.header("access-control-allow-origin")), (200, Some(origin)));
    let methods = response.header("access-control-allow-methods").unwrap();
    assert!(["GET", "POST", "PUT", "DELETE"].iter().all(|method| methods.contains(method)), "{methods}");
    let headers = response.header("access-control-allow-headers").unwrap();
    assert!(requested.split(", ").all(|header| headers.contains(header)), "{headers}");
}
