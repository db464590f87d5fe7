//! App tokens: verified locally, never sent to Azure DevOps, accepted only with an access token of the same user.

use std::time::Duration;

use adapters_azure::{AppKey, AzureConfig, AzureDevOps, ServiceUrl};
use domain::{AzureProjectId, Credential, DeletionEvidence, ProjectDirectory, Usuario};
use serde_json::{Value, json};
use wiremock::matchers::basic_auth;
use wiremock::{Mock, MockServer};

use crate::support::{
    CONNECTION_DATA, JWT, NOW, PAT, PROJECTS, adapter, as_bearer, bearer, calls, config, fixture, fixture_json, kind,
    know, respond, signed, usuario,
};

const ANA: &str = "cdbc0002-5e61-5e97-84f7-32df35fb8951";
const OTHER_KEY: &str = "another key for the other extension";
const OTHER_AUDIENCE: &str = "b15e8128-c559-581e-8fc7-3e784c36bc42";

fn tokens() -> Value {
    fixture_json("tokens")
}

fn key() -> String {
    tokens()["secret"].as_str().unwrap().to_owned()
}

/// A modification of claims.
type Change = fn(&mut Value);

/// The claims of a valid token, modified by `change`.
fn claims(change: impl FnOnce(&mut Value)) -> Value {
    let mut claims = tokens()["app_token_claims"].take();
    change(&mut claims);
    claims
}

fn config_with_keys(base: &str) -> AzureConfig {
    let audience = tokens()["app_token_claims"]["aud"].as_str().unwrap().to_owned();
    let keys = format!("{}:{audience},{OTHER_KEY}:{OTHER_AUDIENCE}", key());
    let extension_app_keys = AppKey::parse_list(&keys.into()).unwrap();
    AzureConfig { extension_app_keys, ..config(base) }
}

async fn azure_with_keys() -> (MockServer, AzureDevOps) {
    let server = MockServer::start().await;
    let azure = adapter(&config_with_keys(&server.uri()));
    (server, azure)
}

fn with_access(app_token: &str, access_token: &str) -> Credential {
    Credential::Bearer { token: app_token.into(), azure_access_token: Some(access_token.into()) }
}

fn app_token() -> String {
    tokens()["app_token_valid"].as_str().unwrap().to_owned()
}

fn ana() -> Usuario {
    Usuario {
        id: ANA.to_owned(),
        display_name: "Ana Lima".to_owned(),
        email: Some("ana.lima@contoso.example".to_owned()),
    }
}

/// Valid app tokens in several notations.
fn good_tokens() -> [String; 6] {
    [
        app_token(),
        signed(&key(), &claims(|c| drop(c.as_object_mut().unwrap().remove("nbf")))),
        signed(&key(), &claims(|c| c["exp"] = json!(NOW - 50))),
        signed(&key(), &claims(|c| c["nbf"] = json!(NOW + 50))),
        signed(&key(), &claims(|c| c["nameid"] = json!(ANA.to_uppercase()))),
        signed(OTHER_KEY, &claims(|c| c["aud"] = json!(OTHER_AUDIENCE))),
    ]
}

#[tokio::test]
async fn app_token_with_access_token_of_same_user_is_accepted() {
    let (server, azure) = azure_with_keys().await;
    know(&server, as_bearer(JWT), "connectiondata_200_entra_user").await;

    for token in good_tokens() {
        assert_eq!(usuario(&azure, with_access(&token, JWT)).await.unwrap(), ana(), "{token}");
    }
    assert_eq!(calls(&server, CONNECTION_DATA).await, 1, "the identity is cached under the access token");
}

#[tokio::test]
async fn app_token_alone_is_rejected_without_a_call() {
    let (server, azure) = azure_with_keys().await;
    let id = AzureProjectId::parse("ad70e5d0-def2-5124-bbdb-f6c44b2d056e").unwrap();

    for token in good_tokens() {
        assert_eq!(kind(&usuario(&azure, bearer(&token)).await.unwrap_err()), "rejected", "{token}");
        assert_eq!(kind(&azure.list(bearer(&token)).await.unwrap_err()), "rejected");
        assert_eq!(kind(&azure.list_raw(bearer(&token)).await.unwrap_err()), "rejected");
        assert_eq!(kind(&azure.find(bearer(&token), id).await.unwrap_err()), "rejected");
        assert_eq!(azure.confirm_deleted(bearer(&token), vec![id], DeletionEvidence::NotFound).await, []);
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 0);
}

