//! Outages of Azure DevOps: a valid token is never reported as invalid.

use std::time::Duration;

use e2e::azure::Endpoint;
use reqwest::Method;
use serde_json::json;
use wiremock::ResponseTemplate;

use super::{ANA, get, given_ana, send_as, server_of, synchronise};

#[tokio::test]
async fn azure_error_maps_to_its_status_and_never_401() {
    let (organisation, aponta) = given_ana().await;
    let invalid = ResponseTemplate::new(200).set_body_raw("{\"value\": 1", "application/json");
    let throttled = ResponseTemplate::new(429).insert_header("retry-after", "37");
    let (bad, gone) =
        ("O Azure DevOps respondeu com um erro", "Azure DevOps indisponível no momento; tente novamente em instantes");

    for (response, status, detail) in
        [(invalid, 502, bad), (ResponseTemplate::new(500), 502, bad), (throttled, 503, gone)]
    {
        organisation.recover();
        organisation.respond_with(Endpoint::Projects, response);
        assert_eq!(synchronise(&aponta.api, ANA).await.error(status), detail);
    }

    // The delay of the 429 applies to every call with this credential.
    organisation.recover();
    let response = get(&aponta.api, ANA, "/api/v1/integracao/projetos").await;
    assert_eq!(response.error(503), gone);
    let wait: u64 = response.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=37).contains(&wait), "{wait}");
    assert_eq!(get(&aponta.api, ANA, "/api/v1/projetos").await.status, 200);
}

#[tokio::test]
async fn unknown_projeto_while_azure_fails_is_502() {
    let (organisation, aponta) = given_ana().await;
    organisation.respond_with(Endpoint::Projects, ResponseTemplate::new(500));

    let body = json!({"nome": "A", "id_projeto": uuid::Uuid::now_v7()});
    let response = send_as(&aponta.api, ANA, Method::POST, "/api/v1/atividades", Some(body)).await;

    assert_eq!(response.error(502), "O Azure DevOps respondeu com um erro");
}

#[tokio::test]
async fn slow_azure_is_504() {
    let (organisation, aponta) = given_ana().await;
    let slow = ResponseTemplate::new(200).set_delay(Duration::from_secs(40));
    organisation.respond_with(Endpoint::Identity, slow);

    let response = get(&aponta.api, "quem-sabe", "/api/v1/projetos").await;

    assert_eq!(response.error(504), "O Azure DevOps não respondeu a tempo");
}

#[tokio::test]
async fn cached_user_continues_while_azure_is_unavailable() {
    let (organisation, aponta) = given_ana().await;
    let _ = get(&aponta.api, ANA, "/api/v1/projetos").await.expect(200);
    organisation.respond_with(Endpoint::Identity, ResponseTemplate::new(503));

    for n in 0..10 {
        let response = get(&aponta.api, &format!("outro-{n}"), "/api/v1/projetos").await;
        assert!(response.header("retry-after").is_some());
        let _ = response.error(503);
        assert_eq!(get(&aponta.api, ANA, "/api/v1/projetos").await.status, 200);
    }

    // The circuit breaker opens. Without it, ten credentials with up to three attempts each would make 30 calls.
    assert!(organisation.calls("connectionData").await < 15);
}

#[tokio::test]
async fn refused_connection_to_azure_is_503() {
    // A port whose listener is closed.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let aponta = server_of(&format!("http://{address}/exemplo"));

    let response = get(&aponta.api, ANA, "/api/v1/projetos").await;

    assert!(response.header("retry-after").is_some());
    assert_eq!(response.error(503), "Azure DevOps indisponível no momento; tente novamente em instantes");
}
