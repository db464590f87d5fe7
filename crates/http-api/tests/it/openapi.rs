use actix_web::test::TestRequest;
use serde_json::Value;

use crate::support::TestApp;

async fn document() -> Value {
    TestApp::new().send(TestRequest::get().uri("/openapi.json")).await.json()
}

#[actix_web::test]
async fn spec_lists_every_operation() {
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
      "get /api/v1/apontamentos",
      "post /api/v1/apontamentos",
      "post /api/v1/apontamentos/lote",
      "get /api/v1/apontamentos/work-item/{work_item_id}",
      "get /api/v1/apontamentos/work-item/{work_item_id}/azure-info",
      "get /api/v1/apontamentos/work-item/{work_item_id}/resumo",
      "delete /api/v1/apontamentos/{apontamento_id}",
      "get /api/v1/apontamentos/{apontamento_id}",
      "put /api/v1/apontamentos/{apontamento_id}",
      "get /api/v1/atividades",
      "post /api/v1/atividades",
      "get /api/v1/atividades/gestao",
      "post /api/v1/atividades/lote",
      "delete /api/v1/atividades/{atividade_id}",
      "get /api/v1/atividades/{atividade_id}",
      "put /api/v1/atividades/{atividade_id}",
      "get /api/v1/integracao/projetos",
      "post /api/v1/integracao/reenviar",
      "post /api/v1/integracao/sincronizar",
      "get /api/v1/iterations",
      "get /api/v1/iterations/{iteration_id}/work-items",
      "get /api/v1/projetos",
      "post /api/v1/projetos",
      "delete /api/v1/projetos/{projeto_id}",
      "get /api/v1/projetos/{projeto_id}",
      "put /api/v1/projetos/{projeto_id}",
      "get /api/v1/relatorios/horas",
      "get /api/v1/teams",
      "get /api/v1/timesheet",
      "get /api/v1/user",
      "get /api/v1/work-items/search",
      "get /health",
      "get /healthz"
    ]
    "#);
}

#[actix_web::test]
async fn spec_describes_each_operation_and_its_errors() {
    let document = document().await;

    // A doc comment in English would become an English description.
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
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{name}");
            let is_public = operation["security"].as_array().is_some_and(Vec::is_empty);
            for status in ["401", "403", "429", "500", "502", "503", "504"] {
                assert!(is_public || responses.contains_key(status), "{name}: {status}");
            }
            assert_eq!(responses.contains_key("401"), !is_public, "{name}");
            for (status, response) in responses {
                let response = resolved(&document, response);
                assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{name}: {status}");
                assert!(response["headers"]["X-Request-ID"].is_object(), "{name}: {status}");
                let is_problem = response["content"]["application/problem+json"].is_object();
                assert_eq!(is_problem, !is_public && "400" <= status.as_str(), "{name}: {status}");
            }
        }
    }
}

/// Resolves a reference.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(object) => {
            let own = object.get("$ref").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(object.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => vec![],
    }
}

#[actix_web::test]
async fn spec_references_resolve_and_errors_have_examples() {
    let document = document().await;

    for reference in references(&document) {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    let mut texts = std::collections::BTreeSet::new();
    for (name, response) in document["components"]["responses"].as_object().unwrap() {
        let example = |kind: &str| response["content"][kind]["example"].clone();
        let problem = example("application/problem+json");
        assert_eq!(format!("Erro{}", problem["status"]), *name);
        assert_eq!(problem["detail"], example("application/json")["message"], "{name}");
        assert!(texts.insert(problem["detail"].to_string()), "{name} says what another one says");
        let waits = ["Erro429", "Erro503"].contains(&name.as_str());
        assert_eq!(response["headers"]["Retry-After"].is_object(), waits, "{name}");
    }
    let atividade = &document["components"]["schemas"]["Atividade"];
    assert_eq!(atividade["required"].as_array().unwrap().len(), atividade["properties"].as_object().unwrap().len());
}
