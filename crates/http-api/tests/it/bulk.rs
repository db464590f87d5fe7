use actix_web::test::TestRequest;
use domain::testing::{atividade, projeto_id, stored, stored_projeto};
use domain::{Error, Idempotency, Violation};
use mockall::predicate::{always, eq};
use serde_json::{Value, json};

use crate::support::{Response, TestApp};

const LOTE: &str = "/api/v1/atividades/lote";

/// A world that stores whatever it is given.
fn storing() -> TestApp {
    let mut test_app = TestApp::new();
    test_app.atividades.expect_insert_all().returning(|records, _| Ok(records.into_iter().map(stored).collect()));
    test_app
}

async fn posted(test_app: TestApp, body: &Value) -> Response {
    test_app.send(TestRequest::post().uri(LOTE).set_json(body)).await
}

#[actix_web::test]
async fn lote_returns_items_in_request_order() {
    let items: Vec<_> = (0..1000).map(|n| json!({"nome": format!("A{n}"), "id_projeto": projeto_id().0})).collect();

    let response = posted(storing(), &json!({"items": items})).await;

    assert_eq!((response.status.as_u16(), response.json()["total"].as_u64()), (201, Some(1000)));
    let criadas = response.json()["items"].as_array().unwrap().clone();
    assert!(criadas.iter().enumerate().all(|(n, criada)| criada["nome"] == format!("A{n}")));
    assert!(criadas.windows(2).all(|pair| pair[0]["criado_em"].as_str() < pair[1]["criado_em"].as_str()));
}

#[actix_web::test]
async fn lote_with_invalid_items_reports_each_location() {
    let body = json!({"items": [{"ativo": 2, "nome": ""}, {"nome": "A", "id_projeto": projeto_id().0}, 7, {"id_projeto": "x"}]});

    let response = posted(TestApp::new(), &body).await;

    let expected = [
        ("string_too_short", json!(["body", "items", 0, "nome"])),
        ("bool_parsing", json!(["body", "items", 0, "ativo"])),
        ("missing", json!(["body", "items", 0, "id_projeto"])),
        ("model_attributes_type", json!(["body", "items", 2])),
        ("missing", json!(["body", "items", 3, "nome"])),
        ("uuid_parsing", json!(["body", "items", 3, "id_projeto"])),
    ];
    assert_eq!(response.errors(), expected.map(|(code, loc)| (code.to_owned(), loc)));
    let message = response.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("items.2: Deve ser um objeto JSON; items.3.nome: Campo obrigatório"), "{message}");
}

#[actix_web::test]
async fn lote_with_invalid_projetos_reports_each_location() {
    let id = projeto_id().0;
    let items =
        json!([{"nome": "A", "ids_projetos": [id, id]}, {"nome": "B", "ids_projetos": []}, {"ids_projetos": [id]}]);

    let response = posted(TestApp::new(), &json!({"items": items})).await;

    let expected = [
        ("value_error", json!(["body", "items", 0, "ids_projetos", 1])),
        ("too_short", json!(["body", "items", 1, "ids_projetos"])),
        ("missing", json!(["body", "items", 2, "nome"])),
    ];
    assert_eq!(response.errors(), expected.map(|(code, loc)| (code.to_owned(), loc)));
}

#[actix_web::test]
async fn lote_size_is_limited_to_1000() {
    let at = json!(["body", "items"]);
    for (items, code) in [
        (json!([]), "too_short"),
        (json!(vec![json!({}); 1001]), "too_long"),
        (json!({}), "list_type"),
        (json!(null), "list_type"),
    ] {
        let response = posted(TestApp::new(), &json!({"items": items})).await;
        assert_eq!(response.errors(), [(code.to_owned(), at.clone())]);
    }
    assert_eq!(posted(TestApp::new(), &json!({})).await.errors(), [("missing".to_owned(), at)]);
}

#[actix_web::test]
async fn lote_refers_to_at_most_5000_projetos() {
    let ids: Vec<_> = (1..=100).map(uuid::Uuid::from_u128).collect();
    let lote = |last: &[uuid::Uuid]| {
        let mut items = vec![json!({"nome": "A", "ids_projetos": ids}); 49];
        items.push(json!({"nome": "A", "ids_projetos": last}));
        items.push(json!({"nome": "A", "id_projeto": ids[0]}));
        json!({"items": items})
    };

    let largest = posted(storing(), &lote(&ids[..99])).await;
    let refused = posted(TestApp::new(), &lote(&ids)).await;

    assert_eq!(largest.status, 201);
    assert_eq!(refused.errors(), [("value_error".to_owned(), json!(["body", "items"]))]);
    let message = "items: As atividades referem-se a projetos demais: no máximo 5000 ao todo";
    assert_eq!(refused.json()["message"], message);
}

#[actix_web::test]
async fn lote_with_unknown_projetos_reports_each_item() {
    let mut test_app = TestApp::new();
    let unknown = || Error::invalid_items([1], "id_projeto", Violation::UnknownProjeto);
    test_app.atividades.expect_insert_all().returning(move |_, _| Err(unknown()));
    let item = json!({"nome": "A", "id_projeto": projeto_id().0});

    let response = posted(test_app, &json!({"items": [item, item]})).await;

    assert_eq!(response.status, 400);
    assert_eq!(response.json()["errors"][0]["loc"], json!(["body", "items", 1, "id_projeto"]));
}

