use actix_web::test::TestRequest;
use domain::testing::{NOW, maria, remote_projeto};
use domain::{Error, MockWriteBackQueue, ProjectList, SyncSummary};
use insta::assert_json_snapshot;

use crate::support::{StubIdentity, TestApp};

fn test_app() -> TestApp {
    TestApp { identity: std::sync::Arc::new(StubIdentity(|| Ok(maria()))), ..TestApp::new() }
}

fn sincronizar() -> TestRequest {
    TestRequest::post().uri("/api/v1/integracao/sincronizar").insert_header(("authorization", "Bearer abc"))
}

#[actix_web::test]
async fn sincronizar_returns_counts_under_both_names() {
    let mut test_app = test_app();
    test_app.directory.expect_list().returning(|_| {
        Ok(ProjectList { projects: vec![remote_projeto(1, "A")], failed: vec![Some(remote_projeto(2, "B").id), None] })
    });
    let summary = SyncSummary { synced: 3, created: 1, updated: 2, removed: 0 };
    test_app.projetos.expect_list().returning(|_| Ok(vec![].into()));
    test_app.projetos.expect_synchronize().withf(|_, _, since| *since == NOW).returning(move |_, _, _| Ok(summary));

    let response = test_app.send(sincronizar()).await;

    assert_eq!(response.status, 200);
    assert_json_snapshot!(response.json(), @r#"
    {
      "created": 1,
      "message": "3 projetos sincronizados: novos 1, alterados 2, removidos 0; ignorados por dados inválidos: 2",
      "projects_created": 1,
      "projects_failed": 2,
      "projects_failed_ids": [
        "eb6e4656-77fc-42a1-9181-000000000002",
        null
      ],
      "projects_removed": 0,
      "projects_synced": 3,
      "projects_unconfirmed": 0,
      "projects_updated": 2,
      "status": "success",
      "synced": 3,
      "timestamp": "2026-01-12T16:00:00.123456Z",
      "total_azure": 3,
      "updated": 2
    }
    "#);
}

#[actix_web::test]
async fn listar_returns_the_objects_of_azure_devops() {
    let mut test_app = test_app();
    test_app.directory.expect_list_raw().returning(|_| Ok(vec![r#"{"id":"x","novo":1}"#.to_owned()]));
    let request = TestRequest::get().uri("/api/v1/integracao/projetos").insert_header(("authorization", "Bearer abc"));

    let response = test_app.send(request).await;

    assert_eq!((response.status.as_u16(), response.body.as_str()), (200, r#"[{"id":"x","novo":1}]"#));
    assert_eq!(response.header("content-type"), Some("application/json; charset=utf-8"));
}

#[actix_web::test]
async fn forbidden_by_azure_devops_returns_403() {
    let mut test_app = test_app();
    test_app.directory.expect_list().returning(|_| Err(Error::Forbidden));

    let refused = test_app.send(sincronizar()).await.error();

    assert_eq!(refused, (403, "Token não possui permissões necessárias".to_owned()));
}

#[actix_web::test]
async fn reenviar_returns_how_many_work_items_are_written_again() {
    let request =
        || TestRequest::post().uri("/api/v1/integracao/reenviar").insert_header(("authorization", "Bearer abc"));
    let mut queue = MockWriteBackQueue::new();
    let of_maria = |usuario: &str, until: &time::OffsetDateTime, now: &time::OffsetDateTime| {
        usuario == maria().usuario.id && *now == NOW && *until < NOW
    };
    queue.expect_retry_failed().withf(of_maria).returning(|_, _, _| Ok(3));

    let response = TestApp { write_back: Some(std::sync::Arc::new(queue)), ..test_app() }.send(request()).await;
    let without = test_app().send(request()).await.error();

    assert_eq!((response.status.as_u16(), response.json()), (200, serde_json::json!({"work_items": 3})));
    assert_eq!(without, (409, "Este servidor não escreve horas no Azure DevOps".to_owned()));
}
