//! Faults of a request: every one at once, with pydantic's codes.

use e2e::client::{Answer, Api, send};
use e2e::server::Aponta;
use reqwest::Method;
use serde_json::json;

const PATH: &str = "/api/v1/atividades";
const NOBODY: &str = "00000000-0000-0000-0000-000000000001";

async fn posted(api: &Api, body: impl Into<reqwest::Body>) -> Answer {
    let request = api.request(Method::POST, PATH).header("Content-Type", "application/json").body(body);
    send(request).await
}

#[tokio::test]
async fn every_code_has_its_place_and_its_limit() {
    let Aponta { api, .. } = &Aponta::start();
    let long = "a".repeat(256);

    for (body, expected, ctx) in [
        (json!({}), vec!["missing body.nome", "missing body.id_projeto"], json!(null)),
        (json!({"nome": 1, "id_projeto": NOBODY}), vec!["string_type body.nome"], json!(null)),
        (json!({"nome": "", "id_projeto": NOBODY}), vec!["string_too_short body.nome"], json!({"min_length": 1})),
        (json!({"nome": " \t\n", "id_projeto": NOBODY}), vec!["string_too_short body.nome"], json!({"min_length": 1})),
        (json!({"nome": long, "id_projeto": NOBODY}), vec!["string_too_long body.nome"], json!({"max_length": 255})),
        (json!({"nome": "a\u{0}b", "id_projeto": NOBODY}), vec!["value_error body.nome"], json!(null)),
        (
            json!({"nome": "a\u{1b}b", "descricao": "a\u{7f}", "id_projeto": NOBODY}),
            vec!["value_error body.nome", "value_error body.descricao"],
            json!(null),
        ),
        (json!({"nome": "A", "descricao": [], "id_projeto": NOBODY}), vec!["string_type body.descricao"], json!(null)),
        (json!({"nome": "A", "ativo": [], "id_projeto": NOBODY}), vec!["bool_type body.ativo"], json!(null)),
        (json!({"nome": "A", "ativo": null, "id_projeto": NOBODY}), vec!["bool_type body.ativo"], json!(null)),
        (json!({"nome": "A", "id_projeto": "x"}), vec!["uuid_parsing body.id_projeto"], json!(null)),
        (json!({"nome": "A", "id_projeto": 7}), vec!["uuid_type body.id_projeto"], json!(null)),
        (
            json!({"id_projeto": "x", "ativo": null, "nome": ""}),
            vec!["string_too_short body.nome", "bool_type body.ativo", "uuid_parsing body.id_projeto"],
            json!({"min_length": 1}),
        ),
        (json!([]), vec!["model_attributes_type body"], json!(null)),
        (json!("texto"), vec!["model_attributes_type body"], json!(null)),
        (json!(null), vec!["missing body"], json!(null)),
    ] {
        let answer = api.post(PATH, &body).await;
        assert_eq!(answer.faults(), expected, "{body}");
        assert_eq!(answer.json()["detail"][0]["ctx"], ctx, "{body}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_is_told_by_its_offset() {
    let Aponta { api, .. } = &Aponta::start();

    for (body, expected) in [
        ("", "missing body"),
        ("  ", "missing body"),
        ("{", "json_invalid body.1"),
        ("{\"nome\": }", "json_invalid body.9"),
        ("nonsense", "json_invalid body.1"),
        ("{\"nome\": \"\\ud800\", \"id_projeto\": 1}", "json_invalid body.16"),
    ] {
        assert_eq!(posted(api, body).await.faults(), [expected], "{body}");
    }
    assert_eq!(posted(api, b"{\"nome\": \"\xff\"}".to_vec()).await.status, 422);
    let deep = posted(api, "[".repeat(100_000)).await;
    assert_eq!(deep.status, 422);
    let huge = posted(api, "{\"nome\": \"A\", \"id_projeto\": 1e999}").await;
    assert_eq!(huge.status, 422);
}

#[tokio::test]
async fn faults_of_path_and_query_come_with_those_of_the_body() {
    let Aponta { api, .. } = &Aponta::start();

    let path = api.put(&format!("{PATH}/x"), &json!({"nome": ""})).await;
    let query = api.get(&format!("{PATH}?limit=0&skip=-1&ativo=talvez&id_projeto=x")).await;

    assert_eq!(path.faults(), ["uuid_parsing path.atividade_id", "string_too_short body.nome"]);
    let expected = [
        "greater_than_equal query.skip",
        "greater_than_equal query.limit",
        "bool_parsing query.ativo",
        "uuid_parsing query.id_projeto",
    ];
    assert_eq!(query.faults(), expected);
    assert_eq!(query.json()["detail"][1]["ctx"], json!({"ge": 1}));
    let over = api.get(&format!("{PATH}?limit=1001&skip=9223372036854775808")).await;
    assert_eq!(over.faults(), ["int_parsing query.skip", "less_than_equal query.limit"]);
    for skip in ["", "1.0", "um", "1e3"] {
        assert_eq!(api.get(&format!("{PATH}?skip={skip}")).await.faults(), ["int_parsing query.skip"]);
    }
}