/// Returns the idempotency record that a request passes to the repository.
async fn idempotency_of(uri: &str, key: &str, body: &str) -> Option<Idempotency> {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(None));
    let mut test_app = TestApp::new();
    let (of_atividades, of_projetos) = (seen.clone(), seen.clone());
    test_app.atividades.expect_insert_all().returning(move |records, idempotency| {
        *of_atividades.lock().unwrap() = idempotency;
        Ok(records.into_iter().map(stored).collect())
    });
    test_app.projetos.expect_insert().returning(move |record, idempotency| {
        *of_projetos.lock().unwrap() = idempotency;
        Ok(stored_projeto(record))
    });
    let request = TestRequest::post().uri(uri).insert_header(("Idempotency-Key", key));
    let response = test_app.send(request.set_payload(body.to_owned())).await;
    assert_eq!(response.status, 201, "{}", response.body);
    seen.lock().unwrap().take()
}

#[actix_web::test]
async fn idempotency_hash_depends_on_path_and_body() {
    let item = format!(r#"{{"nome": "A", "id_projeto": "{}"}}"#, projeto_id().0);
    let first = idempotency_of("/api/v1/atividades", "a-1", &item).await.unwrap();

    assert_eq!((first.usuario.as_str(), first.key.as_str()), ("dev-user-001", "a-1"));
    assert_eq!(idempotency_of("/api/v1/atividades", "a-1", &item).await.as_ref(), Some(&first));
    for (uri, body) in [
        ("/api/v1/atividades", item.replace('A', "B")),
        ("/api/v1/projetos", item.clone()),
        (LOTE, format!(r#"{{"items": [{item}]}}"#)),
    ] {
        assert_ne!(idempotency_of(uri, "a-1", &body).await.unwrap().request, first.request, "{uri} {body}");
    }
}

#[actix_web::test]
async fn criar_with_key_returns_the_same_response() {
    let mut test_app = TestApp::new();
    test_app.atividades.expect_insert_all().returning(|_, _| Ok(vec![atividade("A")]));
    let request = TestRequest::post().uri("/api/v1/atividades").insert_header(("Idempotency-Key", "a"));

    let response = test_app.send(request.set_json(json!({"nome": "A", "id_projeto": projeto_id().0}))).await;

    assert_eq!(response.status, 201);
    let location = format!("/api/v1/atividades/{}", response.json()["id"].as_str().unwrap());
    assert_eq!(response.header("location"), Some(location.as_str()));
    assert!(response.header("etag").is_some());
}

#[actix_web::test]
async fn criar_with_key_and_unknown_projeto_reports_no_item_index() {
    let mut test_app = TestApp::new();
    let unknown = || Error::invalid_items([0], "id_projeto", Violation::UnknownProjeto);
    test_app.atividades.expect_insert_all().with(always(), always()).returning(move |_, _| Err(unknown()));
    let request = TestRequest::post().uri("/api/v1/atividades").insert_header(("Idempotency-Key", "a"));

    let response = test_app.send(request.set_json(json!({"nome": "A", "id_projeto": projeto_id().0}))).await;

    assert_eq!(response.status, 400);
    assert_eq!(response.json()["errors"][0]["loc"], json!(["body", "id_projeto"]));
}

#[actix_web::test]
async fn reused_key_returns_422_and_invalid_key_400() {
    let mut test_app = TestApp::new();
    test_app.projetos.expect_insert().with(always(), always()).returning(|_, _| Err(Error::IdempotencyKeyReused));
    let request = |key: &str| {
        let key = actix_web::http::header::HeaderValue::from_bytes(key.as_bytes()).unwrap();
        TestRequest::post()
            .uri("/api/v1/projetos")
            .insert_header(("Idempotency-Key", key))
            .set_json(json!({"nome": "A"}))
    };

    let reused = test_app.send(request("a")).await;

    assert_eq!(reused.status, 422);
    let text = "A chave de idempotência já foi usada com outra requisição";
    assert_eq!(reused.json(), json!({"detail": text, "message": text}));
    assert_eq!(reused.json()["message"], "A chave de idempotência já foi usada com outra requisição");
    for bad in ["", "a b", "ç", &"x".repeat(256)] {
        let refused = TestApp::new().send(request(bad)).await;
        let detail = "O cabeçalho Idempotency-Key deve ter de 1 a 255 caracteres ASCII visíveis";
        assert_eq!(refused.error(), (400, detail.to_owned()), "{bad}");
    }
}

#[actix_web::test]
async fn criar_without_key_stores_no_key() {
    let mut test_app = TestApp::new();
    test_app.projetos.expect_insert().with(always(), eq(None)).returning(|record, _| Ok(stored_projeto(record)));

    let response = test_app.send(TestRequest::post().uri("/api/v1/projetos").set_json(json!({"nome": "A"}))).await;

    assert_eq!(response.status, 201);
}
