//! Requests that authentication rejects.

use e2e::azure::{Endpoint, Organisation, anonymous, app_token};
use e2e::client::{Response, send};
use reqwest::Method;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use super::{ANA, get, given_ana, post, send_as, server_of, synchronise};

#[track_caller]
fn assert_unauthorized(response: &Response, detail: &str) {
    assert_eq!(response.error(401), detail);
    assert_eq!(response.header("www-authenticate"), Some("Bearer"));
}

/// The operations that require authentication and those that do not, by the OpenAPI document.
async fn operations(api: &e2e::client::Api) -> (Vec<(Method, String)>, Vec<String>) {
    let document = api.get("/openapi.json").await.expect(200);
    let (mut guarded, mut open) = (Vec::new(), Vec::new());
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            // An operation without `security` inherits that of the document. An empty list means public.
            let ways = operation.get("security").unwrap_or(&document["security"]).as_array().unwrap();
            if ways.is_empty() || ways.contains(&json!({})) {
                open.push(format!("{method} {path}"));
            } else {
                let path = path
                    .replace("{projeto_id}", "{id}")
                    .replace("{atividade_id}", "{id}")
                    .replace("{id}", "00000000-0000-0000-0000-000000000001");
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
    let send_with = async |method: &Method, path: &str, header: Option<&str>| {
        // One client address per operation, because failures per address are rate-limited.
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
        for header in [None, Some("Bearer"), Some("Digest abc")] {
            assert_unauthorized(&send_with(method, path, header).await, "Token de autenticação não fornecido");
        }
        let unreadable = "O cabeçalho Authorization não pode ser lido: use Bearer com um token em ASCII ou Basic com \
                          base64 de usuário:token";
        assert_unauthorized(&send_with(method, path, Some("Basic !!!")).await, unreadable);
        for header in ["Bearer lixo", "Basic OmxpeG8=", "Bearer a.b.c", &expired, &alone] {
            assert_unauthorized(&send_with(method, path, Some(header)).await, "Token inválido ou expirado");
        }
    }

    // The anonymous identity.
    organisation.respond_with(Endpoint::Identity, anonymous());
    for (n, (method, path)) in guarded.iter().enumerate() {
        for header in [format!("Bearer anonimo-{n}"), format!("Bearer a.b.{n}"), "Basic OmFub25pbW8=".to_owned()] {
            assert_unauthorized(&send_with(method, path, Some(&header)).await, "Token inválido ou expirado");
        }
    }
}

#[tokio::test]
async fn public_endpoints_need_no_token() {
    let (_organisation, aponta) = given_ana().await;

    for path in ["/", "/health", "/healthz", "/api/v1", "/docs", "/redoc", "/openapi.json"] {
        assert_eq!(aponta.api.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn identity_response_without_real_identity_is_401_or_502() {
    let html = |status| ResponseTemplate::new(status).set_body_raw("<html>Sign In</html>", "text/html; charset=utf-8");
    let organisation = Organisation::start().await;
    let aponta = server_of(&organisation.url());
    let sign_in = format!("{}/_signin?secret=1", organisation.url());

    for (n, response) in [
        ResponseTemplate::new(401),
        html(203),
        html(200),
        ResponseTemplate::new(302).insert_header("location", sign_in.as_str()),
        anonymous(),
    ]
    .into_iter()
    .enumerate()
    {
        organisation.respond_with(Endpoint::Identity, response);
        for token in [format!("pat-{n}"), format!("a.b.{n}")] {
            assert_unauthorized(&get(&aponta.api, &token, "/api/v1/projetos").await, "Token inválido ou expirado");
        }
    }
    assert_eq!(organisation.calls("_signin").await, 0);

    let huge = format!("{{\"pad\": \"{}\"}}", "a".repeat(1024 * 1024));
    for (n, response) in [
        ResponseTemplate::new(200).set_body_json(json!({"authenticatedUser": {"providerDisplayName": "Ana"}})),
        ResponseTemplate::new(200).set_body_raw("{\"authenticatedUser\": {", "application/json"),
        ResponseTemplate::new(200).set_body_raw(huge, "application/json"),
    ]
    .into_iter()
    .enumerate()
    {
        organisation.respond_with(Endpoint::Identity, response);
        let detail = get(&aponta.api, &format!("outro-{n}"), "/api/v1/projetos").await.error(502);
        assert_eq!(detail, "O Azure DevOps respondeu com um erro");
    }
}

#[tokio::test]
async fn rejected_token_is_cached_and_causes_no_further_calls() {
    let (organisation, aponta) = given_ana().await;

    for _ in 0..20 {
        let _ = get(&aponta.api, "lixo", "/api/v1/projetos").await.error(401);
    }

    // One call as Basic, one as Bearer.
    assert_eq!(organisation.calls("connectionData").await, 2);
}

#[tokio::test]
async fn known_user_refused_by_azure_is_403() {
    let (organisation, aponta) = given_ana().await;
    let forbidden = "Token não possui permissões necessárias";
    for status in [403, 401] {
        organisation.respond_with(Endpoint::Projects, ResponseTemplate::new(status));
        assert_eq!(synchronise(&aponta.api, ANA).await.error(403), forbidden);
        assert_eq!(get(&aponta.api, ANA, "/api/v1/integracao/projetos").await.error(403), forbidden);
        let unknown = uuid::Uuid::now_v7();
        let body: Value = json!({"nome": "A", "id_projeto": unknown});
        let created = send_as(&aponta.api, ANA, Method::POST, "/api/v1/atividades", Some(body)).await;
        assert_eq!(created.error(400), format!("Projeto não encontrado: {unknown}"));
    }
}

/// Each operation that the document has on one entry: everybody reads it, its owner alone changes it.
#[tokio::test]
async fn entry_of_another_person_can_be_read_and_is_403_for_every_change() {
    let (organisation, aponta) = given_ana().await;
    let bia = "b2b3c4d5e6f7qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq";
    organisation.add_user(bia, Some("bia.reis@exemplo.br"));
    let projeto = organisation.add_project("Portal");
    organisation.add_work_item(41, "Portal", "Task", "Active", "Tela de pedidos");
    let nova = json!({"nome": "Desenvolver", "id_projeto": projeto});
    let atividade = post(&aponta.api, ANA, "/api/v1/atividades", nova).await.expect(201)["id"].clone();
    let entry = json!({
        "work_item_id": 41, "duracao": "1:30", "data_apontamento": "2026-01-12", "id_atividade": atividade,
        "organization_name": "exemplo", "project_id": "Portal",
    });
    let created = post(&aponta.api, ANA, "/api/v1/apontamentos", entry).await.expect(201);
    let id = created["id"].as_str().unwrap();
    let entry = get(&aponta.api, ANA, &format!("/api/v1/apontamentos/{id}")).await.expect(200);
    let document = aponta.api.get("/openapi.json").await.expect(200);
    let mut changes = Vec::new();

    for (template, methods) in document["paths"].as_object().unwrap() {
        if !template.contains("{apontamento_id}") {
            continue;
        }
        let path = template.replace("{apontamento_id}", id);
        assert!(!path.contains('{'), "{template}: this test knows no id for it");
        for method in methods.as_object().unwrap().keys().map(|method| method.to_uppercase()) {
            // The body claims to be that of the owner.
            let body = json!({"duracao": "0:10", "comentario": "da Bia", "usuario_id": entry["usuario_id"]});
            let reads = method == "GET";
            let response = send_as(&aponta.api, bia, method.parse().unwrap(), &path, Some(body)).await;
            if reads {
                let _ = response.expect(200);
            } else {
                assert_eq!(response.error(403), "Somente quem apontou pode alterar", "{method} {template}");
                changes.push(method);
            }
        }
    }

    assert!(["DELETE", "PUT"].iter().all(|method| changes.iter().any(|change| change == method)), "{changes:?}");
    assert_eq!(get(&aponta.api, ANA, &format!("/api/v1/apontamentos/{id}")).await.expect(200), entry);
}
