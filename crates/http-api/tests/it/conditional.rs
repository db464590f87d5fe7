use actix_web::test::TestRequest;
use domain::testing::{NOW, atividade, atividade_id, projeto, projeto_id};
use domain::{AtividadePatch, Error};
use mockall::predicate::{always, eq, function};
use serde_json::json;

use crate::support::TestApp;

fn uri() -> String {
    format!("/api/v1/atividades/{}", atividade_id().0)
}

/// Returns an application in which the atividade exists.
fn test_app() -> TestApp {
    let mut test_app = TestApp::new();
    test_app.atividades.expect_find().returning(|_| Ok(Some(atividade("A"))));
    test_app
}

async fn tag() -> String {
    test_app().send(TestRequest::get().uri(&uri())).await.header("etag").unwrap().to_owned()
}

#[actix_web::test]
async fn resource_has_a_strong_etag_of_its_representation() {
    let mut renamed = TestApp::new();
    renamed.atividades.expect_find().returning(|_| Ok(Some(atividade("B"))));

    let renamed = renamed.send(TestRequest::get().uri(&uri())).await;

    let tag = tag().await;
    assert!(tag.len() == 24 && tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    assert_ne!(renamed.header("etag"), Some(tag.as_str()));
}

#[actix_web::test]
async fn matching_if_none_match_returns_304() {
    let tag = tag().await;
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let response = test_app().send(TestRequest::get().uri(&uri()).insert_header(("If-None-Match", known))).await;

        assert_eq!((response.status.as_u16(), response.body.as_str()), (304, ""));
        assert_eq!(response.header("etag"), Some(tag.as_str()));
        assert_eq!(response.header("cache-control"), Some("private, no-cache"));
    }
    for unknown in ["\"other\"", "nonsense", ""] {
        let response = test_app().send(TestRequest::get().uri(&uri()).insert_header(("If-None-Match", unknown))).await;
        assert_eq!(response.status, 200, "{unknown}");
    }
}

#[actix_web::test]
async fn matching_if_match_passes_the_version_on() {
    let tag = tag().await;
    for if_match in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}")] {
        let mut test_app = test_app();
        let expects_it = function(|patch: &AtividadePatch| patch.expected == Some(NOW));
        test_app
            .atividades
            .expect_update()
            .with(eq(atividade_id()), expects_it, always())
            .returning(|_, _, _| Ok(Some(atividade("B"))));
        let request = TestRequest::put().uri(&uri()).insert_header(("If-Match", if_match));

        let response = test_app.send(request.set_json(json!({"nome": "B"}))).await;

        assert_eq!(response.status, 200);
        assert_ne!(response.header("etag"), Some(tag.as_str()));
    }
}

#[actix_web::test]
async fn star_if_match_passes_no_version_on() {
    let mut test_app = TestApp::new();
    test_app.atividades.expect_delete().with(eq(atividade_id()), eq(None)).returning(|_, _| Ok(true));

    let response = test_app.send(TestRequest::delete().uri(&uri()).insert_header(("If-Match", "*"))).await;

    assert_eq!(response.status, 204);
}

#[actix_web::test]
async fn other_if_match_returns_412() {
    let changed = (412, "O recurso mudou desde que foi lido; leia-o de novo".to_owned());
    for if_match in ["\"other\"", "nonsense", ""] {
        let put = TestRequest::put().uri(&uri()).set_json(json!({"nome": "B"}));
        for request in [put, TestRequest::delete().uri(&uri())] {
            let response = test_app().send(request.insert_header(("If-Match", if_match))).await;
            assert_eq!(response.error(), changed, "{if_match}");
        }
    }
    let mut too_late = test_app();
    too_late.atividades.expect_delete().returning(|_, _| Err(Error::VersionMismatch));
    let response = too_late.send(TestRequest::delete().uri(&uri()).insert_header(("If-Match", tag().await))).await;
    assert_eq!(response.error(), changed);
}

#[actix_web::test]
async fn if_match_of_unknown_id_returns_404() {
    let mut test_app = TestApp::new();
    test_app.atividades.expect_find().returning(|_| Ok(None));

    let response = test_app.send(TestRequest::delete().uri(&uri()).insert_header(("If-Match", "\"a\""))).await;

    assert_eq!(response.status, 404);
}

#[actix_web::test]
async fn projetos_honour_if_match() {
    let uri = format!("/api/v1/projetos/{}", projeto_id().0);
    let test_app = || {
        let mut test_app = TestApp::new();
        test_app.projetos.expect_find().returning(|_| Ok(Some(projeto("A"))));
        test_app
    };
    let tag = test_app().send(TestRequest::get().uri(&uri)).await.header("etag").unwrap().to_owned();
    let mut found = test_app();
    found.projetos.expect_delete().with(eq(projeto_id()), eq(Some(NOW))).returning(|_, _| Ok(true));

    let known = test_app().send(TestRequest::get().uri(&uri).insert_header(("If-None-Match", tag.clone()))).await;
    let deleted = found.send(TestRequest::delete().uri(&uri).insert_header(("If-Match", tag))).await;
    let refused = test_app().send(TestRequest::delete().uri(&uri).insert_header(("If-Match", "\"a\""))).await;

    assert_eq!([known.status.as_u16(), deleted.status.as_u16(), refused.status.as_u16()], [304, 204, 412]);
}
