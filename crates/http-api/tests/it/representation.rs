use actix_web::test::TestRequest;
use domain::testing::{atividade, atividade_id};
use domain::{Descricao, Page};
use serde_json::json;

use crate::support::TestApp;

const LIST: &str = "/api/v1/atividades";

/// Returns an application whose pages have `n` atividades.
fn test_app(n: usize) -> TestApp {
    let mut test_app = TestApp::new();
    test_app.atividades.expect_list().returning(move |_| {
        let items = vec![atividade("Revisar contrato"); n];
        Ok(Page { items, total: 1, last: None })
    });
    test_app
}

#[actix_web::test]
async fn large_response_is_compressed_if_accepted() {
    for (accepted, encoding) in [
        ("gzip", Some("gzip")),
        // Only documents are compressed with Brotli.
        ("br", None),
        ("gzip, deflate, br, zstd", Some("gzip")),
        ("deflate, gzip", Some("gzip")),
        ("br;q=1, gzip;q=0.5", Some("gzip")),
        ("identity", None),
        ("compress", None),
        ("gzip;q=0", None),
        ("*;q=0", None),
        ("", None),
    ] {
        let request = TestRequest::get().uri(LIST).insert_header(("Accept-Encoding", accepted));

        let response = test_app(20).send_raw(request).await;

        assert_eq!(response.header("content-encoding"), encoding, "{accepted}");
        let vary: Vec<_> =
            response.headers.get_all("vary").filter(|vary| vary.as_bytes() == b"accept-encoding").collect();
        assert_eq!(vary.len(), 1, "{accepted}");
    }
}

#[actix_web::test]
async fn small_response_is_not_compressed() {
    let response = test_app(0).send(TestRequest::get().uri(LIST).insert_header(("Accept-Encoding", "gzip"))).await;

    assert_eq!((response.header("content-encoding"), response.status.as_u16()), (None, 200));
}

#[actix_web::test]
async fn compressed_response_has_a_weak_etag_that_matches() {
    let uri = format!("/api/v1/atividades/{}", atividade_id().0);
    let test_app = || {
        let mut test_app = TestApp::new();
        let descricao = Some(Descricao::parse("texto ".repeat(1000)).unwrap());
        let large = domain::Atividade { descricao, ..atividade("A") };
        test_app.atividades.expect_find().returning(move |_| Ok(Some(large.clone())));
        test_app
    };
    let gzip = || TestRequest::get().uri(&uri).insert_header(("Accept-Encoding", "gzip"));

    let plain = test_app().send(TestRequest::get().uri(&uri)).await;
    let compressed = test_app().send_raw(gzip()).await;

    let weak = format!("W/{}", plain.header("etag").unwrap());
    assert_eq!(compressed.header("etag"), Some(weak.as_str()));
    let again = test_app().send(gzip().insert_header(("If-None-Match", weak))).await;
    assert_eq!(again.status, 304);
}

#[actix_web::test]
async fn error_is_problem_details_if_accepted() {
    let mut test_app = TestApp::new();
    test_app.atividades.expect_find().returning(|_| Ok(None));
    let uri = format!("/api/v1/atividades/{}", atividade_id().0);
    let request = TestRequest::get().uri(&uri).insert_header(("Accept", "text/html, application/problem+json;q=0.5"));

    let response = test_app.send(request).await;

    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let expected = json!({
        "type": "about:blank",
        "title": "Recurso não encontrado",
        "status": 404,
        "detail": format!("Atividade com ID {} não encontrada", atividade_id().0),
        "instance": uri,
    });
    assert_eq!((response.status.as_u16(), response.json()), (404, expected));
}

#[actix_web::test]
async fn problem_details_of_422_have_errors() {
    let request = TestRequest::post().uri(LIST).insert_header(("Accept", "application/problem+json"));

    let response = TestApp::new().send(request.set_json(json!({"nome": 1}))).await;

    let json = response.json();
    assert_eq!((json["status"].clone(), json["title"].clone()), (json!(422), json!("Dados inválidos")));
    assert_eq!(json["detail"], "nome: Deve ser um texto; id_projeto: Campo obrigatório");
    assert_eq!(json["errors"][0]["loc"], json!(["body", "nome"]));
}

#[actix_web::test]
async fn only_errors_are_problem_details() {
    let problem = ("Accept", "application/problem+json");
    for (request, status) in [
        (TestRequest::get().uri("/nada"), 404),
        (TestRequest::patch().uri(LIST), 405),
        (TestRequest::get().uri("/api/v1/%zz"), 400),
    ] {
        let response = TestApp::new().send(request.insert_header(problem)).await;
        assert_eq!((response.status.as_u16(), &response.json()["status"]), (status, &json!(status)));
    }
    let response = test_app(1).send(TestRequest::get().uri(LIST).insert_header(problem)).await;
    assert_eq!(response.header("content-type"), Some("application/json; charset=utf-8"));
    let refused = TestApp::new().send(TestRequest::get().uri("/nada").insert_header(("Accept", "text/html"))).await;
    assert_eq!(refused.error().0, 404);
}
