//! Accepted and rejected credentials.

use domain::{IdentityProvider, Usuario};
use serde_json::{Value, json};
use wiremock::matchers::{basic_auth, header, method, path, query_param};
use wiremock::{Mock, ResponseTemplate};

use crate::support::{
    CONNECTION_DATA, JWT, PAT, adapter, as_bearer, azure, basic, bearer, calls, config, fixture, fixture_json,
    identity_with, kind, know, respond, usuario,
};

fn ana() -> Usuario {
    Usuario {
        id: "cdbc0002-5e61-5e97-84f7-32df35fb8951".to_owned(),
        display_name: "Ana Lima".to_owned(),
        email: Some("ana.lima@contoso.example".to_owned()),
    }
}

#[tokio::test]
async fn pat_lookup_sends_the_documented_request() {
    let (server, azure) = azure().await;
    Mock::given(method("GET"))
        .and(path(CONNECTION_DATA))
        .and(query_param("api-version", "7.1-preview.1"))
        .and(basic_auth("", PAT))
        .and(header("accept", "application/json"))
        .and(header("x-tfs-fedauthredirect", "Suppress"))
        .respond_with(fixture("connectiondata_200_entra_user"))
        .expect(1)
        .mount(&server)
        .await;

    let caller = azure.authenticate(Some(bearer(PAT))).await.unwrap();

    assert_eq!(caller.usuario, ana());
    assert!(caller.credential.is_some(), "it serves the calls to come");
}

#[tokio::test]
async fn suppress_header_is_omitted_if_disabled() {
    let (server, _) = azure().await;
    respond(&server, CONNECTION_DATA, fixture("connectiondata_200_entra_user")).await;
    let mut config = config(&server.uri());
    config.suppress_sign_in_redirect = false;

    usuario(&adapter(&config), bearer(PAT)).await.unwrap();

    let requests = server.received_requests().await.unwrap();
    assert!(!requests[0].headers.contains_key("x-tfs-fedauthredirect"));
}

#[tokio::test]
async fn valid_token_in_any_scheme_is_accepted_with_minimal_calls() {
    let pat_of_2024 = format!("{}AZDOwxYZ", "Ab9c".repeat(19));
    let cases = [
        ("a PAT as Basic", basic(PAT), PAT, false, 1),
        ("a PAT as Bearer", bearer(PAT), PAT, false, 1),
        ("a PAT of 2024 as Bearer", bearer(&pat_of_2024), pat_of_2024.as_str(), false, 1),
        ("an access token", bearer(JWT), JWT, true, 1),
        ("a PAT of another shape", bearer("another-shape"), "another-shape", false, 1),
        ("an access token of another shape", bearer("another-shape"), "another-shape", true, 2),
    ];
    for (name, credential, token, azure_takes_bearer, expected) in cases {
        let (server, azure) = azure().await;
        if azure_takes_bearer {
            know(&server, as_bearer(token), "connectiondata_200_entra_user").await;
        } else {
            know(&server, basic_auth("", token), "connectiondata_200_entra_user").await;
        }
        respond(&server, CONNECTION_DATA, fixture("unauthorized_401_suppress_empty")).await;

        assert_eq!(usuario(&azure, credential).await.unwrap(), ana(), "{name}");
        assert_eq!(calls(&server, CONNECTION_DATA).await, expected, "{name}");
    }
}

#[tokio::test]
async fn name_and_email_are_read_from_alternative_fields() {
    let cases = [
        ("connectiondata_200_custom_display_name", "Ana L.", Some("ana.lima@contoso.example")),
        ("connectiondata_200_msa_user", "Rui Costa", Some("rui@outlook.example")),
        ("connectiondata_200_service_identity", "Apontamentos Build Service (contoso-lab)", None),
    ];
    for (name, display_name, email) in cases {
        let (server, azure) = azure().await;
        respond(&server, CONNECTION_DATA, fixture(name)).await;

        let user = usuario(&azure, bearer(PAT)).await.unwrap();

        assert_eq!((user.display_name.as_str(), user.email.as_deref()), (display_name, email), "{name}");
    }
}

