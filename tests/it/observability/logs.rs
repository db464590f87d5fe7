//! The log: one line of JSON for each request in production, without personal data and secrets.

use std::time::Duration;

use e2e::client::send;
use e2e::server::{Aponta, Server};
use reqwest::Method;
use serde_json::{Value, json};

use super::{EMAIL, TOKEN, TRACE, TRACEPARENT, production};

/// The lines of a log of JSON.
fn lines(server: &Server) -> Vec<Value> {
    let log = server.log();
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
}

/// The line of the request with that id, once it is there.
fn line_of(server: &Server, request_id: &str) -> Value {
    server.wait_for_log(&format!(r#""request_id":"{request_id}","trace_id""#));
    let logged: Vec<_> = lines(server).into_iter().filter(|line| line["request_id"] == request_id).collect();
    assert_eq!(logged.len(), 1, "{logged:#?}");
    logged[0].clone()
}

#[tokio::test]
async fn request_is_logged_in_one_line() {
    let (_organisation, user, aponta) = production(|program| program.env("TRUSTED_PROXIES", "127.0.0.0/8")).await;
    let request = |id| {
        let request =
            aponta.api.request(Method::GET, "/api/v1/projetos/0190c0de-0000-7000-8000-000000000000?x=segredo");
        request.header("X-Request-ID", id).header("traceparent", TRACEPARENT)
    };
    let signed_in = request("com-token").bearer_auth(TOKEN).header("X-Forwarded-For", "198.51.100.7, 203.0.113.9");
    let response = send(signed_in).await;
    let refused = send(request("sem-token")).await;
    assert_eq!((response.status, refused.status), (404, 401));

    let line = line_of(&aponta.server, "com-token");
    assert_eq!(
        (&line["level"], &line["message"], &line["method"], &line["route"], &line["status"]),
        (
            &json!("INFO"),
            &json!("request completed"),
            &json!("GET"),
            &json!("/api/v1/projetos/{projeto_id}"),
            &json!(404)
        )
    );
    assert_eq!(
        (&line["user"], &line["client"], &line["trace_id"], &line["bytes"]),
        (&json!(user), &json!("203.0.113.9"), &json!(TRACE), &json!(response.text.len()))
    );
    assert!(line["duration_ms"].as_f64().is_some_and(|duration| 0.0 < duration) && line["timestamp"].is_string());

    let line = line_of(&aponta.server, "sem-token");
    assert_eq!((&line["status"], &line["user"], &line["client"]), (&json!(401), &Value::Null, &json!("127.0.0.1")));
    assert!(!aponta.server.log().contains("segredo"), "a query is logged");
}

#[tokio::test]
async fn sign_ins_are_logged_without_the_token() {
    let (_organisation, user, aponta) = production(|program| program).await;
    for token in [TOKEN, "lixo-0123456789"] {
        let _ = send(aponta.api.request(Method::GET, "/api/v1/projetos").bearer_auth(token)).await;
    }
    let _ = aponta.api.get("/api/v1/projetos").await;
    aponta.server.wait_for_log(r#""outcome":"missing""#);

    let lines = lines(&aponta.server);
    let logged = |message: &str| lines.iter().filter(|line| line["message"] == message).cloned().collect::<Vec<_>>();
    let known = logged("Azure DevOps accepted the credential");
    assert_eq!((known.len(), &known[0]["user"]), (1, &json!(user)));
    let refused = logged("authentication failed");
    let outcomes: Vec<_> = refused.iter().map(|line| &line["outcome"]).collect();
    assert_eq!(outcomes, ["rejected", "missing"]);
    assert!(refused.iter().all(|line| line["span"]["request_id"].is_string()), "{refused:#?}");
    let log = aponta.server.log();
    assert!(!log.contains(TOKEN) && !log.contains("lixo-0123456789") && !log.contains(EMAIL), "{log}");
}

#[tokio::test]
async fn stream_is_logged_at_its_end() {
    let aponta = Aponta::start();
    let projeto = aponta.api.projeto("P").await;
    aponta.api.atividade("A", &projeto).await;
    let request = aponta.api.request(Method::GET, "/api/v1/atividades?formato=csv").header("X-Request-ID", "planilha");
    let response = send(request).await;

    aponta.server.wait_for_log("planilha");
    let log = aponta.server.log();
    let line = log.lines().find(|line| line.contains("planilha")).unwrap();
    assert!(line.contains(&format!("bytes={} ", response.text.len())), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_statement_is_logged_without_its_values() {
    let aponta = Aponta::start();
    let projeto = aponta.api.projeto("P").await;
    let locked = "BEGIN; LOCK TABLE api_aponta.atividades; SELECT pg_sleep(1.5); COMMIT";
    let body = json!({"nome": "valor-que-ninguem-ve", "id_projeto": projeto});

    std::thread::scope(|scope| {
        scope.spawn(|| aponta.database.execute(locked));
        let waiting = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation =
                       'api_aponta.atividades'::regclass";
        while aponta.database.query(waiting) == "0" {
            std::thread::sleep(Duration::from_millis(10));
        }
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(aponta.api.post("/api/v1/atividades", &body)).expect(201)
        });
    });

    aponta.server.wait_for_log("slow statement");
    let log = aponta.server.log();
    let line = log.lines().find(|line| line.contains("slow statement")).unwrap();
    assert!(line.contains("INSERT INTO atividades") && line.contains("elapsed"), "{line}");
    assert!(!log.contains("valor-que-ninguem-ve"), "{log}");
}

#[tokio::test]
async fn log_filter_selects_modules() {
    let only = |filter: &'static str| Aponta::start_with(move |program| program.env("LOG", filter));
    let aponta = only("info,http_api::request=off");
    let _ = aponta.api.get("/healthz").await.expect(200);
    let (quiet, verbose) = (aponta.server.log(), only("info,adapters_postgres=trace"));
    let _ = verbose.api.get("/api/v1/projetos").await.expect(200);
    verbose.server.wait_for_log("request completed");

    assert!(!quiet.contains("request completed") && quiet.contains("listening on"), "{quiet}");
    assert!(verbose.server.log().contains("SELECT id, nome"), "{}", verbose.server.log());
}
