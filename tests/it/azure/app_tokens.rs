//! The browser extension: access tokens, and app tokens with an access token beside them.

use std::time::{SystemTime, UNIX_EPOCH};

use e2e::azure::app_token;
use e2e::client::{Answer, Api, send};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use super::{get, given_ana};

/// An access token as the extension has it.
const ACCESS: &str = "eyJhbGciOiJSUzI1NiJ9.eyJub3RoaW5nIjoxfQ.c2lnbmF0dXJl";

fn in_an_hour() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3600
}

async fn live(api: &Api, token: &str, access: Option<&str>) -> Answer {
    let mut request = api.request(Method::GET, "/api/v1/integracao/projetos").bearer_auth(token);
    if let Some(access) = access {
        request = request.header("X-Azure-Access-Token", access);
    }
    send(request).await
}

#[tokio::test]
async fn an_access_token_signs_in() {
    let (organisation, aponta) = given_ana().await;
    organisation.add_user(ACCESS, Some("ana@exemplo.br"));

    assert_eq!(get(&aponta.api, ACCESS, "/api/v1/projetos").await.status, 200);
    assert_eq!(live(&aponta.api, ACCESS, None).await.status, 200);
}

#[tokio::test]
async fn an_app_token_signs_in_without_azure_and_its_access_token_serves_the_calls() {
    let (organisation, aponta) = given_ana().await;
    let user = organisation.add_user(ACCESS, Some("ana@exemplo.br"));
    let token = app_token(user, in_an_hour());
    let projeto = organisation.add_project("Portal");

    assert_eq!(get(&aponta.api, &token, "/api/v1/projetos").await.status, 200);
    assert_eq!(organisation.calls("_apis").await, 0);
    assert_eq!(live(&aponta.api, &token, Some(ACCESS)).await.expect(200)[0]["name"], "Portal");
    let request = aponta.api.request(Method::POST, "/api/v1/atividades").bearer_auth(&token);
    let request = request.header("X-Azure-Access-Token", ACCESS).json(&json!({"nome": "A", "id_projeto": projeto}));
    assert_eq!(send(request).await.expect(201)["criado_por"], "ana@exemplo.br");
}

#[tokio::test]
async fn without_the_same_users_access_token_azure_is_not_asked() {
    let (organisation, aponta) = given_ana().await;
    organisation.add_user(ACCESS, Some("outra@exemplo.br"));
    let token = app_token(Uuid::now_v7(), in_an_hour());

    for access in [None, Some(ACCESS), Some("lixo")] {
        let _ = live(&aponta.api, &token, access).await.error(403);
    }
    assert_eq!(organisation.calls("_apis/projects").await, 0);
}

#[tokio::test]
async fn bad_app_tokens_do_not_pass() {
    let (organisation, aponta) = given_ana().await;
    let user = organisation.add_user(ACCESS, None);
    let good = app_token(user, in_an_hour());
    let (text, signature) = good.rsplit_once('.').unwrap();
    let (_, claims) = text.split_once('.').unwrap();

    for token in [
        app_token(user, 1_700_000_000),
        app_token(Uuid::nil(), in_an_hour()),
        app_token(Uuid::from_bytes([0xaa; 16]), in_an_hour()),
        format!("{text}.{}", signature.chars().rev().collect::<String>()),
        format!("{text}."),
        // {"alg":"none"}, which Azure is asked about and does not know.
        format!("eyJhbGciOiJub25lIn0.{claims}."),
    ] {
        assert_eq!(get(&aponta.api, &token, "/api/v1/projetos").await.error(401), "Token inválido ou expirado");
    }
}