#[tokio::test]
async fn identity_with_only_an_id_is_accepted() {
    let id = "CDBC0002-5E61-5E97-84F7-32DF35FB8951";
    let bodies = [
        json!({"authenticatedUser": {"id": id}}),
        json!({"authenticatedUser": {"id": id, "providerDisplayName": " ", "properties": null}, "authorizedUser": null}),
        json!({"authenticatedUser": {"id": id, "properties": {"Account": "x"}}, "authorizedUser": {"id": ana().id}}),
    ];
    for body in bodies {
        let (server, azure) = azure().await;
        respond(&server, CONNECTION_DATA, ResponseTemplate::new(200).set_body_json(&body)).await;

        let user = usuario(&azure, bearer(PAT)).await.unwrap();

        let expected = Usuario { id: ana().id, display_name: ana().id, email: None };
        assert_eq!(user, expected, "{body}");
    }
}

#[tokio::test]
async fn response_with_byte_order_mark_is_accepted() {
    let (server, azure) = azure().await;
    let body = fixture_json("connectiondata_200_entra_user")["response"]["body"].to_string();
    let response = ResponseTemplate::new(200).set_body_raw(format!("\u{feff}{body}"), "application/json");
    respond(&server, CONNECTION_DATA, response).await;

    assert_eq!(usuario(&azure, bearer(PAT)).await.unwrap(), ana());
}

#[tokio::test]
async fn every_form_of_rejection_is_rejected() {
    let redirect = |status: u16| {
        ResponseTemplate::new(status).insert_header("location", "https://login.microsoftonline.com/common/oauth2")
    };
    let cases = [
        ("401, empty", fixture("unauthorized_401_suppress_empty")),
        ("401, JSON", fixture("unauthorized_401_json_anonymous")),
        ("401, expired, HTML", fixture("unauthorized_401_pat_expired_html")),
        ("401, expired, JSON", fixture("unauthorized_401_pat_expired_json")),
        ("401, revoked", fixture("unauthorized_401_pat_revoked")),
        ("203, sign-in page", fixture("signin_203_html")),
        ("203, app token", fixture("apptoken_as_bearer_203")),
        ("200, sign-in page", fixture("signin_200_html")),
        ("302, sign-in page", fixture("signin_302_rejected_credential")),
        ("303, sign-in page elsewhere", redirect(303)),
        ("307, sign-in page elsewhere", redirect(307)),
        ("200, anonymous", fixture("connectiondata_200_anonymous_bad_pat")),
        ("200, anonymous by its id only", identity_with(|body| set_ids(body, "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"))),
        ("200, nil id", identity_with(|body| set_ids(body, "00000000-0000-0000-0000-000000000000"))),
        (
            "200, public access by its descriptor only",
            identity_with(|body| {
                body["authenticatedUser"]["descriptor"] = json!("System:PublicAccess;x");
            }),
        ),
        (
            "200, authorized as anonymous",
            identity_with(|body| {
                body["authorizedUser"]["id"] = json!("aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa");
            }),
        ),
        (
            "200, authorized as another user",
            identity_with(|body| {
                body["authorizedUser"]["id"] = json!("dc3254b4-4789-51e7-a136-429113d54dc9");
            }),
        ),
    ];
    for (name, rejection) in cases {
        for (credential, expected) in
            [(bearer(PAT), 1), (bearer(JWT), 1), (bearer("another-shape"), 2), (basic(PAT), 1)]
        {
            let (server, azure) = azure().await;
            respond(&server, CONNECTION_DATA, rejection.clone()).await;

            let error = usuario(&azure, credential).await.unwrap_err();

            assert_eq!(kind(&error), "rejected", "{name}");
            assert_eq!(server.received_requests().await.unwrap().len(), expected, "{name}: each scheme once");
        }
    }
}