/// The verification of the app token is not cached, unlike the identity.
#[tokio::test]
async fn invalid_app_token_with_cached_identity_is_rejected() {
    let (server, azure) = azure_with_keys().await;
    know(&server, as_bearer(JWT), "connectiondata_200_entra_user").await;
    usuario(&azure, with_access(&app_token(), JWT)).await.unwrap();

    let expired = signed(&key(), &claims(|c| c["exp"] = json!(NOW - 60)));
    let of_another = signed(&key(), &claims(|c| c["nameid"] = json!("dc3254b4-4789-51e7-a136-429113d54dc9")));
    for token in [expired, of_another] {
        assert_eq!(kind(&usuario(&azure, with_access(&token, JWT)).await.unwrap_err()), "rejected");
    }
    for credential in [bearer(&app_token()), with_access(&app_token(), "")] {
        assert_eq!(kind(&usuario(&azure, credential).await.unwrap_err()), "rejected");
    }
}

/// The profile service has other user ids than an organisation, so it cannot confirm an app token.
#[tokio::test]
async fn app_token_without_organisation_is_rejected() {
    let server = MockServer::start().await;
    let profile_base_url = Some(ServiceUrl::parse(&server.uri()).unwrap());
    let config = AzureConfig { org_url: None, profile_base_url, ..config_with_keys(&server.uri()) };
    let azure = adapter(&config);

    for credential in [bearer(&app_token()), with_access(&app_token(), JWT)] {
        assert_eq!(kind(&usuario(&azure, credential).await.unwrap_err()), "rejected");
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn invalid_app_token_is_rejected_without_a_call() {
    let (server, azure) = azure_with_keys().await;
    let bad_claims: [(&str, Change); 15] = [
        ("expired", |c| c["exp"] = json!(NOW - 60)),
        ("not yet valid", |c| c["nbf"] = json!(NOW + 61)),
        ("an expiry that is no number", |c| c["exp"] = json!("1795504200")),
        ("no expiry", |c| drop(c.as_object_mut().unwrap().remove("exp"))),
        ("a start that is no number", |c| c["nbf"] = json!("0")),
        ("another issuer", |c| c["iss"] = json!("https://app.vstoken.visualstudio.com")),
        ("no issuer", |c| drop(c.as_object_mut().unwrap().remove("iss"))),
        ("an unknown audience", |c| c["aud"] = json!("00000000-0000-0000-0000-000000000001")),
        ("the audience of another key", |c| c["aud"] = json!(OTHER_AUDIENCE)),
        ("many audiences", |c| c["aud"] = json!([c["aud"].clone()])),
        ("no audience", |c| drop(c.as_object_mut().unwrap().remove("aud"))),
        ("no user", |c| drop(c.as_object_mut().unwrap().remove("nameid"))),
        ("a user without id", |c| c["nameid"] = json!("ana")),
        ("the nil user", |c| c["nameid"] = json!("00000000-0000-0000-0000-000000000000")),
        ("the anonymous user", |c| c["nameid"] = json!("aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa")),
    ];
    let mut bad: Vec<_> =
        bad_claims.into_iter().map(|(name, change)| (name.to_owned(), signed(&key(), &claims(change)))).collect();
    for name in ["wrong_secret", "expired", "wrong_aud", "wrong_iss", "no_exp"] {
        let name = format!("app_token_{name}");
        let token = tokens()[&name].as_str().unwrap().to_owned();
        bad.push((name, token));
    }
    let (unsigned, _) = app_token().rsplit_once('.').map(|(a, b)| (format!("{a}."), b.to_owned())).unwrap();
    bad.push(("no signature".to_owned(), unsigned));
    bad.push(("half a signature".to_owned(), app_token()[..app_token().len() - 20].to_owned()));

    for (name, token) in bad {
        for credential in [bearer(&token), with_access(&token, JWT)] {
            assert_eq!(kind(&usuario(&azure, credential.clone()).await.unwrap_err()), "rejected", "{name}");
            assert_eq!(kind(&azure.list(credential).await.unwrap_err()), "rejected", "{name}");
        }
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn jwt_not_signed_with_hs256_is_verified_by_azure() {
    let (server, azure) = azure_with_keys().await;
    respond(&server, CONNECTION_DATA, fixture("apptoken_as_bearer_203")).await;
    let none = tokens()["app_token_alg_none"].as_str().unwrap().to_owned();
    let (_, rest) = app_token().split_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let rs256 = format!("eyJhbGciOiJSUzI1NiJ9.{rest}");

    for token in [none, rs256] {
        assert_eq!(kind(&usuario(&azure, bearer(&token)).await.unwrap_err()), "rejected");
    }
}

#[tokio::test]
async fn app_token_without_configured_keys_is_rejected() {
    let server = MockServer::start().await;
    respond(&server, CONNECTION_DATA, fixture("apptoken_as_bearer_203")).await;
    let azure = adapter(&config(&server.uri()));

    assert_eq!(kind(&usuario(&azure, bearer(&app_token())).await.unwrap_err()), "rejected");
}

#[tokio::test]
async fn app_token_sent_as_basic_is_rejected() {
    let (server, azure) = azure_with_keys().await;
    respond(&server, CONNECTION_DATA, fixture("signin_203_html")).await;

    let error = usuario(&azure, Credential::Basic { pat: app_token().into() }).await.unwrap_err();

    assert_eq!(kind(&error), "rejected");
}

#[tokio::test]
async fn app_token_with_access_token_of_another_user_is_rejected() {
    let (server, azure) = azure_with_keys().await;
    know(&server, as_bearer(JWT), "connectiondata_200_msa_user").await;
    respond(&server, PROJECTS, fixture("projects_200")).await;
    let credential = with_access(&app_token(), JWT);

    assert_eq!(kind(&usuario(&azure, credential.clone()).await.unwrap_err()), "rejected");
    assert_eq!(kind(&azure.list(credential.clone()).await.unwrap_err()), "rejected");
    assert_eq!(kind(&azure.list_raw(credential).await.unwrap_err()), "rejected");
    assert_eq!(calls(&server, PROJECTS).await, 0);
}

#[tokio::test]
async fn app_token_with_refused_access_token_is_rejected_or_forbidden() {
    let cases = [
        ("unauthorized_401_suppress_empty", "rejected"),
        ("unauthorized_401_pat_revoked", "rejected"),
        ("signin_203_html", "rejected"),
        ("signin_302_rejected_credential", "rejected"),
        ("connectiondata_200_anonymous_bad_pat", "rejected"),
        // The organisation knows the user and denies access.
        ("error_403_permission", "forbidden"),
    ];
    for (refusal, expected) in cases {
        let (server, azure) = azure_with_keys().await;
        respond(&server, CONNECTION_DATA, fixture(refusal)).await;
        respond(&server, PROJECTS, fixture("projects_200")).await;
        let credential = with_access(&app_token(), JWT);

        assert_eq!(kind(&usuario(&azure, credential.clone()).await.unwrap_err()), expected, "{refusal}");
        assert_eq!(kind(&azure.list(credential).await.unwrap_err()), expected, "{refusal}");
        assert_eq!(calls(&server, PROJECTS).await, 0, "{refusal}");
    }
}

#[tokio::test]
async fn app_token_while_azure_fails_is_neither_accepted_nor_rejected() {
    let hanging = fixture("connectiondata_200_entra_user").set_delay(Duration::from_mins(1));
    let cases = [
        (fixture("unavailable_503_json"), "unavailable"),
        (fixture("ratelimit_429"), "unavailable"),
        (hanging, "timed out"),
        (fixture("error_500_not_transient"), "bad upstream"),
        (fixture("connectiondata_400_released_version"), "bad upstream"),
    ];
    for (response, expected) in cases {
        let server = MockServer::start().await;
        let mut config = config_with_keys(&server.uri());
        config.timeouts.attempt = Duration::from_millis(500);
        respond(&server, CONNECTION_DATA, response).await;

        let error = usuario(&adapter(&config), with_access(&app_token(), JWT)).await.unwrap_err();

        assert_eq!(kind(&error), expected);
    }
}

#[tokio::test]
async fn project_calls_with_app_token_send_only_the_access_token() {
    let (server, azure) = azure_with_keys().await;
    know(&server, as_bearer(JWT), "connectiondata_200_entra_user").await;
    Mock::given(as_bearer(JWT)).respond_with(fixture("projects_200")).expect(2).mount(&server).await;
    let credential = with_access(&app_token(), JWT);

    azure.list(credential.clone()).await.unwrap();
    azure.list_raw(credential).await.unwrap();
}

#[tokio::test]
async fn access_token_beside_a_pat_is_ignored() {
    let (server, azure) = azure_with_keys().await;
    know(&server, basic_auth("", PAT), "connectiondata_200_entra_user").await;

    let user = usuario(&azure, with_access(PAT, "ignored")).await.unwrap();

    assert_eq!(user.id, ANA);
    assert_eq!(calls(&server, CONNECTION_DATA).await, 1);
}
