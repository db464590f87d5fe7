//! The hours that a work item has in Azure DevOps, as each caller sees them.

use e2e::azure::Endpoint;
use e2e::client::{Api, Response};
use serde_json::json;
use wiremock::ResponseTemplate;

use super::{ANA, get, given_ana};

const BIA: &str = "token-da-bia";

/// The hours of a work item, whose id is any text.
async fn hours(api: &Api, token: &str, id: &str) -> Response {
    let path = format!("/api/v1/apontamentos/work-item/{id}/azure-info?organization_name=EXEMPLO&project_id=Portal");
    get(api, token, &path).await
}

#[tokio::test]
async fn azure_info_has_the_hours_that_the_work_item_has_now() {
    let (organisation, aponta) = given_ana().await;
    let _ = organisation.add_project("Portal");
    for (id, estado) in [(41, "Active"), (42, "Closed"), (43, "Removed")] {
        organisation.add_work_item(id, "Portal", "Task", estado, "Tela");
    }
    let set = |id, field: &str, hours: f64| {
        organisation.change_work_item(id, |fields| {
            fields.insert(format!("Microsoft.VSTS.Scheduling.{field}"), json!(hours));
        });
    };
    set(41, "OriginalEstimate", 8.0);
    set(41, "CompletedWork", 0.0);
    set(41, "RemainingWork", 7.25);
    // A task of Scrum has one of the fields.
    set(42, "RemainingWork", 1.5);

    for (id, expected) in [
        ("41", json!({"originalEstimate": 8.0, "remainingWork": 7.25, "completedWork": 0.0})),
        ("42", json!({"remainingWork": 1.5})),
        ("43", json!({})),
    ] {
        assert_eq!(hours(&aponta.api, ANA, id).await.expect(200), expected, "{id}");
    }
    set(43, "OriginalEstimate", 2.0);
    let api = &aponta.api;
    let is_fresh = async || hours(api, ANA, "43").await.expect(200) == json!({"originalEstimate": 2.0});
    for _ in 0..100 {
        if is_fresh().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    panic!("a change in Azure DevOps is not visible within 20 s");
}

#[tokio::test]
async fn azure_info_is_read_with_the_credential_of_the_caller() {
    let (organisation, aponta) = given_ana().await;
    organisation.add_user(BIA, Some("bia@exemplo.br"));
    let secret = organisation.add_project("Secreto");
    organisation.add_work_item(41, "Secreto", "Task", "Active", "Tela secreta");
    organisation.hide(BIA, &secret);

    // What one caller has read is not what another one sees.
    assert_eq!(hours(&aponta.api, ANA, "41").await.expect(200), json!({}));
    assert_eq!(hours(&aponta.api, BIA, "41").await.error(404), "Work item 41 não encontrado");
    assert_eq!(hours(&aponta.api, ANA, "99").await.error(404), "Work item 99 não encontrado");
}

#[tokio::test]
async fn azure_info_with_invalid_values_asks_azure_for_nothing() {
    let (organisation, aponta) = given_ana().await;
    let _ = organisation.add_project("Portal");
    let before = organisation.calls("/_apis/wit/").await;

    for id in ["0", "-1", "2147483648", "99999999999999999999", "1.5", "abc", "%00", "41%2F..", "%EF%BC%91"] {
        let status = hours(&aponta.api, ANA, id).await.status;
        assert!([400, 404, 422].contains(&status), "{id}: {status}");
    }
    let other = "/api/v1/apontamentos/work-item/41/azure-info?organization_name=outra&project_id=Portal";
    let refused = get(&aponta.api, ANA, other).await;
    assert_eq!(refused.error(400), "Este servidor atende a organização exemplo, e não outra");
    let nul = "/api/v1/apontamentos/work-item/41/azure-info?organization_name=exemplo%00&project_id=Portal";
    assert_eq!(get(&aponta.api, ANA, nul).await.faults(), ["value_error query.organization_name"]);

    assert_eq!(organisation.calls("/_apis/wit/").await, before);
}

#[tokio::test]
async fn azure_info_while_azure_fails_has_its_status_and_recovers() {
    let (organisation, aponta) = given_ana().await;
    let _ = organisation.add_project("Portal");
    organisation.add_work_item(41, "Portal", "Task", "Active", "Tela");
    let html = ResponseTemplate::new(203).set_body_raw("<html>Sign In</html>", "text/html");
    let huge = ResponseTemplate::new(200).set_body_raw("[".repeat(100_000), "application/json");
    for (response, status) in
        [(ResponseTemplate::new(500), 502), (ResponseTemplate::new(503), 503), (html, 403), (huge, 502)]
    {
        organisation.respond_with(Endpoint::WorkItems, response);
        assert_eq!(hours(&aponta.api, ANA, "41").await.status, status);
        organisation.recover();
    }

    assert_eq!(hours(&aponta.api, ANA, "41").await.expect(200), json!({}));
}
