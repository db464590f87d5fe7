//! Hours of work items: the requests, and what the responses mean.

use std::time::Duration;

use adapters_azure::{AzureDevOps, AzureWorkItemWriter};
use domain::{
    Error, HourFields, HoursChange, HoursWrite, MotivoDoErro, WorkItemHours, WorkItemId, WorkItemWriter, WriteResult,
};
use serde_json::{Value, json};
use time::macros::datetime;
use wiremock::matchers::{basic_auth, body_json, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{PAT, azure, basic, calls, fixture, fixture_json, know_the_pat, respond};

const ITEM: &str = "/contoso-lab/_apis/wit/workitems/41";
const BATCH: &str = "/contoso-lab/_apis/wit/workitemsbatch";
const UPDATES: &str = "/contoso-lab/_apis/wit/workitems/41/updates";
const TYPE: &str = "/contoso-lab/Apontamentos/_apis/wit/workitemtypes/Task";
const HOURS: HoursWrite = HoursWrite { completed_work: Some(4.0), remaining_work: Some(4.0) };

fn id(id: i64) -> WorkItemId {
    WorkItemId::new(id).unwrap()
}

fn writer(azure: &AzureDevOps) -> AzureWorkItemWriter {
    AzureWorkItemWriter::new(azure.clone(), basic(PAT))
}

async fn given() -> (MockServer, AzureWorkItemWriter) {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    (server, writer(&azure))
}

/// A writer whose changes get `response`.
async fn with_patch(response: ResponseTemplate) -> (MockServer, AzureWorkItemWriter) {
    let (server, writer) = given().await;
    Mock::given(method("PATCH")).and(path(ITEM)).respond_with(response).mount(&server).await;
    (server, writer)
}

#[tokio::test]
async fn read_returns_the_hours_of_those_that_exist_and_is_never_cached() {
    let (server, writer) = given().await;
    let fields = [
        "System.WorkItemType",
        "System.State",
        "System.TeamProject",
        "Microsoft.VSTS.Scheduling.OriginalEstimate",
        "Microsoft.VSTS.Scheduling.RemainingWork",
        "Microsoft.VSTS.Scheduling.CompletedWork",
    ];
    let item = fixture_json("workitem_200")["response"]["body"].take();
    let without_hours = fixture_json("workitem_200_no_schedule_fields")["response"]["body"].take();
    Mock::given(method("POST"))
        .and(path(BATCH))
        .and(basic_auth("", PAT))
        .and(body_json(json!({"ids": [41, 42, 7], "fields": fields, "errorPolicy": "omit"})))
        .respond_with(
            ResponseTemplate::new(200).set_body_json(json!({"count": 3, "value": [without_hours, null, item]})),
        )
        .mount(&server)
        .await;

    for _ in 0..2 {
        let read = writer.read(vec![id(41), id(42), id(7)]).await.unwrap();

        let expected = |id, rev, hours: [Option<f64>; 3]| WorkItemHours {
            id,
            rev,
            tipo: "Task".to_owned(),
            estado: "Active".to_owned(),
            projeto: "Apontamentos".to_owned(),
            original_estimate: hours[0],
            remaining_work: hours[1],
            completed_work: hours[2],
        };
        let rev = fixture_json("workitem_200")["response"]["body"]["rev"].as_i64().unwrap();
        assert_eq!(read, [expected(id(42), 1, [None; 3]), expected(id(41), rev, [Some(8.0), Some(5.5), Some(2.5)]),]);
    }
    assert_eq!(calls(&server, BATCH).await, 2);
}

#[tokio::test]
async fn work_item_type_has_its_states_and_fields_and_is_cached() {
    let (server, writer) = given().await;
    respond(&server, &format!("{TYPE}/states"), fixture("workitemtype_states_200")).await;
    let fields = json!({"count": 2, "value": [
        {"referenceName": "System.Title", "name": "Title"},
        {"referenceName": "Microsoft.VSTS.Scheduling.RemainingWork", "name": "Remaining Work", "alwaysRequired": false},
    ]});
    respond(&server, &format!("{TYPE}/fields"), ResponseTemplate::new(200).set_body_json(fields)).await;

    for _ in 0..2 {
        let tipo = writer.work_item_type("Apontamentos".to_owned(), "Task".to_owned()).await.unwrap();

        assert_eq!(tipo.fields, HourFields { completed_work: false, remaining_work: true });
        assert!(tipo.states.category("Closed").unwrap().is_closed());
    }
    assert_eq!(calls(&server, &format!("{TYPE}/fields")).await, 1);
}

#[tokio::test]
async fn changes_are_those_of_the_hours_from_every_page() {
    let (server, writer) = given().await;
    let other = |rev: usize| json!({"id": rev, "rev": rev, "fields": {"System.Title": {"newValue": "x"}}});
    let change = |rev: i64, change: Value| {
        json!({"id": rev, "rev": rev, "revisedBy": {"id": "CDBC0002-5E61-5E97-84F7-32DF35FB8951"}, "fields": {
            "System.ChangedDate": {"oldValue": "2026-05-04T09:00:00Z", "newValue": "2026-05-04T11:41:02.9Z"},
            "Microsoft.VSTS.Scheduling.CompletedWork": change,
        }})
    };
    let mut first: Vec<_> = (4..203).map(other).collect();
    first.push(change(203, json!({"oldValue": 1.0, "newValue": 2.5})));
    let second = vec![change(204, json!({"oldValue": 2.5})), json!({"id": 205, "rev": 204})];
    for (skip, page) in [("3", first), ("203", second)] {
        Mock::given(method("GET"))
            .and(path(UPDATES))
            .and(query_param("$skip", skip))
            .and(query_param("$top", "200"))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({"count": page.len(), "value": page})))
            .mount(&server)
            .await;
    }

    let changes = writer.changes(id(41), 3).await.unwrap();

    let expected = |rev, completed_work| HoursChange {
        rev,
        autor: "cdbc0002-5e61-5e97-84f7-32df35fb8951".to_owned(),
        em: datetime!(2026-05-04 11:41:02.9 UTC),
        completed_work,
    };
    assert_eq!(changes, [expected(203, 2.5), expected(204, 0.0)]);
}

