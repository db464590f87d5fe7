//! API8: without authentication, a page from elsewhere in the developer's browser reads and changes nothing.

use e2e::client::Api;
use e2e::server::{Aponta, Directory, Program};

const PATH: &str = "/api/v1/projetos";
const EVIL: &str = "Origin: https://evil.example\r\n";
const JSON: &str = "Content-Type: application/json\r\n";

/// The status and the body of the response to a request with `headers`.
fn exchange(api: &Api, method: &str, path: &str, headers: &str) -> (u16, String) {
    let body = if method == "GET" { "" } else { r#"{"nome":"De fora"}"# };
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n");
    let response = api.raw(&(head + body));
    let status = response.split(' ').nth(1).unwrap().parse().unwrap();
    (status, response.split_once("\r\n\r\n").unwrap().1.to_owned())
}

fn check(api: &Api) {
    let authority = api.base().trim_start_matches("http://");
    let port = authority.rsplit_once(':').unwrap().1;
    let own = format!("Host: {authority}\r\n");

    for host in ["evil.example", &format!("evil.example:{port}"), &format!("0.0.0.0:{port}"), "127.0.0.1.evil.example"]
    {
        for (method, path) in
            [("GET", PATH), ("POST", PATH), ("GET", "/health"), ("GET", "/docs"), ("GET", "/openapi.json")]
        {
            let (status, body) = exchange(api, method, path, &format!("Host: {host}\r\n{JSON}"));
            assert_eq!(status, 421, "{host} {method} {path}: {body}");
            assert!(body.contains("Sem autenticação, a API só atende endereços desta máquina"), "{body}");
        }
    }
    for headers in [
        EVIL,
        &format!("{EVIL}{JSON}"),
        &format!("{EVIL}Content-Type: text/plain\r\n"),
        "Origin: null\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
    ] {
        for (method, path) in
            [("POST", PATH), ("POST", "/api/v1/integracao/sincronizar"), ("DELETE", "/api/v1/projetos/1")]
        {
            let (status, body) = exchange(api, method, path, &format!("{own}{headers}"));
            assert_eq!(status, 403, "{headers} {method} {path}: {body}");
            assert!(body.contains("uma página de outra origem não pode alterar dados"), "{body}");
        }
    }
    assert_eq!(exchange(api, "POST", PATH, &format!("{own}Content-Type: text/plain\r\n")).0, 415);
    assert!(!exchange(api, "GET", PATH, &own).1.contains("De fora"));

    let page = format!("Origin: http://localhost:{port}\r\nSec-Fetch-Site: same-origin\r\n{JSON}");
    for headers in [format!("{own}{JSON}"), own.clone(), format!("Host: localhost:{port}\r\n{page}")] {
        let (status, body) = exchange(api, "POST", PATH, &headers);
        assert_eq!(status, 201, "{headers}: {body}");
    }
}

#[tokio::test]
async fn api8_serve_without_authentication_accepts_loopback_only() {
    check(&Aponta::start().api);
}

#[tokio::test]
async fn api8_dev_accepts_loopback_only() {
    let data = Directory::new();
    check(&Program::new(&["dev", "--port", "0", "--data", data.path().to_str().unwrap()]).start().api());
}