fn set_ids(body: &mut Value, id: &str) {
    for user in ["authenticatedUser", "authorizedUser"] {
        body[user]["id"] = json!(id);
    }
}

#[tokio::test]
async fn invalid_identity_response_is_bad_upstream() {
    let html = |status: u16| ResponseTemplate::new(status).set_body_raw("<h1>Manutenção</h1>", "text/html");
    let json = |status: u16, body: Value| ResponseTemplate::new(status).set_body_json(body);
    let good = fixture_json("connectiondata_200_entra_user")["response"]["body"].clone();
    let cases = [
        ("no identity", json(200, json!({}))),
        ("an identity of null", json(200, json!({"authenticatedUser": null}))),
        ("no id", identity_with(|body| body["authenticatedUser"]["id"] = Value::Null)),
        ("an id that is no GUID", identity_with(|body| body["authenticatedUser"]["id"] = json!("ana"))),
        ("an id that is no text", identity_with(|body| body["authenticatedUser"]["id"] = json!(7))),
        ("an authorized user without id", identity_with(|body| body["authorizedUser"] = json!({}))),
        ("a list", json(200, json!([good]))),
        ("no JSON", ResponseTemplate::new(200).set_body_raw("{\"authenticatedUser\":", "application/json")),
        ("nothing", ResponseTemplate::new(200)),
        ("a good identity as HTML", ResponseTemplate::new(200).set_body_raw(good.to_string(), "text/html")),
        ("a good identity of no kind", ResponseTemplate::new(200).set_body_bytes(good.to_string())),
        ("a good identity with 201", json(201, good.clone())),
        ("a good identity with 203", json(203, good.clone())),
        ("a good identity with 206", json(206, good.clone())),
        ("a page other than a sign-in page", html(200)),
        ("a redirect to another site", ResponseTemplate::new(301).insert_header("location", "https://exemplo.br/")),
        ("a redirect without a location", ResponseTemplate::new(302)),
        ("the version is refused", fixture("connectiondata_400_released_version")),
        ("the organisation is unknown", fixture("error_404_org")),
        ("something is missing", fixture("project_404")),
        ("410", html(410)),
    ];
    for (name, nonsense) in cases {
        let (server, azure) = azure().await;
        respond(&server, CONNECTION_DATA, nonsense).await;

        let error = usuario(&azure, bearer(PAT)).await.unwrap_err();

        assert_eq!(kind(&error), "bad upstream", "{name}");
        assert_eq!(calls(&server, CONNECTION_DATA).await, 1, "{name}: the other scheme only after a plain rejection");
    }
}

#[tokio::test]
async fn redirect_is_never_followed() {
    let (elsewhere, _) = azure().await;
    respond(&elsewhere, "/_signin", fixture("connectiondata_200_entra_user")).await;
    for status in [301, 302, 303, 307, 308] {
        let (server, azure) = azure().await;
        let redirect = ResponseTemplate::new(status).insert_header("location", format!("{}/_signin", elsewhere.uri()));
        respond(&server, CONNECTION_DATA, redirect).await;

        assert_eq!(kind(&usuario(&azure, bearer(PAT)).await.unwrap_err()), "rejected");
    }
    assert_eq!(elsewhere.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn forbidden_response_for_a_known_user_is_forbidden() {
    let (server, azure) = azure().await;
    respond(&server, CONNECTION_DATA, fixture("error_403_permission")).await;

    assert_eq!(kind(&usuario(&azure, bearer(PAT)).await.unwrap_err()), "forbidden");
}

#[tokio::test]
async fn malformed_token_is_rejected_without_a_call() {
    let (server, azure) = azure().await;

    assert_eq!(kind(&azure.authenticate(None).await.unwrap_err()), "missing");
    for token in ["", "a b", "a\r\nX-Evil: 1", "ação", &"a".repeat(20_000)] {
        for credential in [bearer(token), basic(token)] {
            assert_eq!(kind(&usuario(&azure, credential).await.unwrap_err()), "rejected");
        }
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 0);
}
