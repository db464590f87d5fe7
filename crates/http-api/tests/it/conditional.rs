use actix_web::test::TestRequest;
use domain::testing::{NOW, atividade, atividade_id, projeto, projeto_id};
use domain::{AtividadePatch, Error};
use mockall::predicate::{always, eq, function};
use serde_json::json;

use crate::support::World;

fn uri() -> String {
    format!("/api/v1/atividades/{}", atividade_id().0)
}

/// A world in which the atividade is what it is.
fn world() -> World {
    let mut world = World::new();
    world.atividades.expect_find().returning(|_| Ok(Some(atividade("A"))));
    world
}

async fn tag() -> String {
    world().answer(TestRequest::get().uri(&uri())).await.header("etag").unwrap().to_owned()
}

#[actix_web::test]
async fn a_single_resource_has_a_strong_tag_that_says_how_it_looks() {
    let mut renamed = World::new();
    renamed.atividades.expect_find().returning(|_| Ok(Some(atividade("B"))));

    let renamed = renamed.answer(TestRequest::get().uri(&uri())).await;

    let tag = tag().await;
    assert!(tag.len() == 24 && tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    assert_ne!(renamed.header("etag"), Some(tag.as_str()));
}

#[actix_web::test]
async fn whoever_has_it_is_not_sent_it_again() {
    let tag = tag().await;
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let answer = world().answer(TestRequest::get().uri(&uri()).insert_header(("If-None-Match", known))).await;

        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (304, ""));
        assert_eq!(answer.header("etag"), Some(tag.as_str()));
        assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
    }
    for unknown in ["\"other\"", "nonsense", ""] {
        let answer = world().answer(TestRequest::get().uri(&uri()).insert_header(("If-None-Match", unknown))).await;
        assert_eq!(answer.status, 200, "{unknown}");
    }
}

#[actix_web::test]
async fn a_change_of_what_was_seen_holds_for_that_version() {
    let tag = tag().await;
    for if_match in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}")] {
        let mut world = world();
        let expects_it = function(|patch: &AtividadePatch| patch.expected == Some(NOW));
        world
            .atividades
            .expect_update()
            .with(eq(atividade_id()), expects_it, always())
            .returning(|_, _, _| Ok(Some(atividade("B"))));
        let request = TestRequest::put().uri(&uri()).insert_header(("If-Match", if_match));

        let answer = world.answer(request.set_json(json!({"nome": "B"}))).await;

        assert_eq!(answer.status, 200);
        assert_ne!(answer.header("etag"), Some(tag.as_str()));
    }
}

#[actix_web::test]
async fn any_version_is_meant_by_a_star() {
    let mut world = World::new();
    world.atividades.expect_delete().with(eq(atividade_id()), eq(None)).returning(|_, _| Ok(true));

    let answer = world.answer(TestRequest::delete().uri(&uri()).insert_header(("If-Match", "*"))).await;

    assert_eq!(answer.status, 204);
}

#[actix_web::test]
async fn a_change_of_what_was_not_seen_is_412() {
    let changed = (412, "O recurso mudou desde que foi lido; leia-o de novo".to_owned());
    for if_match in ["\"other\"", "nonsense", ""] {
        let put = TestRequest::put().uri(&uri()).set_json(json!({"nome": "B"}));
        for request in [put, TestRequest::delete().uri(&uri())] {
            let answer = world().answer(request.insert_header(("If-Match", if_match))).await;
            assert_eq!(answer.error(), changed, "{if_match}");
        }
    }
    let mut too_late = world();
    too_late.atividades.expect_delete().returning(|_, _| Err(Error::VersionMismatch));
    let answer = too_late.answer(TestRequest::delete().uri(&uri()).insert_header(("If-Match", tag().await))).await;
    assert_eq!(answer.error(), changed);
}

#[actix_web::test]
async fn what_does_not_exist_is_404_whatever_is_expected() {
    let mut world = World::new();
    world.atividades.expect_find().returning(|_| Ok(None));

    let answer = world.answer(TestRequest::delete().uri(&uri()).insert_header(("If-Match", "\"a\""))).await;

    assert_eq!(answer.status, 404);
}

#[actix_web::test]
async fn projetos_are_guarded_the_same_way() {
    let uri = format!("/api/v1/projetos/{}", projeto_id().0);
    let world = || {
        let mut world = World::new();
        world.projetos.expect_find().returning(|_| Ok(Some(projeto("A"))));
        world
    };
    let tag = world().answer(TestRequest::get().uri(&uri)).await.header("etag").unwrap().to_owned();
    let mut found = world();
    found.projetos.expect_delete().with(eq(projeto_id()), eq(Some(NOW))).returning(|_, _| Ok(true));

    let known = world().answer(TestRequest::get().uri(&uri).insert_header(("If-None-Match", tag.clone()))).await;
    let deleted = found.answer(TestRequest::delete().uri(&uri).insert_header(("If-Match", tag))).await;
    let refused = world().answer(TestRequest::delete().uri(&uri).insert_header(("If-Match", "\"a\""))).await;

    assert_eq!([known.status.as_u16(), deleted.status.as_u16(), refused.status.as_u16()], [304, 204, 412]);
}
