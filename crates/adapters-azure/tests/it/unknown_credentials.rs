//! Unknown credentials and single users cannot exhaust the capacity for calls of other users.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use adapters_azure::{AppKey, AzureConfig, AzureDevOps, BreakerConfig};
use domain::{AzureProjectId, Credential, Error, ProjectDirectory, Usuario};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use uuid::Uuid;
use wiremock::matchers::{any, basic_auth};
use wiremock::{Mock, MockServer};

use crate::support::{
    CONNECTION_DATA, JWT, NOW, PAT, adapter, as_bearer, basic, bearer, calls, config, fixture, fixture_json, join_all,
    kind, know, respond, signed, until, usuario,
};

/// The duration of every call.
const CALL: Duration = Duration::from_millis(200);
const CROWD: usize = 1_000;
/// Unknown credentials in flight and queued: 16 + 16 × 16.
const NEWCOMERS: usize = 272;

/// A slow organisation that knows Ana by her PAT and her access token.
async fn slow_azure(change: impl FnOnce(&mut AzureConfig)) -> (MockServer, AzureDevOps) {
    let server = MockServer::start().await;
    let mut config = config(&server.uri());
    config.timeouts.identity = Duration::from_secs(10);
    change(&mut config);
    let ana = fixture("connectiondata_200_entra_user").set_delay(CALL);
    Mock::given(basic_auth("", PAT)).respond_with(ana.clone()).mount(&server).await;
    Mock::given(as_bearer(JWT)).respond_with(ana).mount(&server).await;
    respond(&server, CONNECTION_DATA, fixture("unauthorized_401_suppress_empty").set_delay(CALL)).await;
    (server, adapter(&config))
}

/// Concurrent requests, each with its own token.
fn crowd(
    azure: &AzureDevOps,
    token: impl Fn(usize) -> Credential,
) -> Vec<tokio::task::JoinHandle<Result<Usuario, Error>>> {
    let ask = |n| {
        let (azure, credential) = (azure.clone(), token(n));
        tokio::spawn(async move { usuario(&azure, credential).await })
    };
    (0..CROWD).map(ask).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn known_user_is_not_delayed_by_a_thousand_unknown_credentials() {
    // Without a cache every request looks up its identity.
    let (server, azure) = slow_azure(|config| config.cache_ttl = Duration::ZERO).await;
    usuario(&azure, bearer(PAT)).await.unwrap();
    let before = calls(&server, CONNECTION_DATA).await;

    let unknown = crowd(&azure, |n| bearer(&format!("unknown.{n}.token")));
    until(async || before < calls(&server, CONNECTION_DATA).await).await;
    for _ in 0..5 {
        let began = Instant::now();
        usuario(&azure, bearer(PAT)).await.unwrap();
        // The queue of unknown credentials takes more than three seconds.
        assert!(began.elapsed() < CALL * 5, "it took {:?}", began.elapsed());
    }

    let (mut rejected, mut queue_full) = (0, 0);
    for result in join_all(unknown).await {
        match kind(&result.unwrap_err()) {
            "rejected" => rejected += 1,
            "overloaded" => queue_full += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!(rejected + queue_full, CROWD);
    assert!(0 < rejected && CROWD / 2 < queue_full, "{rejected} rejected, {queue_full} without a slot");
    let caused = calls(&server, CONNECTION_DATA).await - before - 5;
    // Slots are reused while the crowd arrives: one call per rejected credential.
    assert_eq!(caused, rejected, "a token in the format of a JWT costs one call");
    assert!(caused <= NEWCOMERS * 2, "{caused} calls");
}

/// The access tokens of the extension change every hour, so a known user often presents a new one.
#[tokio::test(flavor = "multi_thread")]
async fn app_token_of_known_user_gives_priority_to_one_lookup_at_a_time() {
    let tokens = fixture_json("tokens");
    let (key, claims) = (tokens["secret"].as_str().unwrap(), tokens["app_token_claims"].clone());
    let keys = format!("{key}:{}", claims["aud"].as_str().unwrap());
    let (server, azure) =
        slow_azure(|config| config.extension_app_keys = AppKey::parse_list(&keys.into()).unwrap()).await;
    let with = |access: &str| Credential::Bearer {
        token: tokens["app_token_valid"].as_str().unwrap().into(),
        azure_access_token: Some(access.into()),
    };
    usuario(&azure, with(JWT)).await.unwrap();
    let next = signed("a key of thirty-two characters .", &json!({"exp": NOW + 600}));
    server.reset().await;
    know(&server, as_bearer(&next), "connectiondata_200_entra_user").await;
    respond(&server, CONNECTION_DATA, fixture("unauthorized_401_suppress_empty").set_delay(CALL)).await;

    // The crowd sends Ana's app token with forged access tokens. It gets at most one slot of the users' bulkhead.
    let unknown = crowd(&azure, |n| with(&format!("made.up.{n}")));
    until(async || 16 < calls(&server, CONNECTION_DATA).await).await;
    let most = calls(&server, CONNECTION_DATA).await;
    assert!(most <= 17 * 3, "{most} calls at once");
    let signed_in = async || usuario(&azure, with(&next)).await;
    until(async || signed_in().await.is_ok()).await;

    let mut rejected = 0;
    for result in join_all(unknown).await {
        rejected += usize::from(kind(&result.unwrap_err()) == "rejected");
    }
    assert!(rejected <= NEWCOMERS * 2, "{rejected}");
}

/// A server that closes the connection on tokens with the prefix `evil`, as proxies do on long headers, and accepts all
/// other tokens.
async fn closing_server() -> (String, Arc<AtomicUsize>) {
    let body = fixture_json("connectiondata_200_entra_user")["response"]["body"].to_string();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let closed = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&closed);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 8192];
            let read = stream.read(&mut request).await.unwrap_or(0);
            if String::from_utf8_lossy(&request[..read]).contains("Bearer evil") {
                counter.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n", body.len());
            let _ = stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes()).await;
        }
    });
    (uri, closed)
}

