//! Who does not pass.

use e2e::azure::{Organisation, Question, anonymous, app_token};
use e2e::client::{Answer, send};
use reqwest::Method;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use super::{ANA, ask, get, given_ana, server_of, synchronise};

#[track_caller]
fn assert_unauthorized(answer: &Answer, detail: &str) {
    assert_eq!(answer.error(401), detail);
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
}

/// The operations of the API that ask who is calling and those that do not, from its own description.
async fn operations(api: &e2e::client::Api) -> (Vec<(Method, String)>, Vec<String>) {
    let document = api.get("/openapi.json").await.expect(200);
    let (mut guarded, mut open) = (Vec::new(), Vec::new());
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            // An operation that says nothing of it has what the document says; with an empty list it is open.
            let ways = operation.get("security").unwrap_or(&document["security"]).as_array().unwrap();
            if ways.is_empty() || ways.contains(&json!({})) {
                open.push(format!("{method} {path}"));
            } else {
                let path = path.replace("{id}", "00000000-0000-0000-0000-000000000001");
                guarded.push((method.to_uppercase().parse().unwrap(), path));
            }
        }
    }
    assert!(guarded.len() >= 12, "{guarded:?}");
    (guarded, open)
}

#[tokio::test]
async fn request_without_valid_token_is_401_before_any_other_error() {
    let (organisation, aponta) = given_ana().await;
    let (guarded, open) = operations(&aponta.api).await;
    assert_eq!(open, ["get /", "get /api/v1", "get /health", "get /healthz"]);
    let shown = async |method: &Method, path: &str, header: Option<&str>| {
        // Each operation is asked for from an address of its own: failures of one address are limited.
        let client = format!("192.0.2.{}", path.len() + method.as_str().len() * 16);
        let mut request = aponta.api.request(method.clone(), path).header("X-Forwarded-For", client).body("{nonsense");
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        send(request).await
    };

    let expired = format!("Bearer {}", app_token(uuid::Uuid::now_v7(), 1_700_000_000));
    let alone = format!("Bearer {}", app_token(uuid::Uuid::now_v7(), 4_000_000_000));
    for (method, path) in &guarded {
        for header in [None, Some("Bearer"), Some("Digest abc"), Some("Basic !!!")] {
            assert_unauthorized(&shown(method, path, header).await, "Token de autenticação não fornecido");
        }
        for header in ["Bearer lixo", "Basic OmxpeG8=", "Bearer a.b.c", &expired, &alone] {
            assert_unauthorized(&shown(method, path, Some(header)).await, "Token inválido ou expirado");
        }
    }

    // Who is told to be nobody in particular is nobody.
    organisation.answer_instead(Question::Identity, anonymous());
    for (n, (method, path)) in guarded.iter().enumerate() {
        for header in [format!("Bearer anonimo-{n}"), format!("Bearer a.b.{n}"), "Basic OmFub25pbW8=".to_owned()] {
            assert_unauthorized(&shown(method, path, Some(&header)).await, "Token inválido ou expirado");
        }
    }
}

#[tokio::test]
async fn what_is_open_asks_nobody() {
    let (_organisation, aponta) = given_ana().await;

    for path in ["/", "/health", "/healthz", "/api/v1", "/docs", "/redoc", "/openapi.json"] {
        assert_eq!(aponta.api.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn what_is_no_real_identity_does_not_pass() {
    let html = |status| ResponseTemplate::new(status).set_body_raw("<html>Sign In</html>", "text/html; charset=utf-8");
    let organisation = Organisation::start().await;
    let aponta = server_of(&organisation.url());
    let sign_in = format!("{}/_signin?secret=1", organisation.url());

    for (n, answer) in [
        ResponseTemplate::new(401),
        html(203),
        html(200),
        ResponseTemplate::new(302).insert_header("location", sign_in.as_str()),
        anonymous(),
    ]
    .into_iter()
    .enumerate()
    {
        organisation.answer_instead(Question::Identity, answer);
        for token in [format!("pat-{n}"), format!("a.b.{n}")] {
            assert_unauthorized(&get(&aponta.api, &token, "/api/v1/projetos").await, "Token inválido ou expirado");
        }
    }
    assert_eq!(organisation.calls("_signin").await, 0);

    let huge = format!("{{\"pad\": \"{}\"}}", "a".repeat(1024 * 1024));
    for (n, answer) in [
        ResponseTemplate::new(200).set_body_json(json!({"authenticatedUser": {"providerDisplayName": "Ana"}})),
        ResponseTemplate::new(200).set_body_raw("{\"authenticatedUser\": {", "application/json"),
        ResponseTemplate::new(200).set_body_raw(huge, "application/json"),
    ]
    .into_iter()
    .enumerate()
    {
        organisation.answer_instead(Question::Identity, answer);
        let detail = get(&aponta.api, &format!("outro-{n}"), "/api/v1/projetos").await.error(502);
        assert_eq!(detail, "O Azure DevOps respondeu com um erro");
    }
}

#[tokio::test]
async fn a_rejected_token_stays_rejected_for_a_moment_and_costs_azure_nothing() {
    let (organisation, aponta) = given_ana().await;

    for _ in 0..20 {
        let _ = get(&aponta.api, "lixo", "/api/v1/projetos").await.error(401);
    }

    // A PAT is tried as Basic, and then as Bearer.
    assert_eq!(organisation.calls("connectionData").await, 2);
}

#[tokio::test]
async fn a_known_user_whom_azure_refuses_is_forbidden() {
    let (organisation, aponta) = given_ana().await;
    let forbidden = "Token não possui permissões necessárias";
    for status in [403, 401] {
        organisation.answer_instead(Question::Projects, ResponseTemplate::new(status));
        assert_eq!(synchronise(&aponta.api, ANA).await.error(403), forbidden);
        assert_eq!(get(&aponta.api, ANA, "/api/v1/integracao/projetos").await.error(403), forbidden);
        let body: Value = json!({"nome": "A", "id_projeto": uuid::Uuid::now_v7()});
        let created = ask(&aponta.api, ANA, Method::POST, "/api/v1/atividades", Some(body)).await;
        assert_eq!(created.faults(), ["value_error body.id_projeto"]);
    }
}
