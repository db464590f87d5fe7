//! The browser extension: access tokens, and app tokens together with an access token.

use std::time::{SystemTime, UNIX_EPOCH};

use e2e::azure::{APP_KEY, AUDIENCE, Endpoint, Organisation, app_token};
use e2e::client::{Api, Response, send};
use e2e::server::Aponta;
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;
use wiremock::ResponseTemplate;

use super::{get, given_ana};

/// An access token of the extension.
const ACCESS: &str = "eyJhbGciOiJSUzI1NiJ9.eyJub3RoaW5nIjoxfQ.c2lnbmF0dXJl";

fn in_an_hour() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3600
}

async fn live(api: &Api, token: &str, access: Option<&str>) -> Response {
    let mut request = api.request(Method::GET, "/api/v1/integracao/projetos").bearer_auth(token);
    if let Some(access) = access {
        request = request.header("X-Azure-Access-Token", access);
    }
    send(request).await
}

#[tokio::test]
async fn access_token_is_accepted() {
    let (organisation, aponta) = given_ana().await;
    organisation.add_user(ACCESS, Some("ana@exemplo.br"));

    assert_eq!(get(&aponta.api, ACCESS, "/api/v1/projetos").await.status, 200);
    assert_eq!(live(&aponta.api, ACCESS, None).await.status, 200);
}

#[tokio::test]
async fn app_token_with_access_token_of_its_user_is_accepted() {
    let (organisation, aponta) = given_ana().await;
    let user = organisation.add_user(ACCESS, Some("ana@exemplo.br"));
    let token = app_token(user, in_an_hour());
    let projeto = organisation.add_project("Portal");

    assert_eq!(live(&aponta.api, &token, Some(ACCESS)).await.expect(200)[0]["name"], "Portal");
    let request = aponta.api.request(Method::POST, "/api/v1/atividades").bearer_auth(&token);
    let request = request.header("X-Azure-Access-Token", ACCESS).json(&json!({"nome": "A", "id_projeto": projeto}));
    assert_eq!(send(request).await.expect(201)["criado_por"], "ana@exemplo.br");
}

/// Any user can get a valid app token by installing the extension in another organisation.
#[tokio::test]
async fn app_token_without_accepted_access_token_of_its_user_is_401() {
    let (organisation, aponta) = given_ana().await;
    organisation.add_user(ACCESS, Some("outra@exemplo.br"));
    let token = app_token(Uuid::now_v7(), in_an_hour());

    for access in [None, Some(ACCESS), Some("lixo"), Some("a.b.c"), Some(token.as_str())] {
        assert_eq!(live(&aponta.api, &token, access).await.error(401), "Token inválido ou expirado", "{access:?}");
    }
    assert_eq!(organisation.calls("_apis/projects").await, 0);
}

/// The app token of a removed user remains valid for more than an hour.
#[tokio::test]
async fn removed_user_is_401_after_the_identity_expires() {
    let organisation = Organisation::start().await;
    let user = organisation.add_user(ACCESS, Some("ana@exemplo.br"));
    let aponta = Aponta::start_with(|program| {
        program
            .env("AUTH_ENABLED", "true")
            .env("AUTH_CACHE_TTL", "0")
            .env("AZURE_DEVOPS_ORG_URL", organisation.url())
            .env("EXTENSION_APP_KEYS", format!("{APP_KEY}:{AUDIENCE}"))
    });
    let token = app_token(user, in_an_hour());
    assert_eq!(live(&aponta.api, &token, Some(ACCESS)).await.status, 200);

    organisation.revoke(ACCESS);
    assert_eq!(live(&aponta.api, &token, Some(ACCESS)).await.status, 401);

    // The identity cannot be verified: neither accepted nor 401.
    organisation.respond_with(Endpoint::Identity, ResponseTemplate::new(500));
    assert_eq!(live(&aponta.api, &token, Some("outro.token.novo")).await.status, 502);
}

#[tokio::test]
async fn invalid_app_token_is_401() {
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
        // {"alg":"none"}, which Azure DevOps rejects.
        format!("eyJhbGciOiJub25lIn0.{claims}."),
    ] {
        for access in [None, Some(ACCESS)] {
            assert_eq!(live(&aponta.api, &token, access).await.error(401), "Token inválido ou expirado");
        }
    }
}

/// `APP_TOKEN_ALONE=members`.
#[tokio::test]
async fn app_token_alone_with_members_setting_is_accepted_for_members() {
    let organisation = Organisation::start().await;
    let user = organisation.add_user(ACCESS, Some("ana@exemplo.br"));
    let service = "servico-7f3a9c2e51d84b60";
    organisation.add_user(service, None);
    let aponta = Aponta::start_with(|program| {
        program
            .env("AUTH_ENABLED", "true")
            .env("AUTH_CACHE_TTL", "0")
            .env("AZURE_DEVOPS_ORG_URL", organisation.url())
            .env("AZURE_DEVOPS_PAT", service)
            .env("APP_TOKEN_ALONE", "members")
            .env("EXTENSION_APP_KEYS", format!("{APP_KEY}:{AUDIENCE}"))
    });
    let projeto = aponta_projeto(&aponta.api, ACCESS).await;
    let create = async |token: &str| {
        let request = aponta.api.request(Method::POST, "/api/v1/atividades").bearer_auth(token);
        send(request.json(&json!({"nome": "A", "id_projeto": projeto}))).await
    };

    let token = app_token(user, in_an_hour());
    assert_eq!(create(&token).await.expect(201)["criado_por"], "ana@exemplo.br");
    // Calls to Azure DevOps still need an access token of the user.
    assert_eq!(live(&aponta.api, &token, None).await.status, 403);
    assert_eq!(live(&aponta.api, &token, Some(ACCESS)).await.status, 200);
    assert_eq!(live(&aponta.api, &token, Some("lixo")).await.status, 401);
    // Of another organisation.
    assert_eq!(create(&app_token(Uuid::now_v7(), in_an_hour())).await.status, 401);

    organisation.remove_member(user);
    assert_eq!(create(&token).await.status, 401);
    // The PAT of the service is revoked, so membership cannot be verified.
    organisation.revoke(service);
    let another = organisation.add_user("outro.token.novo", None);
    assert_eq!(create(&app_token(another, in_an_hour())).await.status, 502);
}

async fn aponta_projeto(api: &Api, token: &str) -> String {
    let request = api.request(Method::POST, "/api/v1/projetos").bearer_auth(token).json(&json!({"nome": "Portal"}));
    send(request).await.expect(201)["id"].as_str().unwrap().to_owned()
}