#[tokio::test]
async fn unknown_tokens_that_break_connections_do_not_open_the_users_breaker() {
    let (uri, closed) = closing_server().await;
    let mut config = config(&uri);
    config.cache_ttl = Duration::ZERO;
    config.breaker = BreakerConfig { failure_threshold: 3, open_duration: Duration::from_mins(1) };
    let azure = adapter(&config);
    usuario(&azure, bearer(PAT)).await.unwrap();

    for n in 0..20 {
        let error = usuario(&azure, bearer(&format!("evil.{n}.token"))).await.unwrap_err();
        assert_eq!(kind(&error), "unavailable");
        usuario(&azure, bearer(PAT)).await.unwrap();
    }
    assert!(closed.load(Ordering::SeqCst) <= 5, "the breaker for unknown credentials opens after three failures");
    assert_eq!(kind(&usuario(&azure, basic("newcomer")).await.unwrap_err()), "unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn project_queries_of_one_user_do_not_block_another_user() {
    let (server, azure) = slow_azure(|_| {}).await;
    server.reset().await;
    know(&server, basic_auth("", "rui"), "connectiondata_200_msa_user").await;
    respond(&server, CONNECTION_DATA, fixture("connectiondata_200_entra_user")).await;
    // Every other path is a slow 404 of a project.
    Mock::given(any()).respond_with(fixture("project_404").set_delay(CALL)).with_priority(10).mount(&server).await;
    usuario(&azure, bearer(PAT)).await.unwrap();
    usuario(&azure, basic("rui")).await.unwrap();
    let id = || AzureProjectId::new(Uuid::now_v7()).unwrap();

    let greedy: Vec<_> = (0..500)
        .map(|_| {
            let azure = azure.clone();
            tokio::spawn(async move { azure.find(bearer(PAT), id()).await })
        })
        .collect();
    tokio::time::sleep(CALL / 2).await;
    for _ in 0..3 {
        let began = Instant::now();
        assert_eq!(azure.find(basic("rui"), id()).await.unwrap(), None);
        assert!(began.elapsed() < CALL * 5, "it took {:?}", began.elapsed());
    }

    let mut found = 0;
    for result in join_all(greedy).await {
        match result {
            Ok(None) => found += 1,
            // The deadline may pass at the end of the queue.
            Err(error) => assert!(["overloaded", "timed out"].contains(&kind(&error)), "{error}"),
            Ok(Some(_)) => panic!("there is none"),
        }
    }
    assert!((4..=150).contains(&found), "{found} look-ups of one user were sent");
}
