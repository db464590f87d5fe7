//! `APP_TOKEN_ALONE=members`: an app token without an access token, for active members of the organisation.

use std::time::Duration;

use adapters_azure::{AppKey, AzureConfig, AzureDevOps};
use domain::{AzureProjectId, Credential, DeletionEvidence, IdentityProvider, ProjectDirectory};
use serde_json::{Value, json};
use wiremock::matchers::{basic_auth, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{
    CONNECTION_DATA, JWT, NOW, adapter, basic, bearer, calls, config, fixture, fixture_json, kind, know, respond,
    signed, until, usuario,
};

const ANA: &str = "cdbc0002-5e61-5e97-84f7-32df35fb8951";
/// The PAT of the service.
const SERVICE: &str = "service-pat";
const MEMBER: &str = "/contoso-lab/_apis/userentitlements/cdbc0002-5e61-5e97-84f7-32df35fb8951";

fn app_token() -> String {
    fixture_json("tokens")["app_token_valid"].as_str().unwrap().to_owned()
}

fn config_with_members(base: &str) -> AzureConfig {
    let tokens = fixture_json("tokens");
    let keys =
        format!("{}:{}", tokens["secret"].as_str().unwrap(), tokens["app_token_claims"]["aud"].as_str().unwrap());
    let extension_app_keys = AppKey::parse_list(&keys.into()).unwrap();
    AzureConfig { extension_app_keys, members_pat: Some(SERVICE.into()), ..config(base) }
}

async fn azure() -> (MockServer, AzureDevOps) {
    let server = MockServer::start().await;
    let azure = adapter(&config_with_members(&server.uri()));
    (server, azure)
}

/// The entitlement of an active member, modified by `change`.
fn member(change: impl FnOnce(&mut Value)) -> ResponseTemplate {
    let mut body = json!({
        "id": ANA,
        "user": {
            "subjectKind": "user", "metaType": "member", "principalName": "ana.lima@contoso.example",
            "mailAddress": "ana.lima@contoso.example", "origin": "aad", "displayName": "Ana Lima",
        },
        "accessLevel": {"licensingSource": "account", "accountLicenseType": "express", "status": "active"},
        "lastAccessedDate": "0001-01-01T00:00:00Z",
        "projectEntitlements": [],
    });
    change(&mut body);
    ResponseTemplate::new(200).set_body_json(body)
}

#[tokio::test]
async fn active_member_is_accepted_and_looked_up_with_the_service_pat() {
    let (server, azure) = azure().await;
    Mock::given(method("GET"))
        .and(path(MEMBER))
        .and(query_param("api-version", "7.1-preview.3"))
        .and(basic_auth("", SERVICE))
        .respond_with(member(|_| {}))
        .expect(1)
        .mount(&server)
        .await;
    assert!(!azure.recently_accepted(&bearer(&app_token())));

    for _ in 0..3 {
        let user = usuario(&azure, bearer(&app_token())).await.unwrap();
        assert_eq!((user.id.as_str(), user.display_name.as_str()), (ANA, "Ana Lima"));
        assert_eq!(user.email.as_deref(), Some("ana.lima@contoso.example"));
    }
    assert!(azure.recently_accepted(&bearer(&app_token())));
    assert_eq!(server.received_requests().await.unwrap().len(), 1, "it is cached");
}

#[tokio::test]
async fn inactive_member_is_rejected_and_the_rejection_is_cached() {
    let statuses = ["none", "disabled", "deleted", "pending", "expired", "pendingDisabled", "new", ""];
    let mut cases: Vec<_> = statuses.map(|status| member(|body| body["accessLevel"]["status"] = json!(status))).into();
    cases.push(member(|body| body["accessLevel"] = Value::Null));
    cases.push(member(|body| drop(body.as_object_mut().unwrap().remove("accessLevel"))));
    let gone = json!({"$id": "1", "message": "VS403283", "typeKey": "MemberNotFoundException", "errorCode": 0});
    cases.push(ResponseTemplate::new(404).set_body_json(gone));
    for (n, refusal) in cases.into_iter().enumerate() {
        let (server, azure) = azure().await;
        respond(&server, MEMBER, refusal).await;

        for _ in 0..3 {
            assert_eq!(kind(&usuario(&azure, bearer(&app_token())).await.unwrap_err()), "rejected", "{n}");
        }
        assert_eq!(calls(&server, MEMBER).await, 1, "{n}");
        assert!(!azure.recently_accepted(&bearer(&app_token())));
    }
}

#[tokio::test]
async fn member_lookup_failure_is_neither_accepted_nor_rejected() {
    let cases = [
        ("the service's token is rejected", fixture("unauthorized_401_suppress_empty"), "bad upstream"),
        ("it may not read members", fixture("error_403_permission"), "bad upstream"),
        ("it leads to a sign-in page", fixture("signin_302_rejected_credential"), "bad upstream"),
        ("the organisation is unknown", fixture("error_404_org"), "bad upstream"),
        ("a bare 404", ResponseTemplate::new(404), "bad upstream"),
        ("another member", member(|body| body["id"] = json!("dc3254b4-4789-51e7-a136-429113d54dc9")), "bad upstream"),
        ("no id", member(|body| body["id"] = Value::Null), "bad upstream"),
        ("nothing", ResponseTemplate::new(200).set_body_json(Value::Null), "bad upstream"),
        ("unavailable", fixture("unavailable_503_json"), "unavailable"),
        ("throttled", fixture("ratelimit_429"), "unavailable"),
        ("slow", member(|_| {}).set_delay(Duration::from_mins(1)), "timed out"),
    ];
    for (name, response, expected) in cases {
        let server = MockServer::start().await;
        let mut config = config_with_members(&server.uri());
        config.timeouts.attempt = Duration::from_millis(500);
        let azure = adapter(&config);
        respond(&server, MEMBER, response).await;

        assert_eq!(kind(&usuario(&azure, bearer(&app_token())).await.unwrap_err()), expected, "{name}");
    }
}

#[tokio::test]
async fn removed_member_is_rejected_after_cache_ttl() {
    let server = MockServer::start().await;
    let azure = adapter(&AzureConfig { cache_ttl: Duration::from_millis(50), ..config_with_members(&server.uri()) });
    respond(&server, MEMBER, member(|_| {})).await;
    usuario(&azure, bearer(&app_token())).await.unwrap();

    server.reset().await;
    respond(&server, MEMBER, member(|body| body["accessLevel"]["status"] = json!("deleted"))).await;

    until(async || usuario(&azure, bearer(&app_token())).await.is_err()).await;
    assert!(!azure.recently_accepted(&bearer(&app_token())));
}

#[tokio::test]
async fn member_with_invalid_app_token_or_access_token_is_rejected() {
    let (server, azure) = azure().await;
    respond(&server, MEMBER, member(|_| {})).await;
    respond(&server, CONNECTION_DATA, fixture("unauthorized_401_suppress_empty")).await;
    usuario(&azure, bearer(&app_token())).await.unwrap();

    let tokens = fixture_json("tokens");
    let mut claims = tokens["app_token_claims"].clone();
    claims["exp"] = json!(NOW - 60);
    for token in [
        signed(tokens["secret"].as_str().unwrap(), &claims),
        signed("a key of thirty-two characters .", &tokens["app_token_claims"]),
    ] {
        assert_eq!(kind(&usuario(&azure, bearer(&token)).await.unwrap_err()), "rejected");
    }
    let with_access = Credential::Bearer { token: app_token().into(), azure_access_token: Some(JWT.into()) };
    assert_eq!(kind(&usuario(&azure, with_access).await.unwrap_err()), "rejected");
}

#[tokio::test]
async fn member_without_access_token_is_forbidden_to_query_projects() {
    let (server, azure) = azure().await;
    respond(&server, MEMBER, member(|_| {})).await;
    let id = AzureProjectId::parse("ad70e5d0-def2-5124-bbdb-f6c44b2d056e").unwrap();

    assert_eq!(kind(&azure.list(bearer(&app_token())).await.unwrap_err()), "forbidden");
    assert_eq!(kind(&azure.list_raw(bearer(&app_token())).await.unwrap_err()), "forbidden");
    assert_eq!(kind(&azure.find(bearer(&app_token()), id).await.unwrap_err()), "forbidden");
    assert_eq!(azure.confirm_deleted(bearer(&app_token()), vec![id], DeletionEvidence::NotFound).await, []);
    let requests = server.received_requests().await.unwrap();
    assert!(requests.iter().all(|request| request.url.path() == MEMBER));
}

#[tokio::test]
async fn check_members_looks_up_the_owner_of_the_pat() {
    let (server, azure) = azure().await;
    know(&server, basic_auth("", SERVICE), "connectiondata_200_entra_user").await;
    assert_eq!(kind(&azure.check_members(basic(SERVICE)).await.unwrap_err()), "bad upstream");

    respond(&server, MEMBER, member(|_| {})).await;
    azure.check_members(basic(SERVICE)).await.unwrap();
}
