//! The service under a path prefix, behind a proxy that removes it and behind one that does not.

use actix_web::test::TestRequest;
use domain::Page;
use domain::testing::{atividade, stored_projeto};
use serde_json::{Value, json};

use crate::support::{TestApp, send};

/// Sends `request` to a service whose root path is `/aponta`.
async fn under_aponta(test_app: TestApp, request: TestRequest) -> (u16, Vec<(String, String)>, Value) {
    let state = test_app.state().with_root_path("/aponta".parse().unwrap());
    let response = send(&state, request).await;
    let header = |name: &str| Some((name.to_owned(), response.header(name)?.to_owned()));
    let headers = ["location", "link", "etag"].into_iter().filter_map(header).collect();
    (response.status.as_u16(), headers, serde_json::from_slice(&response.body).unwrap_or_default())
}

#[actix_web::test]
async fn addresses_start_with_the_root_path_whether_the_proxy_removes_it_or_not() {
    for prefix in ["", "/aponta"] {
        let get = |path: &str| TestRequest::get().uri(&format!("{prefix}{path}"));

        let (status, _, info) = under_aponta(TestApp::new(), get("/api/v1")).await;
        assert_eq!((status, &info["docs"], &info["redoc"]), (200, &json!("/aponta/docs"), &json!("/aponta/redoc")));

        let (status, headers, spec) = under_aponta(TestApp::new(), get("/openapi.json")).await;
        assert_eq!((status, &spec["servers"][0]["url"]), (200, &json!("/aponta")));
        let etag = &headers[0].1;
        let again = get("/openapi.json").insert_header(("If-None-Match", etag.as_str()));
        assert_eq!(under_aponta(TestApp::new(), again).await.0, 304);

        let mut test_app = TestApp::new();
        test_app.projetos.expect_insert().returning(|record, _| Ok(stored_projeto(record)));
        let post = TestRequest::post().uri(&format!("{prefix}/api/v1/projetos")).set_json(json!({"nome": "A"}));
        let (status, headers, projeto) = under_aponta(test_app, post).await;
        let location = format!("/aponta/api/v1/projetos/{}", projeto["id"].as_str().unwrap());
        assert_eq!((status, &headers[0]), (201, &("location".to_owned(), location)));

        let mut test_app = TestApp::new();
        test_app.atividades.expect_list().returning(|_| Ok(Page { items: vec![atividade("A")], total: 7, last: None }));
        let (status, headers, _) = under_aponta(test_app, get("/api/v1/atividades?limit=1")).await;
        assert_eq!(status, 200);
        assert!(headers[0].1.starts_with("</aponta/api/v1/atividades?limit=1&skip=0>"), "{headers:?}");

        let problem = get("/nada").insert_header(("Accept", "application/problem+json"));
        let (status, _, problem) = under_aponta(TestApp::new(), problem).await;
        assert_eq!((status, &problem["instance"]), (404, &json!("/aponta/nada")));
    }
}

#[actix_web::test]
async fn path_that_only_begins_like_the_root_path_is_unknown() {
    for path in ["/aponta2/api/v1", "/aponta/aponta/api/v1", "/x/aponta/api/v1"] {
        assert_eq!(under_aponta(TestApp::new(), TestRequest::get().uri(path)).await.0, 404, "{path}");
    }
    assert_eq!(under_aponta(TestApp::new(), TestRequest::get().uri("/aponta")).await.0, 200);
}
