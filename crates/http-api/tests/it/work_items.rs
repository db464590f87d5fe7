use std::sync::Arc;

use actix_web::test::TestRequest;
use domain::testing::{maria, projeto, work_item};
use domain::{Conflict, Error, Service, WorkItem, WorkItemSearch};
use insta::assert_json_snapshot;
use serde_json::json;

use crate::support::{Response, StubIdentity, TestApp};

const SEARCH: &str = "/api/v1/work-items/search?organization_name=exemplo";

fn get(uri: &str) -> TestRequest {
    TestRequest::get().uri(uri).insert_header(("authorization", "Bearer abc"))
}

fn test_app() -> TestApp {
    let identity = Arc::new(StubIdentity(|| Ok(maria())));
    let mut test_app = TestApp { identity, ..TestApp::new() };
    test_app.projetos.expect_find().returning(|_| Ok(Some(projeto("Portal"))));
    test_app
}

/// Returns the response to the search with the parameters, if the directory finds `found`.
async fn search(parameters: &str, found: fn(WorkItemSearch) -> Result<Option<Vec<WorkItem>>, Error>) -> Response {
    let mut test_app = test_app();
    test_app.work_items.expect_search().returning(move |credential, search| {
        assert!(credential.is_some(), "the caller's own credential");
        found(search)
    });
    test_app.send(get(&format!("{SEARCH}&{parameters}"))).await
}

#[actix_web::test]
async fn search_returns_the_work_items_with_their_count() {
    let response = search("query=tarefa", |_| {
        let without_hours = WorkItem {
            original_estimate: None,
            completed_work: None,
            remaining_work: None,
            estado: "Em andamento".to_owned(),
            ..work_item(42)
        };
        Ok(Some(vec![work_item(41), without_hours]))
    })
    .await;

    assert_eq!(response.status, 200);
    assert_json_snapshot!(response.json(), @r#"
    {
      "count": 2,
      "results": [
        {
          "completedWork": 2.5,
          "iconUrl": "",
          "id": 41,
          "originalEstimate": 8.0,
          "project": "Portal",
          "remainingWork": 5.5,
          "state": "Active",
          "title": "Tarefa 41",
          "type": "Task",
          "url": "https://dev.azure.com/exemplo/Portal/_workitems/edit/41"
        },
        {
          "completedWork": null,
          "iconUrl": "",
          "id": 42,
          "originalEstimate": null,
          "project": "Portal",
          "remainingWork": null,
          "state": "Em andamento",
          "title": "Tarefa 42",
          "type": "Task",
          "url": "https://dev.azure.com/exemplo/Portal/_workitems/edit/42"
        }
      ]
    }
    "#);
}

#[actix_web::test]
async fn search_passes_every_parameter_on() {
    let by_default = search("query=ab", |search| {
        assert_eq!((search.texto.as_str(), search.projeto, search.limit.get()), ("ab", None, 10));
        assert!(search.tipos.as_slice().is_empty());
        Ok(Some(vec![]))
    });
    let with_all = search("query=+a%C3%A7%C3%A3o+&project_id=Loja&limit=200&work_item_types=Task,+Bug", |search| {
        assert_eq!((search.texto.as_str(), search.projeto.as_deref(), search.limit.get()), ("ação", Some("Loja"), 200));
        assert_eq!(search.tipos.as_slice(), ["Task", "Bug"]);
        Ok(Some(vec![]))
    });
    let by_id = search("query=ab&project_id=0194f6a0-0000-7000-8000-00000000b001", |search| {
        assert_eq!(search.projeto.as_deref(), Some("Portal"));
        Ok(Some(vec![]))
    });

    for response in [by_default.await, with_all.await, by_id.await] {
        assert_eq!((response.status.as_u16(), response.json()), (200, json!({"results": [], "count": 0})));
    }
}

#[actix_web::test]
async fn invalid_parameters_are_422_and_all_named_at_once() {
    let unused = |_| panic!("nobody is asked");
    let types = format!("work_item_types={}", "a,".repeat(21));
    let cases = [
        ("", "query"),
        ("query=a", "query"),
        ("query=%20a%20", "query"),
        ("query=a%00b", "query"),
        ("query=ab&limit=0", "limit"),
        ("query=ab&limit=201", "limit"),
        ("query=ab&limit=x", "limit"),
        ("query=ab&project_id=", "project_id"),
        (&format!("query=ab&{types}"), "work_item_types"),
    ];
    for (parameters, field) in cases {
        let response = search(parameters, unused).await;

        assert_eq!(response.status, 422, "{parameters}");
        assert_eq!(response.json()["detail"][0]["loc"], json!(["query", field]), "{parameters}");
    }
    let uri = "/api/v1/work-items/search?query=a&limit=0";
    let response = test_app().send(get(uri)).await;
    assert_eq!(response.json()["detail"].as_array().unwrap().len(), 3, "{}", response.json());
}

#[actix_web::test]
async fn another_organisation_and_an_unknown_projeto_are_400_with_a_text() {
    let uri = "/api/v1/work-items/search?query=ab&organization_name=outra";
    let other = test_app().send(get(uri)).await;
    assert_eq!(other.status, 400);
    assert_eq!(other.json()["detail"], "Este servidor atende a organização exemplo, e não outra");

    let unknown = search("query=ab&project_id=Loja", |_| Ok(None)).await;

    assert_eq!((unknown.status.as_u16(), &unknown.json()["detail"]), (400, &json!("Projeto não encontrado: Loja")));
}

#[actix_web::test]
async fn failure_of_azure_devops_has_its_status() {
    let cases: [(fn() -> Error, u16); 5] = [
        (|| Error::Conflict(Conflict::SemOrganizacao), 409),
        (|| Error::Forbidden, 403),
        (|| Error::Unavailable { service: Service::AzureDevOps, retry_after: None, cause: "x".into() }, 503),
        (|| Error::TimedOut { service: Service::AzureDevOps, cause: "x".into() }, 504),
        (|| Error::BadUpstream { service: Service::AzureDevOps, cause: "x".into() }, 502),
    ];
    for (error, status) in cases {
        let mut test_app = test_app();
        test_app.work_items.expect_search().returning(move |_, _| Err(error()));

        let response = test_app.send(get(&format!("{SEARCH}&query=ab"))).await;

        assert_eq!(response.status, status);
    }
}
