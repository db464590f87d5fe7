//! Clients show `detail` to people, so it is an array only if the form of the request is invalid. Each operation of the
//! OpenAPI document is called in every way that it can refuse.

use e2e::client::{Response, send};
use e2e::server::Aponta;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

const UNKNOWN: &str = "00000000-0000-4000-8000-000000000009";

/// An operation of the document, with an id that exists in its path.
struct Operation {
    name: String,
    method: Method,
    path: String,
    description: Value,
}

impl Operation {
    fn request(&self, aponta: &Aponta, path: &str) -> RequestBuilder {
        aponta.api.request(self.method.clone(), path)
    }

    fn has_body(&self) -> bool {
        self.description["requestBody"].is_object()
    }

    fn has_parameter(&self, document: &Value, name: &str) -> bool {
        let parameters = self.description["parameters"].as_array().cloned().unwrap_or_default();
        parameters.iter().any(|parameter| resolved(document, parameter)["name"] == name)
    }

    /// Whether a property of the body, or of an item in it, is `id_projeto`.
    fn refers_to_projeto(&self, document: &Value) -> bool {
        let schema = &self.description["requestBody"]["content"]["application/json"]["schema"];
        let schema = resolved(document, schema);
        let items = resolved(document, &schema["properties"]["items"]["items"]);
        [schema, items].iter().any(|schema| schema["properties"]["id_projeto"].is_object())
    }
}

fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

/// A body that creates any resource, or an item of one.
fn new_resource(nome: &str, projeto: &str, atividade: &str) -> Value {
    json!({
        "nome": nome, "id_projeto": projeto, "id_atividade": atividade, "work_item_id": 1, "duracao": "0:01",
        "data_apontamento": "2026-11-27", "comentario": nome, "organization_name": "exemplo", "project_id": projeto,
    })
}

async fn operations(aponta: &Aponta, document: &Value, projeto: &str, atividade: &str) -> Vec<Operation> {
    let entry = aponta.api.post("/api/v1/apontamentos", &new_resource("A", projeto, atividade)).await.expect(201);
    let entry = entry["id"].as_str().unwrap();
    let mut found = Vec::new();
    for (template, item) in document["paths"].as_object().unwrap() {
        for (method, description) in item.as_object().unwrap() {
            let path = template.replace("{atividade_id}", atividade).replace("{projeto_id}", projeto);
            let path = path.replace("{apontamento_id}", entry).replace("{work_item_id}", "1");
            let path = path.replace("{iteration_id}", UNKNOWN);
            assert!(!path.contains('{'), "{template}: this test knows no id for it");
            // The parameters that these operations require.
            let path = if template.contains("/work-item/") {
                format!("{path}?organization_name=exemplo&project_id={projeto}")
            } else if template.ends_with("/relatorios/horas") {
                format!("{path}?de=2026-11-01&ate=2026-11-30&agrupar=projeto")
            } else {
                path
            };
            let method: Method = method.to_uppercase().parse().unwrap();
            found.push(Operation {
                name: format!("{method} {template}"),
                method,
                path,
                description: description.clone(),
            });
        }
    }
    found
}

/// Asserts that the response is an error of the document whose `detail` is a text.
#[track_caller]
fn assert_text(operation: &Operation, status: u16, response: &Response) {
    assert_eq!(response.status, status, "{}: {}", operation.name, response.text);
    let text = response.error(status);
    assert!(!text.is_empty() && !text.contains("[object"), "{}", operation.name);
    assert!(operation.description["responses"][status.to_string()].is_object(), "{}: {status}", operation.name);
}

#[tokio::test]
async fn every_operation_refuses_with_a_text_unless_the_form_is_invalid() {
    let aponta = Aponta::start();
    let document = aponta.api.get("/openapi.json").await.json();
    let projeto = aponta.api.projeto("Portal").await;
    let atividade = aponta.api.atividade("A", &projeto).await;
    let mut refusals = 0;

    for operation in operations(&aponta, &document, &projeto, &atividade).await {
        let (request, path) = (|path: &str| operation.request(&aponta, path), operation.path.as_str());
        let mut refused = Vec::new();
        if operation.has_body() {
            refused.push((415, send(request(path).header("Content-Type", "text/plain").body("a")).await));
            refused.push((413, send(request(path).json(&json!({"nome": "a".repeat(1024 * 1024)}))).await));
            let invalid = send(request(path).json(&json!({"nome": 1, "duracao": 1, "items": 1}))).await;
            assert!(!invalid.faults().is_empty(), "{}", operation.name);
        }
        if operation.refers_to_projeto(&document) {
            let item = json!({"nome": "A", "id_projeto": UNKNOWN});
            let body = json!({"nome": "A", "id_projeto": UNKNOWN, "items": [item]});
            let response = send(request(path).json(&body)).await;
            assert_eq!(response.json()["detail"], format!("Projeto não encontrado: {UNKNOWN}"), "{}", operation.name);
            let field = &response.json()["errors"][0];
            assert_eq!(field["loc"].as_array().unwrap().last().unwrap(), "id_projeto", "{}", operation.name);
            refused.push((400, response));
        }
        if operation.has_parameter(&document, "If-Match") {
            let stale = request(path).header("If-Match", "\"antigo\"").json(&json!({}));
            refused.push((412, send(stale).await));
        }
        if operation.has_parameter(&document, "Idempotency-Key") {
            // Keys are those of a user, whatever the operation.
            let keyed = |nome: &str| {
                let mut body = new_resource(nome, &projeto, &atividade);
                body["items"] = json!([body]);
                send(request(path).header("Idempotency-Key", path).json(&body))
            };
            let _ = keyed("A").await.expect(201);
            refused.push((422, keyed("B").await));
        }
        if let Some((base, _)) = path.rsplit_once('/').filter(|(_, id)| uuid::Uuid::parse_str(id).is_ok()) {
            refused.push((404, send(request(&format!("{base}/{UNKNOWN}")).json(&json!({}))).await));
            let malformed = send(request(&format!("{base}/x")).json(&json!({}))).await;
            assert!(!malformed.faults().is_empty(), "{}", operation.name);
        }
        if path.starts_with("/api/v1/") && operation.description["responses"]["406"].is_object() {
            refused.push((406, send(request(path).header("Accept", "image/png").json(&json!({}))).await));
        }
        let deletes_used_projeto = operation.method == Method::DELETE && path.contains("/projetos/");
        if deletes_used_projeto || path.starts_with("/api/v1/integracao/") {
            refused.push((409, send(request(path)).await));
        }
        for (status, response) in refused {
            assert_text(&operation, status, &response);
            refusals += 1;
        }
    }
    assert!(30 <= refusals, "only {refusals} refusals");
}
