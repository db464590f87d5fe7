use actix_web::test::TestRequest;
use domain::testing::{atividade, projeto_id, stored, stored_projeto};
use domain::{Error, Idempotency, Violation};
use mockall::predicate::{always, eq};
use serde_json::{Value, json};

use crate::support::{Answer, World};

const LOTE: &str = "/api/v1/atividades/lote";

/// A world that stores whatever it is given.
fn storing() -> World {
    let mut world = World::new();
    world.atividades.expect_insert_all().returning(|records, _| Ok(records.into_iter().map(stored).collect()));
    world
}

async fn posted(world: World, body: &Value) -> Answer {
    world.answer(TestRequest::post().uri(LOTE).set_json(body)).await
}

#[actix_web::test]
async fn a_lote_is_answered_in_its_order() {
    let items: Vec<_> = (0..1000).map(|n| json!({"nome": format!("A{n}"), "id_projeto": projeto_id().0})).collect();

    let answer = posted(storing(), &json!({"items": items})).await;

    assert_eq!((answer.status.as_u16(), answer.json()["total"].as_u64()), (201, Some(1000)));
    let criadas = answer.json()["items"].as_array().unwrap().clone();
    assert!(criadas.iter().enumerate().all(|(n, criada)| criada["nome"] == format!("A{n}")));
    assert!(criadas.windows(2).all(|pair| pair[0]["criado_em"].as_str() < pair[1]["criado_em"].as_str()));
}

#[actix_web::test]
async fn every_fault_of_a_lote_has_the_place_of_its_item() {
    let body = json!({"items": [{"ativo": 1, "nome": ""}, {"nome": "A", "id_projeto": projeto_id().0}, 7, {"id_projeto": "x"}]});

    let answer = posted(World::new(), &body).await;

    let expected = [
        ("string_too_short", json!(["body", "items", 0, "nome"])),
        ("bool_type", json!(["body", "items", 0, "ativo"])),
        ("missing", json!(["body", "items", 0, "id_projeto"])),
        ("model_attributes_type", json!(["body", "items", 2])),
        ("missing", json!(["body", "items", 3, "nome"])),
        ("uuid_parsing", json!(["body", "items", 3, "id_projeto"])),
    ];
    assert_eq!(answer.faults(), expected.map(|(code, loc)| (code.to_owned(), loc)));
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("items.2: Deve ser um objeto JSON; items.3.nome: Campo obrigatório"), "{message}");
}

#[actix_web::test]
async fn a_lote_has_from_1_to_1000_items() {
    let at = json!(["body", "items"]);
    for (items, code) in [
        (json!([]), "too_short"),
        (json!(vec![json!({}); 1001]), "too_long"),
        (json!({}), "list_type"),
        (json!(null), "list_type"),
    ] {
        let answer = posted(World::new(), &json!({"items": items})).await;
        assert_eq!(answer.faults(), [(code.to_owned(), at.clone())]);
    }
    assert_eq!(posted(World::new(), &json!({})).await.faults(), [("missing".to_owned(), at)]);
}

#[actix_web::test]
async fn unknown_projetos_of_a_lote_are_told_by_their_items() {
    let mut world = World::new();
    let unknown = || Error::invalid_items([1], "id_projeto", Violation::UnknownProjeto);
    world.atividades.expect_insert_all().returning(move |_, _| Err(unknown()));
    let item = json!({"nome": "A", "id_projeto": projeto_id().0});

    let answer = posted(world, &json!({"items": [item, item]})).await;

    assert_eq!(answer.faults(), [("value_error".to_owned(), json!(["body", "items", 1, "id_projeto"]))]);
}

/// What the key of a request becomes.
async fn once_of(uri: &str, key: &str, body: &str) -> Option<Idempotency> {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(None));
    let mut world = World::new();
    let (of_atividades, of_projetos) = (seen.clone(), seen.clone());
    world.atividades.expect_insert_all().returning(move |records, once| {
        *of_atividades.lock().unwrap() = once;
        Ok(records.into_iter().map(stored).collect())
    });
    world.projetos.expect_insert().returning(move |record, once| {
        *of_projetos.lock().unwrap() = once;
        Ok(stored_projeto(record))
    });
    let request = TestRequest::post().uri(uri).insert_header(("Idempotency-Key", key));
    let answer = world.answer(request.set_payload(body.to_owned())).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    seen.lock().unwrap().take()
}