#[tokio::test]
async fn write_sends_the_documented_patch() {
    let (server, writer) = given().await;
    let patch = json!([
        {"op": "test", "path": "/rev", "value": 4},
        {"op": "add", "path": "/fields/Microsoft.VSTS.Scheduling.CompletedWork", "value": 4.0},
        {"op": "add", "path": "/fields/Microsoft.VSTS.Scheduling.RemainingWork", "value": 4.0},
    ]);
    Mock::given(method("PATCH"))
        .and(path(ITEM))
        .and(basic_auth("", PAT))
        .and(query_param("api-version", "7.1"))
        .and(header("content-type", "application/json-patch+json"))
        .and(body_json(patch))
        .respond_with(fixture("workitem_patch_200"))
        .mount(&server)
        .await;

    assert_eq!(writer.write(id(41), 4, HOURS).await.unwrap(), WriteResult::Written { rev: 5 });
}

#[tokio::test]
async fn refusals_of_a_write_are_told_apart() {
    let forbidden = json!({"typeKey": "AccessCheckException", "message": "no"});
    let cases = [
        (fixture("error_412_rev_test_failed"), WriteResult::Outdated),
        (fixture("error_409_revision_race"), WriteResult::Outdated),
        (fixture("error_400_rule"), WriteResult::Refused(MotivoDoErro::Regra)),
        (fixture("error_404_work_item"), WriteResult::Refused(MotivoDoErro::Inexistente)),
        (ResponseTemplate::new(403).set_body_json(forbidden), WriteResult::Refused(MotivoDoErro::SemPermissao)),
    ];
    for (response, expected) in cases {
        let (server, writer) = with_patch(response).await;

        assert_eq!(writer.write(id(41), 4, HOURS).await.unwrap(), expected);
        assert_eq!(calls(&server, ITEM).await, 1, "a refusal is not repeated");
    }
}

#[tokio::test]
async fn failures_of_a_write_leave_its_result_open() {
    let (_server, writer) = with_patch(fixture("ratelimit_429")).await;
    let error = writer.write(id(41), 4, HOURS).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { retry_after: Some(_), .. }), "{error:?}");

    let (_server, writer) = with_patch(ResponseTemplate::new(200).set_delay(Duration::from_secs(10))).await;
    let error = writer.write(id(41), 4, HOURS).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error:?}");

    let (_server, writer) = with_patch(fixture("unavailable_503_html")).await;
    assert!(matches!(writer.write(id(41), 4, HOURS).await.unwrap_err(), Error::Unavailable { .. }));

    let (_server, writer) = with_patch(fixture("unauthorized_401_missing_scope")).await;
    assert!(matches!(writer.write(id(41), 4, HOURS).await.unwrap_err(), Error::Forbidden));
}
