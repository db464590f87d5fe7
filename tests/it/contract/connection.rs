//! What depends on the server's connection: the framing of requests and responses.

use e2e::client::send;
use e2e::server::Aponta;
use reqwest::Method;

const PATH: &str = "/api/v1/atividades";

#[tokio::test]
async fn head_has_the_headers_of_get_without_the_body() {
    let Aponta { api, .. } = &Aponta::start();
    let projeto = api.projeto("Portal").await;
    for path in
        ["/", "/health", "/docs", "/openapi.json", "/api/v1", PATH, &format!("/api/v1/projetos/{projeto}"), "/nada"]
    {
        let (get, head) = (api.get(path).await, send(api.request(Method::HEAD, path)).await);
        assert_eq!((head.status, head.text.as_str()), (get.status, ""), "{path}");
        for header in ["content-type", "content-length", "etag"] {
            assert_eq!(head.header(header), get.header(header), "{path} {header}");
        }
    }
}

#[tokio::test]
async fn malformed_chunk_returns_400() {
    let Aponta { api, .. } = &Aponta::start();
    let chunked = format!(
        "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\
         Connection: close\r\n\r\nzz\r\n"
    );

    let response = api.raw(&chunked);

    assert!(response.starts_with("HTTP/1.1 400 ") && response.contains("\"detail\""), "{response}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_body_returns_408() {
    let Aponta { api, server: _server, .. } = &Aponta::start();

    // The client keeps the connection open and the server closes it: `raw` reads until then.
    let response = api.raw(&format!("POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{{"));

    assert!(response.starts_with("HTTP/1.1 408 ") && response.contains("demorou demais"), "{response}");
}
