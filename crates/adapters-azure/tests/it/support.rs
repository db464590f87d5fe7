//! Shared credentials, configuration and responses.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use adapters_azure::{AzureConfig, AzureDevOps, BreakerConfig, OrgUrl, Retries, Timeouts};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{Clock, Credential, Error, IdentityProvider, Service, Usuario};
use ring::hmac;
use serde_json::{Value, json};
use time::OffsetDateTime;
use wiremock::matchers::{basic_auth, header, method, path};
use wiremock::{Match, Mock, MockServer, ResponseTemplate};

/// A token in the format of a PAT, and one in the format of an access token.
pub const PAT: &str = "a2b3c4d5e6f7qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq";
pub const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJub3RoaW5nIjoxfQ.c2lnbmF0dXJl";

pub const CONNECTION_DATA: &str = "/contoso-lab/_apis/connectionData";
pub const PROJECTS: &str = "/contoso-lab/_apis/projects";

/// The time of the test clock, at which the app tokens of the fixtures are valid.
pub const NOW: i64 = 1_795_501_000;

pub struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(NOW).unwrap()
    }
}

/// Configuration for the organisation `contoso-lab` at `base`, with short durations.
pub fn config(base: &str) -> AzureConfig {
    AzureConfig {
        org_url: Some(OrgUrl::parse(&format!("{base}/contoso-lab/")).unwrap()),
        timeouts: Timeouts {
            connect: Duration::from_secs(2),
            attempt: Duration::from_secs(2),
            check: Duration::from_secs(2),
            identity: Duration::from_secs(4),
            directory: Duration::from_secs(4),
            work_items: Duration::from_secs(4),
        },
        retries: Retries { max: 2, initial_backoff: Duration::from_millis(1) },
        breaker: BreakerConfig { failure_threshold: 1_000, ..BreakerConfig::default() },
        ..AzureConfig::default()
    }
}

pub fn adapter(config: &AzureConfig) -> AzureDevOps {
    AzureDevOps::new(config, Arc::new(StandingClock), None).unwrap()
}

/// A stand-in server for Azure DevOps and an adapter that calls it.
pub async fn azure() -> (MockServer, AzureDevOps) {
    let server = MockServer::start().await;
    let azure = adapter(&config(&server.uri()));
    (server, azure)
}

pub fn bearer(token: &str) -> Credential {
    Credential::Bearer { token: token.into(), azure_access_token: None }
}

pub fn basic(pat: &str) -> Credential {
    Credential::Basic { pat: pat.into() }
}

pub async fn usuario(azure: &AzureDevOps, credential: Credential) -> Result<Usuario, Error> {
    azure.authenticate(Some(credential)).await.map(|caller| caller.usuario)
}

pub fn fixture_json(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name).with_extension("json");
    serde_json::from_slice(&std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))).unwrap()
}

/// The response of a fixture.
pub fn fixture(name: &str) -> ResponseTemplate {
    let response = &fixture_json(name)["response"];
    let mut template = ResponseTemplate::new(response["status"].as_u64().unwrap().try_into().unwrap_or(500));
    for (name, value) in response["headers"].as_object().unwrap() {
        let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        for value in values.iter().filter(|_| !name.eq_ignore_ascii_case("content-length")) {
            template = template.append_header(name.as_str(), value.as_str().unwrap());
        }
    }
    let body = match &response["body"] {
        Value::String(text) => text.clone(),
        json => json.to_string(),
    };
    match response["headers"]["Content-Type"].as_str() {
        Some(kind) => template.set_body_raw(body, kind),
        None => template,
    }
}

/// The `connectionData` response for the user of the fixtures, modified by `change`.
pub fn identity_with(change: impl FnOnce(&mut Value)) -> ResponseTemplate {
    let mut body = fixture_json("connectiondata_200_entra_user")["response"]["body"].take();
    change(&mut body);
    ResponseTemplate::new(200).set_body_json(body)
}

/// Makes `server` respond with `response` to every GET of `at`.
pub async fn respond(server: &MockServer, at: &str, response: ResponseTemplate) {
    Mock::given(method("GET")).and(path(at)).respond_with(response).mount(server).await;
}

/// Makes `server` accept the PAT and no other credential.
pub async fn know_the_pat(server: &MockServer) {
    know(server, basic_auth("", PAT), "connectiondata_200_entra_user").await;
    respond(server, CONNECTION_DATA, fixture("unauthorized_401_suppress_empty")).await;
}

/// Makes `server` respond with a fixture to requests that match `authorization`.
pub async fn know(server: &MockServer, authorization: impl Match + 'static, name: &str) {
    Mock::given(method("GET"))
        .and(path(CONNECTION_DATA))
        .and(authorization)
        .respond_with(fixture(name))
        .mount(server)
        .await;
}

pub fn as_bearer(token: &str) -> impl Match + use<> {
    header("authorization", format!("Bearer {token}").as_str())
}

/// The number of requests for `at`.
pub async fn calls(server: &MockServer, at: &str) -> usize {
    server.received_requests().await.unwrap().iter().filter(|request| request.url.path() == at).count()
}

/// Waits until `condition` holds, and fails after some seconds.
pub async fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    let end = tokio::time::Instant::now() + Duration::from_secs(10);
    while !condition().await {
        assert!(tokio::time::Instant::now() < end, "it never came true");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for all `tasks` and returns their results in order.
///
/// It waits in a task of its own. Awaiting many finished tasks in the test would use up the test's cooperative budget
/// (<https://docs.rs/tokio/latest/tokio/task/coop/index.html>). `MockServer` blocks on a lock of tokio when it is dropped,
/// and without budget that never ends.
pub async fn join_all<T: Send + 'static>(tasks: Vec<tokio::task::JoinHandle<T>>) -> Vec<T> {
    let join = async move {
        let mut results = Vec::with_capacity(tasks.len());
        for task in tasks {
            results.push(task.await.unwrap());
        }
        results
    };
    tokio::spawn(join).await.unwrap()
}

/// A token with these claims, signed with HS256 by `key`.
pub fn signed(key: &str, claims: &Value) -> String {
    let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let text = format!("{}.{}", encoded(&json!({"typ": "JWT", "alg": "HS256"})), encoded(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// The kind of an error in one word.
pub fn kind(error: &Error) -> &'static str {
    match error {
        Error::CredentialMissing => "missing",
        Error::CredentialRejected => "rejected",
        Error::Forbidden => "forbidden",
        Error::Unavailable { service: Service::AzureDevOps, .. } => "unavailable",
        Error::Overloaded { .. } => "overloaded",
        Error::TimedOut { service: Service::AzureDevOps, .. } => "timed out",
        Error::BadUpstream { service: Service::AzureDevOps, .. } => "bad upstream",
        _ => "another",
    }
}

/// The `Retry-After` of an error.
pub fn retry_after(error: &Error) -> Option<Duration> {
    match error {
        Error::Unavailable { retry_after, .. } => *retry_after,
        _ => None,
    }
}
