use actix_web::test::TestRequest;
use serde_json::Value;

use crate::support::World;

async fn document() -> Value {
    World::new().answer(TestRequest::get().uri("/openapi.json")).await.json()
}

#[actix_web::test]
async fn the_description_names_every_operation() {
    let document = document().await;

    assert_eq!(document["openapi"], "3.0.3");
    let paths = document["paths"].as_object().unwrap();
    let operations: Vec<String> = paths
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| format!("{method} {path}")))
        .collect();
    insta::assert_json_snapshot!(operations, @r#"
    [
      "get /",
      "get /api/v1",
      "get /api/v1/atividades",
      "post /api/v1/atividades",
      "post /api/v1/atividades/lote",
      "delete /api/v1/atividades/{id}",
      "get /api/v1/atividades/{id}",
      "put /api/v1/atividades/{id}",
      "get /api/v1/integracao/projetos",
      "post /api/v1/integracao/sincronizar",
      "get /api/v1/projetos",
      "post /api/v1/projetos",
      "delete /api/v1/projetos/{id}",
      "get /api/v1/projetos/{id}",
      "put /api/v1/projetos/{id}",
      "get /health",
      "get /healthz"
    ]
    "#);
}

#[actix_web::test]
async fn every_operation_says_what_it_does_and_how_it_fails() {
    let document = document().await;

    // Comments of the code are English, and so would be what they become by mistake.
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let description = schema["description"].as_str().unwrap_or_default();
        assert!(!description.starts_with("A ") && !description.contains(" the "), "{name}: {description}");
        assert!(name == "Proximo" || !schema["example"].is_null(), "{name} has no example");
    }
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{method} {path}");
            for text in ["summary", "description", "operationId"] {
                assert!(operation[text].as_str().is_some_and(|text| !text.contains('\\')), "{name}: {text}");
            }
            let answers = operation["responses"].as_object().unwrap();
            assert!(answers.keys().any(|status| status.starts_with('2')), "{name}");
            let is_public = operation["security"].as_array().is_some_and(Vec::is_empty);
            assert_eq!(answers.contains_key("401"), !is_public, "{name}");
        }
    }
}
