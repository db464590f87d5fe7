//! What strangers and single users cannot do to the others: fill the way to Azure.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use adapters_azure::{AppKey, AzureConfig, AzureDevOps, Breaking};
use domain::{AzureProjectId, Credential, Error, ProjectDirectory, Usuario};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use uuid::Uuid;
use wiremock::matchers::{any, basic_auth};
use wiremock::{Mock, MockServer};

use crate::support::{
    CONNECTION_DATA, JWT, NOW, PAT, adapter, answer, as_bearer, basic, bearer, calls, config, fixture, fixture_json,
    kind, know, signed, until, usuario,
};

/// How long Azure takes for every call.
const CALL: Duration = Duration::from_millis(200);
const STRANGERS: usize = 3_000;
/// Newcomers on their way and in line: 16 + 16 × 16.
const NEWCOMERS: usize = 272;

/// An organisation that takes its time, and knows Ana by her PAT and by her access token.
async fn slow_azure(change: impl FnOnce(&mut AzureConfig)) -> (MockServer, AzureDevOps) {
    let server = MockServer::start().await;
    let mut config = config(&server.uri());
    config.timeouts.identity = Duration::from_secs(10);
    change(&mut config);
    let ana = fixture("connectiondata_200_entra_user").set_delay(CALL);
    Mock::given(basic_auth("", PAT)).respond_with(ana.clone()).mount(&server).await;
    Mock::given(as_bearer(JWT)).respond_with(ana).mount(&server).await;
    answer(&server, CONNECTION_DATA, fixture("unauthorized_401_suppress_empty").set_delay(CALL)).await;
    (server, adapter(&config))
}

/// Many at once, each with a token of its own.
fn crowd(
    azure: &AzureDevOps,
    token: impl Fn(usize) -> Credential,
) -> Vec<tokio::task::JoinHandle<Result<Usuario, Error>>> {
    let ask = |n| {
        let (azure, credential) = (azure.clone(), token(n));
        tokio::spawn(async move { usuario(&azure, credential).await })
    };
    (0..STRANGERS).map(ask).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_strangers_do_not_delay_a_user_whose_identity_has_expired() {
    // Without a cache every identity has expired by its next request.
    let (server, azure) = slow_azure(|config| config.cache_ttl = Duration::ZERO).await;
    usuario(&azure, bearer(PAT)).await.unwrap();
    let before = calls(&server, CONNECTION_DATA).await;

    let strangers = crowd(&azure, |n| bearer(&format!("stranger.{n}.token")));
    until(async || before < calls(&server, CONNECTION_DATA).await).await;
    for _ in 0..5 {
        let began = Instant::now();
        usuario(&azure, bearer(PAT)).await.unwrap();
        // The queue of strangers takes more than three seconds, and took ten before it had an end.
        assert!(began.elapsed() < CALL * 5, "it took {:?}", began.elapsed());
    }

    let (mut rejected, mut turned_away) = (0, 0);
    for stranger in strangers {
        match kind(&stranger.await.unwrap().unwrap_err()) {
            "rejected" => rejected += 1,
            "unavailable" => turned_away += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!(rejected + turned_away, STRANGERS);
    assert!(0 < rejected && STRANGERS / 2 < turned_away, "{rejected} rejected, {turned_away} turned away");
    let caused = calls(&server, CONNECTION_DATA).await - before - 5;
    // While the crowd arrives some are done already, whose places others take: one call for each that was rejected.
    assert_eq!(caused, rejected, "a token with the shape of a JWT costs one call");
    assert!(caused <= NEWCOMERS * 2, "{caused} calls");
}

/// The extension's access tokens change every hour: its user is no stranger with the next one.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_token_of_a_user_puts_a_new_access_token_ahead_of_strangers_one_at_a_time() {
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
    answer(&server, CONNECTION_DATA, fixture("unauthorized_401_suppress_empty").set_delay(CALL)).await;

    // The crowd has Ana's app token too, and made-up access tokens: it gets no more than one place of the users' lane.
    let strangers = crowd(&azure, |n| with(&format!("made.up.{n}")));
    until(async || 16 < calls(&server, CONNECTION_DATA).await).await;
    let most = calls(&server, CONNECTION_DATA).await;
    assert!(most <= 17 * 3, "{most} calls at once");
    let signed_in = async || usuario(&azure, with(&next)).await;
    until(async || signed_in().await.is_ok()).await;

    let mut rejected = 0;
    for stranger in strangers {
        rejected += usize::from(kind(&stranger.await.unwrap().unwrap_err()) == "rejected");
    }
    assert!(rejected <= NEWCOMERS * 2, "{rejected}");
}

/// A server that answers tokens which begin with `evil` by closing the connection, as proxies do with headers that are
/// too long, and knows everybody else.
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
async fn tokens_that_break_connections_open_no_breaker_for_users() {
    let (uri, closed) = closing_server().await;
    let mut config = config(&uri);
    config.cache_ttl = Duration::ZERO;
    config.breaking = Breaking { after: 3, pause: Duration::from_mins(1) };
    let azure = adapter(&config);
    usuario(&azure, bearer(PAT)).await.unwrap();

    for n in 0..20 {
        let error = usuario(&azure, bearer(&format!("evil.{n}.token"))).await.unwrap_err();
        assert_eq!(kind(&error), "unavailable");
        usuario(&azure, bearer(PAT)).await.unwrap();
    }
    assert!(closed.load(Ordering::SeqCst) <= 5, "newcomers are held back after three failures");
    assert_eq!(kind(&usuario(&azure, basic("newcomer")).await.unwrap_err()), "unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_user_cannot_fill_the_way_to_the_projects() {
    let (server, azure) = slow_azure(|_| {}).await;
    server.reset().await;
    know(&server, basic_auth("", "rui"), "connectiondata_200_msa_user").await;
    answer(&server, CONNECTION_DATA, fixture("connectiondata_200_entra_user")).await;
    // Every other path is a project that takes its time and does not exist.
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
    for question in greedy {
        match question.await.unwrap() {
            Ok(None) => found += 1,
            // At the end of the queue the time of the call itself may be up.
            Err(error) => assert!(["unavailable", "timed out"].contains(&kind(&error)), "{error}"),
            Ok(Some(_)) => panic!("there is none"),
        }
    }
    assert!((4..=150).contains(&found), "{found} of one user's questions were asked");
}
