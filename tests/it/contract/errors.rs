//! Requests that are refused before anybody looks at their values.

use e2e::client::send;
use e2e::server::Aponta;
use reqwest::Method;
use serde_json::json;

const PATH: &str = "/api/v1/atividades";

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_told_in_json() {
    let Aponta { api, .. } = &Aponta::start();

    for path in ["/nada", "/api/v1/nada", "/api/v2", "/api/v1/atividades/1/2", "/docs/nada"] {
        assert_eq!(api.get(path).await.error(404), "Recurso não encontrado", "{path}");
    }
    for (method, path, allow) in [
        (Method::PATCH, PATH, "GET, HEAD, POST"),
        (Method::POST, "/api/v1/atividades/1", "GET, HEAD, PUT, DELETE"),
        (Method::PUT, "/api/v1/projetos", "GET, HEAD, POST"),
        (Method::GET, "/api/v1/integracao/sincronizar", "POST"),
        (Method::POST, "/health", "GET, HEAD"),
    ] {
        let answer = send(api.request(method, path)).await;
        assert_eq!((answer.error(405), answer.header("allow")), ("Método não permitido".to_owned(), Some(allow)));
    }
}

#[tokio::test]
async fn bodies_are_bounded_and_json() {
    let Aponta { api, .. } = &Aponta::start();
    let post = || api.request(Method::POST, PATH);
    let json_of = |bytes: usize| format!("{{\"nome\": \"{}\"}}", "a".repeat(bytes - 12));

    let typed = |body: String| post().header("Content-Type", "application/json").body(body);
    assert_eq!(send(typed(json_of(1024 * 1024))).await.status, 422);
    assert_eq!(send(typed(json_of(1024 * 1024 + 1))).await.error(413), "O corpo da requisição ultrapassa 1 MiB");
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "nonsense"] {
        let answer = send(post().header("Content-Type", kind).body("nome=A")).await;
        assert_eq!(answer.error(415), "O corpo da requisição deve ser application/json", "{kind}");
    }
    let encoded = send(typed("{}".to_owned()).header("Content-Encoding", "gzip")).await;
    assert_eq!(encoded.error(415), "O corpo da requisição não pode vir comprimido");
    let untyped = send(post().body("{}")).await;
    assert_eq!(untyped.faults(), ["missing body.nome", "missing body.id_projeto"]);
}

#[tokio::test]
async fn what_cannot_be_read_is_400() {
    let Aponta { api, .. } = &Aponta::start();

    for path in ["/api/v1/%zz", "/api/v1/atividades/%", "/%ff"] {
        let answer = api.raw(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("codificação inválida"), "{answer}");
    }
    let chunked = format!(
        "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\
         Connection: close\r\n\r\nzz\r\n"
    );
    let answer = api.raw(&chunked);
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("\"detail\""), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let Aponta { api, server: _server, .. } = &Aponta::start();

    // The connection is kept by the client and closed by the server: `raw` reads until then.
    let answer = api.raw(&format!("POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{{"));

    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("demorou demais"), "{answer}");
}

#[tokio::test]
async fn whoever_asks_gets_problem_details() {
    let Aponta { api, .. } = &Aponta::start();
    let request = api.request(Method::POST, PATH).header("Accept", "application/problem+json");

    let answer = send(request.json(&json!({}))).await;

    assert_eq!((answer.status, answer.header("content-type")), (422, Some("application/problem+json")));
    let problem = answer.json();
    assert_eq!((&problem["status"], &problem["instance"]), (&json!(422), &json!(PATH)));
    assert_eq!(problem["errors"].as_array().unwrap().len(), 2);
}
