use actix_web::test::TestRequest;
use domain::testing::{atividade, atividade_id};
use domain::{Descricao, Page};
use serde_json::json;

use crate::support::World;

const LIST: &str = "/api/v1/atividades";

/// A world in which a page has so many atividades.
fn world(n: usize) -> World {
    let mut world = World::new();
    world.atividades.expect_list().returning(move |_| {
        let items = vec![atividade("Revisar contrato"); n];
        Ok(Page { items, total: 1, last: None })
    });
    world
}

#[actix_web::test]
async fn large_answers_are_compressed_for_those_who_ask() {
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

        let answer = world(20).raw_answer(request).await;

        assert_eq!(answer.header("content-encoding"), encoding, "{accepted}");
        let vary: Vec<_> =
            answer.headers.get_all("vary").filter(|vary| vary.as_bytes() == b"accept-encoding").collect();
        assert_eq!(vary.len(), 1, "{accepted}");
    }
}

#[actix_web::test]
async fn small_answers_are_sent_as_they_are() {
    let answer = world(0).answer(TestRequest::get().uri(LIST).insert_header(("Accept-Encoding", "gzip"))).await;

    assert_eq!((answer.header("content-encoding"), answer.status.as_u16()), (None, 200));
}

#[actix_web::test]
async fn compression_weakens_the_tag_and_the_weak_tag_is_good() {
    let uri = format!("/api/v1/atividades/{}", atividade_id().0);
    let world = || {
        let mut world = World::new();
        let descricao = Some(Descricao::parse("texto ".repeat(1000)).unwrap());
        let large = domain::Atividade { descricao, ..atividade("A") };
        world.atividades.expect_find().returning(move |_| Ok(Some(large.clone())));
        world
    };
    let gzip = || TestRequest::get().uri(&uri).insert_header(("Accept-Encoding", "gzip"));

    let plain = world().answer(TestRequest::get().uri(&uri)).await;
    let compressed = world().raw_answer(gzip()).await;

    let weak = format!("W/{}", plain.header("etag").unwrap());
    assert_eq!(compressed.header("etag"), Some(weak.as_str()));
    let again = world().answer(gzip().insert_header(("If-None-Match", weak))).await;
    assert_eq!(again.status, 304);
}

#[actix_web::test]
async fn errors_are_problem_details_for_those_who_ask() {
    let mut world = World::new();
    world.atividades.expect_find().returning(|_| Ok(None));
    let uri = format!("/api/v1/atividades/{}", atividade_id().0);
    let request = TestRequest::get().uri(&uri).insert_header(("Accept", "text/html, application/problem+json;q=0.5"));

    let answer = world.answer(request).await;

    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let expected = json!({
        "type": "about:blank",
        "title": "Recurso não encontrado",
        "status": 404,
        "detail": format!("Atividade com ID {} não encontrada", atividade_id().0),
        "instance": uri,
    });
    assert_eq!((answer.status.as_u16(), answer.json()), (404, expected));
}

#[actix_web::test]
async fn problem_details_of_a_422_have_its_entries() {
    let request = TestRequest::post().uri(LIST).insert_header(("Accept", "application/problem+json"));

    let answer = World::new().answer(request.set_json(json!({"nome": 1}))).await;

    let json = answer.json();
    assert_eq!((json["status"].clone(), json["title"].clone()), (json!(422), json!("Dados inválidos")));
    assert_eq!(json["detail"], "nome: Deve ser um texto; id_projeto: Campo obrigatório");
    assert_eq!(json["errors"][0]["loc"], json!(["body", "nome"]));
}

#[actix_web::test]
async fn every_error_can_be_a_problem_and_no_success_is_one() {
    let problem = ("Accept", "application/problem+json");
    for (request, status) in [
        (TestRequest::get().uri("/nada"), 404),
        (TestRequest::patch().uri(LIST), 405),
        (TestRequest::get().uri("/api/v1/%zz"), 400),
    ] {
        let answer = World::new().answer(request.insert_header(problem)).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (status, &json!(status)));
    }
    let answer = world(1).answer(TestRequest::get().uri(LIST).insert_header(problem)).await;
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    let refused = World::new().answer(TestRequest::get().uri("/nada").insert_header(("Accept", "text/html"))).await;
    assert_eq!(refused.error().0, 404);
}
