use actix_web::test::TestRequest;
use domain::testing::{NOW, maria, remote_projeto};
use domain::{Error, SyncSummary};
use insta::assert_json_snapshot;

use crate::support::{Always, World};

fn world() -> World {
    World { identity: std::sync::Arc::new(Always(|| Ok(maria()))), ..World::new() }
}

fn sincronizar() -> TestRequest {
    TestRequest::post().uri("/api/v1/integracao/sincronizar").insert_header(("authorization", "Bearer abc"))
}

#[actix_web::test]
async fn sincronizar_says_what_it_did_under_the_names_of_old_as_well() {
    let mut world = world();
    world.directory.expect_list().returning(|_| Ok(vec![remote_projeto(1, "A")]));
    let summary = SyncSummary { synced: 3, created: 1, updated: 2, removed: 0 };
    world.projetos.expect_list().returning(|_| Ok(vec![].into()));
    world.projetos.expect_synchronize().withf(|_, _, since| *since == NOW).returning(move |_, _, _| Ok(summary));

    let answer = world.answer(sincronizar()).await;

    assert_eq!(answer.status, 200);
    assert_json_snapshot!(answer.json(), @r#"
    {
      "created": 1,
      "message": "3 projetos sincronizados: novos 1, alterados 2, removidos 0",
      "projects_created": 1,
      "projects_removed": 0,
      "projects_synced": 3,
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
async fn listar_passes_on_what_azure_devops_says() {
    let mut world = world();
    world.directory.expect_list_raw().returning(|_| Ok(vec![r#"{"id":"x","novo":1}"#.to_owned()]));
    let request = TestRequest::get().uri("/api/v1/integracao/projetos").insert_header(("authorization", "Bearer abc"));

    let answer = world.answer(request).await;

    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, r#"[{"id":"x","novo":1}]"#));
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
}

#[actix_web::test]
async fn a_user_whom_azure_devops_refuses_is_403() {
    let mut world = world();
    world.directory.expect_list().returning(|_| Err(Error::Forbidden));

    let refused = world.answer(sincronizar()).await.error();

    assert_eq!(refused, (403, "Token não possui permissões necessárias".to_owned()));
}
