//! Authentication with tokens of an organisation of Azure DevOps.

mod app_tokens;
mod azure_info;
mod doctor;
mod outages;
mod planning;
mod projects;
mod rejections;
mod secrets;
mod timesheet;
mod work_items;
mod write_back;

use e2e::azure::{APP_KEY, AUDIENCE, Organisation};
use e2e::client::{Api, Response, send};
use e2e::server::Aponta;
use reqwest::Method;
use reqwest::header::AUTHORIZATION;
use serde_json::Value;

/// The PAT of Ana, a user of the organisation.
const ANA: &str = "a2b3c4d5e6f7qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq";
const ANAS_EMAIL: &str = "ana.lima@exemplo.br";

/// Starts an organisation with the user Ana, and the service for it.
async fn given_ana() -> (Organisation, Aponta) {
    let organisation = Organisation::start().await;
    organisation.add_user(ANA, Some(ANAS_EMAIL));
    let aponta = server_of(&organisation.url());
    (organisation, aponta)
}

/// Starts the service for the organisation at `url`.
fn server_of(url: &str) -> Aponta {
    server_with(url, None)
}

/// Starts the service for the organisation at `url`, with `pat` as `AZURE_DEVOPS_PAT`.
fn server_with(url: &str, pat: Option<&str>) -> Aponta {
    Aponta::start_with(|program| {
        let program = pat.into_iter().fold(program, |program, pat| program.env("AZURE_DEVOPS_PAT", pat));
        program
            .env("AUTH_ENABLED", "true")
            .env("AZURE_DEVOPS_ORG_URL", url)
            .env("EXTENSION_APP_KEYS", format!("{APP_KEY}:{AUDIENCE}"))
            // Tests set client addresses in `X-Forwarded-For`.
            .env("TRUSTED_PROXIES", "127.0.0.1")
            .env("LOG", "trace")
            .env("METRICS_PORT", "0")
    })
}

/// Sends a request with `token`.
async fn send_as(api: &Api, token: &str, method: Method, path: &str, body: Option<Value>) -> Response {
    let request = api.request(method, path).header(AUTHORIZATION, format!("Bearer {token}"));
    send(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

async fn get(api: &Api, token: &str, path: &str) -> Response {
    send_as(api, token, Method::GET, path, None).await
}

async fn post(api: &Api, token: &str, path: &str, body: Value) -> Response {
    send_as(api, token, Method::POST, path, Some(body)).await
}

async fn synchronise(api: &Api, token: &str) -> Response {
    send_as(api, token, Method::POST, "/api/v1/integracao/sincronizar", None).await
}
