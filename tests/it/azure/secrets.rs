//! Tokens and e-mail addresses appear in no response, no metric and no log line.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use e2e::azure::{APP_KEY, Endpoint, app_token};
use e2e::client::{Response, send};
use reqwest::Method;
use serde_json::json;
use wiremock::ResponseTemplate;

use super::{ANA, ANAS_EMAIL, get, given_ana, post, send_as, synchronise};

const REVOKED: &str = "revogado-7f3a9c2e51d84b60";
const ACCESS: &str = "eyJhbGciOiJSUzI1NiJ9.eyJvdXRybyI6MX0.YXNzaW5hdHVyYQ";

/// Texts that reveal `token`: the token and its encodings.
fn traces(token: &str) -> Vec<String> {
    let basic = format!(":{token}");
    let encoded = |text: &str| [BASE64_STANDARD.encode(text), BASE64_URL_SAFE_NO_PAD.encode(text)];
    [token.to_owned()].into_iter().chain(encoded(&basic)).chain(encoded(token)).collect()
}

#[tokio::test]
async fn tokens_and_emails_appear_in_no_log_response_or_metric() {
    let (organisation, aponta) = given_ana().await;
    let api = &aponta.api;
    let user = organisation.add_user(ACCESS, Some("ana.da.extensao@exemplo.br"));
    organisation.add_user(REVOKED, Some("rui@exemplo.br"));
    let hour = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3600;
    let app = app_token(user, hour);
    let expired = app_token(user, 1_700_000_000);
    let projeto = organisation.add_project("Portal");

    let mut responses: Vec<Response> = Vec::new();
    for token in [ANA, REVOKED, ACCESS, &app, &expired, "lixo-4d1c8e7a"] {
        responses.push(get(api, token, "/api/v1/projetos").await);
        responses.push(get(api, token, "/api/v1/integracao/projetos").await);
        responses.push(synchronise(api, token).await);
        responses.push(post(api, token, "/api/v1/atividades", json!({"nome": "A", "id_projeto": projeto})).await);
        responses.push(post(api, token, "/api/v1/atividades", json!({"nome": token, "id_projeto": 1})).await);
        responses.push(send_as(api, token, Method::PATCH, "/api/v1/projetos", None).await);
        responses.push(send(api.request(Method::GET, "/api/v1/projetos").basic_auth("", Some(token))).await);
        let with_access = api.request(Method::GET, "/api/v1/integracao/projetos").bearer_auth(token);
        responses.push(send(with_access.header("X-Azure-Access-Token", ACCESS)).await);
    }
    organisation.revoke(REVOKED);
    responses.push(synchronise(api, REVOKED).await);
    for status in [500, 429, 403, 302] {
        let response = ResponseTemplate::new(status).set_body_string(format!("{ANA} {ANAS_EMAIL}"));
        organisation.respond_with(Endpoint::Identity, response.clone());
        organisation.respond_with(Endpoint::Projects, response.insert_header("X-VSS-UserData", ANAS_EMAIL));
        responses.push(synchronise(api, ANA).await);
        responses.push(get(api, "outro-token-19ab", "/api/v1/projetos").await);
    }
    let last = api.request(Method::GET, "/healthz").header("X-Request-ID", "o-ultimo");
    responses.push(send(last).await);
    aponta.server.wait_for_log("o-ultimo");

    let metrics = aponta.server.wait_for_metrics().get("/metrics").await;
    assert!(metrics.text.contains("azure_identity_cache_requests_total"), "{}", metrics.text);
    responses.push(metrics);

    let log = aponta.server.log();
    assert!(log.contains("TRACE"), "nothing was logged at TRACE");
    let tokens = [ANA, REVOKED, ACCESS, &app, &expired, "lixo-4d1c8e7a", "outro-token-19ab", APP_KEY];
    for trace in tokens.into_iter().flat_map(traces).chain([ANAS_EMAIL.to_owned()]) {
        assert!(!log.contains(&trace), "the log has {trace}");
        for response in &responses {
            let text = format!("{:?} {}", response.headers, response.text);
            assert!(!text.contains(&trace) || (response.status == 201 && trace == ANAS_EMAIL), "{trace}: {text}");
        }
    }
}
