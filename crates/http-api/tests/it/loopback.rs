//! Where authentication is off, only loopback is served, and pages from elsewhere change nothing.

use actix_web::http::Method;
use actix_web::test::TestRequest;
use domain::testing::projeto;
use http_api::AppState;

use crate::support::{Response, TestApp, send};

const PATH: &str = "/api/v1/projetos";
const HOST: (&str, &str) = ("host", "localhost:8000");
const EVIL: (&str, &str) = ("origin", "https://evil.example");
const JSON: (&str, &str) = ("content-type", "application/json");
const FOREIGN_HOST: &str =
    "Sem autenticação, a API só atende endereços desta máquina, como localhost e 127.0.0.1; o cabeçalho Host é outro";
const FOREIGN_ORIGIN: &str = "Sem autenticação, uma página de outra origem não pode alterar dados";

fn state() -> AppState {
    let mut test_app = TestApp::new();
    test_app.projetos.expect_list().returning(|_| Ok(vec![].into()));
    test_app.projetos.expect_insert().returning(|_, _| Ok(projeto("A")));
    test_app.state().loopback_only()
}

async fn request(method: Method, uri: &str, headers: &[(&str, &str)], body: &'static str) -> Response {
    let request = TestRequest::with_uri(uri).method(method).set_payload(body);
    let request = headers.iter().fold(request, |request, header| request.append_header(*header));
    let Response { status, headers, body } = send(&state(), request).await;
    Response { status, headers, body: String::from_utf8(body).unwrap() }
}

async fn created(headers: &[(&str, &str)]) -> Response {
    request(Method::POST, PATH, &[&[HOST], headers].concat(), r#"{"nome":"A"}"#).await
}

#[actix_web::test]
async fn loopback_host_returns_200() {
    for host in ["localhost", "LocalHost:8000", "127.0.0.1", "127.0.0.1:65535", "127.9.8.7:80", "[::1]", "[::1]:8000"] {
        let response = request(Method::GET, PATH, &[("host", host)], "").await;

        assert_eq!(response.status, 200, "{host}: {}", response.body);
    }
}

#[actix_web::test]
async fn other_host_returns_421_for_any_request() {
    let hosts = [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost.",
        "0.0.0.0:8000",
        "192.168.0.2:8000",
        "[::]:8000",
        "[fe80::1]",
        "2130706433",
        "localhost,evil.example",
        "localhost evil.example",
        "",
    ];
    let requests = [
        (Method::GET, "/"),
        (Method::GET, "/docs"),
        (Method::GET, PATH),
        (Method::POST, PATH),
        (Method::HEAD, "/health"),
    ];
    for host in hosts {
        for (method, path) in &requests {
            let response = request(method.clone(), path, &[("host", host), JSON], "{}").await;

            assert_eq!(response.error(), (421, FOREIGN_HOST.to_owned()), "{host} {method} {path}");
            assert!(response.header("x-request-id").is_some() && response.header("cache-control") == Some("no-store"));
        }
    }
    let preflight = [EVIL, ("host", "evil.example"), ("access-control-request-method", "POST")];
    assert_eq!(request(Method::OPTIONS, PATH, &preflight, "").await.status, 421);
}

#[actix_web::test]
async fn forwarded_host_is_ignored() {
    for headers in [
        &[][..],
        &[HOST, ("host", "evil.example")],
        &[("host", "evil.example"), ("x-forwarded-host", "localhost")],
        &[("host", "evil.example"), ("forwarded", "host=localhost")],
    ] {
        assert_eq!(request(Method::GET, PATH, headers, "").await.error().0, 421, "{headers:?}");
    }
    assert_eq!(request(Method::GET, "http://evil.example/api/v1/projetos", &[HOST], "").await.error().0, 421);
    assert_eq!(request(Method::GET, "http://localhost:8000/api/v1/projetos", &[HOST], "").await.status, 200);
}

#[actix_web::test]
async fn write_from_foreign_page_returns_403() {
    let site = |site: &'static str| ("sec-fetch-site", site);
    let cases: [&[(&str, &str)]; 12] = [
        &[EVIL, JSON],
        &[EVIL],
        &[EVIL, ("content-type", "text/plain")],
        &[EVIL, site("same-origin")],
        &[("origin", "null"), JSON],
        &[("origin", "http://localhost.evil.example"), JSON],
        &[("origin", "https://gallerycdn.vsassets.io.evil.example"), JSON],
        &[("origin", "file://localhost"), JSON],
        &[("origin", "http://localhost:8000"), EVIL, JSON],
        &[site("cross-site")],
        &[site("same-site"), JSON],
        &[site("none"), site("cross-site")],
    ];
    for headers in cases {
        assert_eq!(created(headers).await.error(), (403, FOREIGN_ORIGIN.to_owned()), "{headers:?}");
    }
    for method in [Method::PUT, Method::DELETE, Method::PATCH] {
        let response = request(method.clone(), "/api/v1/projetos/1", &[HOST, EVIL, JSON], "{}").await;
        assert_eq!(response.error().0, 403, "{method}");
    }
    let read = request(Method::GET, PATH, &[HOST, EVIL], "").await;
    assert_eq!((read.status.as_u16(), read.header("access-control-allow-origin")), (200, None));
}

#[actix_web::test]
async fn write_from_script_or_allowed_page_returns_201() {
    let cases: [&[(&str, &str)]; 7] = [
        &[JSON],
        &[],
        &[("origin", "http://localhost:8000"), ("sec-fetch-site", "same-origin"), JSON],
        &[("origin", "http://127.0.0.1:3000"), ("sec-fetch-site", "cross-site"), JSON],
        &[("origin", "http://[::1]:3000"), JSON],
        &[("origin", "https://ms.gallerycdn.vsassets.io"), ("sec-fetch-site", "cross-site"), JSON],
        &[("sec-fetch-site", "none"), JSON],
    ];
    for headers in cases {
        let response = created(headers).await;
        assert_eq!(response.status, 201, "{headers:?}: {}", response.body);
    }
    assert_eq!(created(&[("content-type", "text/plain")]).await.status, 415);
}

#[actix_web::test]
async fn any_host_with_authentication_returns_200() {
    let mut test_app = TestApp::new();
    test_app.projetos.expect_insert().returning(|_, _| Ok(projeto("A")));
    let request = TestRequest::post().uri(PATH).insert_header(("host", "evil.example")).insert_header(EVIL);

    let response = test_app.send(request.insert_header(JSON).set_payload(r#"{"nome":"A"}"#)).await;

    assert_eq!(response.status, 201);
}
