//! The rate limit of each authenticated person.

use std::sync::Arc;
use std::time::Instant;

use actix_web::test::TestRequest;
use async_trait::async_trait;
use domain::testing::maria;
use domain::{Caller, Credential, Error, IdentityProvider, Usuario};
use http_api::AppState;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::support::{Response, TestApp, send};

const PATH: &str = "/api/v1/projetos";
const TEXT: &str = "Requisições demais; tente novamente em instantes";

/// Tokens `<person>-<anything>`: each person has any number of them.
struct Persons;

#[async_trait]
impl IdentityProvider for Persons {
    async fn authenticate(&self, credential: Option<Credential>) -> Result<Caller, Error> {
        let Some(Credential::Bearer { token, .. }) = credential else { return Err(Error::CredentialMissing) };
        let person = token.expose_secret().split('-').next().unwrap().to_owned();
        Ok(Caller { usuario: Usuario { id: person, ..maria().usuario }, ..maria() })
    }

    fn recently_accepted(&self, _: &Credential) -> bool {
        true
    }
}

/// The application with a limit that no test waits for: one request per second.
fn limited(burst: u32) -> AppState {
    let mut test_app = TestApp { identity: Arc::new(Persons), ..TestApp::new() };
    test_app.projetos.expect_list().returning(|_| Ok(vec![].into()));
    test_app.readiness.expect_check().returning(|| Ok(()));
    test_app.state().with_rate_per_person(format!("1/s;{burst}").parse().unwrap(), None)
}

async fn get(state: &AppState, path: &str, token: &str) -> Response<Vec<u8>> {
    let request = TestRequest::get().uri(path).insert_header(("authorization", format!("Bearer {token}")));
    send(state, request).await
}

/// Sends requests until the first 429. Returns the number of those before it.
async fn exhaust(state: &AppState, token: &str) -> (u64, Response<Vec<u8>>) {
    for number in 0.. {
        let response = get(state, PATH, token).await;
        if response.status == 429 {
            return (number, response);
        }
        assert_eq!(response.status, 200);
    }
    unreachable!("nothing is refused")
}

#[actix_web::test]
async fn person_over_the_rate_gets_429_with_the_time_to_wait() {
    let (state, started) = (limited(20), Instant::now());

    let (served, refused) = exhaust(&state, "ana-1").await;

    assert!((21..=22 + started.elapsed().as_secs()).contains(&served), "{served} in {:?}", started.elapsed());
    let body: Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(body, json!({"detail": TEXT, "message": TEXT}));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("cache-control"), Some("no-store"));
    assert_eq!(refused.header("ratelimit-policy"), Some(r#""pessoa";q=21;w=21"#));
    assert_eq!(refused.header("ratelimit"), Some(r#""pessoa";r=0;t=21"#));
}

#[actix_web::test]
async fn tokens_of_a_person_share_a_rate_and_persons_do_not() {
    let state = limited(1000);

    let first = get(&state, PATH, "ana-1").await;
    let second = get(&state, PATH, "ana-2").await;
    let other = get(&state, PATH, "bia-1").await;

    let left = |response: &Response<Vec<u8>>| {
        let field = response.header("ratelimit").unwrap().to_owned();
        field.strip_prefix(r#""pessoa";r="#).unwrap().split(';').next().unwrap().parse::<u32>().unwrap()
    };
    assert_eq!(first.header("ratelimit-policy"), Some(r#""pessoa";q=1001;w=1001"#));
    assert_eq!((left(&first), left(&other)), (1000, 1000));
    // One more if a second has passed in between.
    assert!([999, 1000].contains(&left(&second)), "{}", left(&second));
    exhaust(&limited(0), "ana-1").await;
    assert_eq!(get(&state, PATH, "bia-2").await.status, 200);
}

#[actix_web::test]
async fn problem_details_and_cors_apply_to_the_rejection() {
    let state = limited(0);
    exhaust(&state, "ana-1").await;
    let request = TestRequest::get().uri(PATH).insert_header(("authorization", "Bearer ana-1"));
    let request = request.insert_header(("accept", "application/problem+json"));

    let refused = send(&state, request.insert_header(("origin", "https://ms.gallerycdn.vsassets.io"))).await;

    assert_eq!((refused.status.as_u16(), refused.header("content-type")), (429, Some("application/problem+json")));
    let problem: Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!((&problem["detail"], &problem["instance"]), (&json!(TEXT), &json!(PATH)));
    let exposed = refused.header("access-control-expose-headers").unwrap();
    assert!(["ratelimit", "ratelimit-policy", "retry-after"].iter().all(|name| exposed.contains(name)), "{exposed}");
}

#[actix_web::test]
async fn public_and_unknown_paths_have_no_limit() {
    let state = limited(0);
    exhaust(&state, "ana-1").await;

    for (path, status) in
        [("/health", 200), ("/healthz", 200), ("/openapi.json", 200), ("/api/v1", 200), ("/api/v1/nada", 404)]
    {
        for _ in 0..3 {
            let response = get(&state, path, "ana-1").await;
            assert_eq!((response.status.as_u16(), response.header("ratelimit")), (status, None), "{path}");
        }
    }
}

#[actix_web::test]
async fn requests_without_a_valid_credential_take_no_quota() {
    let state = limited(0);

    for _ in 0..3 {
        let response = send(&state, TestRequest::get().uri(PATH)).await;
        assert_eq!((response.status.as_u16(), response.header("ratelimit")), (401, None));
    }
}