#[actix_web::test]
async fn a_key_goes_with_what_the_request_says() {
    let item = format!(r#"{{"nome": "A", "id_projeto": "{}"}}"#, projeto_id().0);
    let first = once_of("/api/v1/atividades", "a-1", &item).await.unwrap();

    assert_eq!((first.usuario.as_str(), first.key.as_str()), ("dev-user-001", "a-1"));
    assert_eq!(once_of("/api/v1/atividades", "a-1", &item).await.as_ref(), Some(&first));
    for (uri, body) in [
        ("/api/v1/atividades", item.replace('A', "B")),
        ("/api/v1/projetos", item.clone()),
        (LOTE, format!(r#"{{"items": [{item}]}}"#)),
    ] {
        assert_ne!(once_of(uri, "a-1", &body).await.unwrap().request, first.request, "{uri} {body}");
    }
}

#[actix_web::test]
async fn a_keyed_atividade_is_answered_like_any_other() {
    let mut world = World::new();
    world.atividades.expect_insert_all().returning(|_, _| Ok(vec![atividade("A")]));
    let request = TestRequest::post().uri("/api/v1/atividades").insert_header(("Idempotency-Key", "a"));

    let answer = world.answer(request.set_json(json!({"nome": "A", "id_projeto": projeto_id().0}))).await;

    assert_eq!(answer.status, 201);
    let location = format!("/api/v1/atividades/{}", answer.json()["id"].as_str().unwrap());
    assert_eq!(answer.header("location"), Some(location.as_str()));
    assert!(answer.header("etag").is_some());
}

#[actix_web::test]
async fn faults_of_a_keyed_atividade_have_no_place_in_a_list() {
    let mut world = World::new();
    let unknown = || Error::invalid_items([0], "id_projeto", Violation::UnknownProjeto);
    world.atividades.expect_insert_all().with(always(), always()).returning(move |_, _| Err(unknown()));
    let request = TestRequest::post().uri("/api/v1/atividades").insert_header(("Idempotency-Key", "a"));

    let answer = world.answer(request.set_json(json!({"nome": "A", "id_projeto": projeto_id().0}))).await;

    assert_eq!(answer.faults(), [("value_error".to_owned(), json!(["body", "id_projeto"]))]);
}

#[actix_web::test]
async fn a_key_of_another_request_is_a_fault_and_what_is_no_key_is_refused() {
    let mut world = World::new();
    world.projetos.expect_insert().with(always(), always()).returning(|_, _| Err(Error::IdempotencyKeyReused));
    let request = |key: &str| {
        let key = actix_web::http::header::HeaderValue::from_bytes(key.as_bytes()).unwrap();
        TestRequest::post()
            .uri("/api/v1/projetos")
            .insert_header(("Idempotency-Key", key))
            .set_json(json!({"nome": "A"}))
    };

    let reused = world.answer(request("a")).await;

    assert_eq!(reused.faults(), [("value_error".to_owned(), json!(["body"]))]);
    assert_eq!(reused.json()["message"], "A chave de idempotência já foi usada com outra requisição");
    for bad in ["", "a b", "ç", &"x".repeat(256)] {
        let refused = World::new().answer(request(bad)).await;
        let detail = "O cabeçalho Idempotency-Key deve ter de 1 a 255 caracteres ASCII visíveis";
        assert_eq!(refused.error(), (400, detail.to_owned()), "{bad}");
    }
}

#[actix_web::test]
async fn without_a_key_nothing_is_remembered() {
    let mut world = World::new();
    world.projetos.expect_insert().with(always(), eq(None)).returning(|record, _| Ok(stored_projeto(record)));

    let answer = world.answer(TestRequest::post().uri("/api/v1/projetos").set_json(json!({"nome": "A"}))).await;

    assert_eq!(answer.status, 201);
}
