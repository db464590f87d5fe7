//! Without an organisation, the global profile service identifies the user.

use adapters_azure::{AzureConfig, AzureDevOps, ServiceUrl};
use domain::{AzureProjectId, Conflict, Error, ProjectDirectory, Usuario};
use serde_json::json;
use wiremock::matchers::{basic_auth, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{PAT, adapter, bearer, config, fixture, kind, respond, usuario};

const PROFILE: &str = "/_apis/profile/profiles/me";

async fn profile_service() -> (MockServer, AzureDevOps) {
    let server = MockServer::start().await;
    let profile_base_url = Some(ServiceUrl::parse(&server.uri()).unwrap());
    let config = AzureConfig { org_url: None, profile_base_url, ..config(&server.uri()) };
    (server, adapter(&config))
}

#[tokio::test]
async fn profile_response_identifies_the_user() {
    let (server, azure) = profile_service().await;
    Mock::given(method("GET"))
        .and(path(PROFILE))
        .and(query_param("api-version", "7.1"))
        .and(basic_auth("", PAT))
        .respond_with(fixture("profile_me_200"))
        .expect(1)
        .mount(&server)
        .await;

    let user = usuario(&azure, bearer(PAT)).await.unwrap();

    let expected = Usuario {
        id: "dc410246-b8aa-51f6-984b-121b535dcd6c".to_owned(),
        display_name: "Ana Lima".to_owned(),
        email: Some("ana.lima@contoso.example".to_owned()),
    };
    assert_eq!(user, expected);
}

#[tokio::test]
async fn profile_rejection_is_rejected() {
    let cases = [
        ("rejected", fixture("profile_me_401_org_scoped_pat")),
        ("rejected", fixture("signin_302_rejected_credential")),
        ("rejected", ResponseTemplate::new(200).set_body_json(json!({"id": "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"}))),
        ("rejected", ResponseTemplate::new(200).set_body_json(json!({"id": "00000000-0000-0000-0000-000000000000"}))),
        ("bad upstream", ResponseTemplate::new(200).set_body_json(json!({"displayName": "Ana Lima"}))),
        ("bad upstream", ResponseTemplate::new(200).set_body_json(json!({"id": "me"}))),
    ];
    for (expected, refusal) in cases {
        let (server, azure) = profile_service().await;
        respond(&server, PROFILE, refusal).await;

        assert_eq!(kind(&usuario(&azure, bearer(PAT)).await.unwrap_err()), expected);
    }
}

#[tokio::test]
async fn projects_without_organisation_are_a_conflict() {
    let (server, azure) = profile_service().await;
    let id = AzureProjectId::parse("ad70e5d0-def2-5124-bbdb-f6c44b2d056e").unwrap();

    let errors = [
        azure.list(bearer(PAT)).await.unwrap_err(),
        azure.list_raw(bearer(PAT)).await.unwrap_err(),
        azure.find(bearer(PAT), id).await.unwrap_err(),
    ];

    for error in errors {
        assert!(matches!(error, Error::Conflict(Conflict::SemOrganizacao)), "{error:?}");
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 0);
}
