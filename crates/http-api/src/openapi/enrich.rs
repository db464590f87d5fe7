//! Completes the description of apistos: error responses, headers, descriptions and required fields.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::errors;

/// Adds to each operation what holds for all of them.
pub fn enrich(mut document: Value) -> Value {
    let mut resources = BTreeSet::new();
    let schemas = document.pointer("/components/schemas").cloned().unwrap_or_default();
    let paths = document.pointer_mut("/paths").and_then(Value::as_object_mut);
    for item in paths.into_iter().flat_map(Map::values_mut) {
        for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
            resources.extend(resource_of(operation));
            enrich_operation(operation, &schemas);
        }
    }
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        schemas.extend(errors::schemas());
        for name in resources {
            schemas.get_mut(&name).map(require_all);
        }
    }
    if let Some(components) = document.pointer_mut("/components").and_then(Value::as_object_mut) {
        components.insert("responses".to_owned(), errors::responses().into());
        components.insert("headers".to_owned(), headers());
        components.insert("parameters".to_owned(), parameters());
    }
    document
}

/// Returns the schema of the resource that an operation responds with, which is the one with an `ETag`.
fn resource_of(operation: &Value) -> Option<String> {
    let response =
        operation.pointer("/responses/200").filter(|response| response.pointer("/headers/ETag").is_some())?;
    schema_name(response.pointer("/content/application~1json/schema")?)
}

fn schema_name(schema: &Value) -> Option<String> {
    schema.get("$ref")?.as_str()?.rsplit('/').next().map(str::to_owned)
}

fn enrich_operation(operation: &mut Value, schemas: &Value) {
    let is_public = operation.get("security").and_then(Value::as_array).is_some_and(Vec::is_empty);
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    if !is_public {
        let own = responses.keys().filter(|status| status.starts_with('4')).cloned().collect::<Vec<_>>();
        for status in own.iter().map(String::as_str).chain(errors::COMMON_ERRORS) {
            responses.insert(status.to_owned(), reference("responses", &errors::name(status)));
        }
        if responses.contains_key("204") {
            // A response without a body is acceptable to every client.
            responses.remove("406");
        }
    }
    let is_conditional = responses.contains_key("304");
    for (status, response) in responses {
        if let Some(response) = response.as_object_mut().filter(|response| !response.contains_key("$ref")) {
            enrich_response(status, response, schemas);
        }
    }
    let sent = [(is_conditional, "If-None-Match"), (!is_public, "X-Azure-Access-Token")];
    let sent: Vec<_> = sent.into_iter().filter(|(is_read, _)| *is_read).map(|(_, name)| name).collect();
    if let (false, Some(operation)) = (sent.is_empty(), operation.as_object_mut()) {
        let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
        if let Some(parameters) = parameters.as_array_mut() {
            parameters.extend(sent.into_iter().map(|name| reference("parameters", name)));
        }
    }
}

fn enrich_response(status: &str, response: &mut Map<String, Value>, schemas: &Value) {
    let more = match status {
        "304" => Some("ETag"),
        "503" => Some("Retry-After"),
        _ => None,
    };
    let headers = response.entry("headers").or_insert_with(|| json!({}));
    for header in more.into_iter().chain(["X-Request-ID"]) {
        headers.as_object_mut().map(|headers| headers.insert(header.to_owned(), reference("headers", header)));
    }
    let has_description = response.get("description").and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    if !has_description && let Some(description) = description_of(response, schemas) {
        response.insert("description".to_owned(), description.into());
    }
}

/// Returns the description of the schema of a response, or that of its items.
fn description_of(response: &Map<String, Value>, schemas: &Value) -> Option<String> {
    let schema = response.get("content")?.pointer("/application~1json/schema")?;
    let (prefix, schema) = schema.get("items").map_or(("", schema), |items| ("Lista: ", items));
    let description = schemas.get(schema_name(schema)?)?.get("description")?.as_str()?;
    let sentence = description.split(['.', ';']).next().unwrap_or(description);
    Some(format!("{prefix}{sentence}"))
}

/// Makes all fields required: a resource is always serialized with all of them, null included.
fn require_all(schema: &mut Value) {
    let names = schema.get("properties").and_then(Value::as_object).map(|all| all.keys().cloned().collect::<Vec<_>>());
    if let (Some(names), Some(schema)) = (names, schema.as_object_mut()) {
        schema.insert("required".to_owned(), names.into());
    }
}

fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

fn headers() -> Value {
    let text = |description: &str, example: &str| json!({"description": description, "schema": {"type": "string"}, "example": example});
    json!({
        "ETag": text("Identifica esta representação, para If-None-Match e If-Match", "\"3q2-7wAAAAAAAAAAAAAAAA\""),
        "RateLimit": text(
            "O que resta à pessoa: `r` requisições agora, a cota inteira daqui a `t` segundos. Em toda resposta a uma \
             pessoa autenticada, se o serviço limita requisições por pessoa",
            "\"pessoa\";r=0;t=3",
        ),
        "RateLimit-Policy": text(
            "A cota de cada pessoa: `q` requisições em `w` segundos, nas mesmas respostas que `RateLimit`",
            "\"pessoa\";q=21;w=3",
        ),
        "Retry-After": {
            "description": "Daqui a quantos segundos vale tentar de novo",
            "schema": {"type": "integer", "minimum": 1},
            "example": 5,
        },
        "WWW-Authenticate": text("O esquema de autenticação", "Bearer"),
        "X-Request-ID": text(
            "Identifica a requisição nos logs: o valor que o cliente enviou neste cabeçalho (até 128 caracteres de \
             `[A-Za-z0-9._-]`) ou um novo",
            "019ab120-3c41-7be2-8a5f-6d09e4c7b218",
        ),
    })
}

fn parameters() -> Value {
    let header = |name: &str, description: &str| {
        (
            name.to_owned(),
            json!({"name": name, "in": "header", "description": description, "schema": {"type": "string"}}),
        )
    };
    let all = [
        header("If-None-Match", "Só se a representação não for nenhuma destas (ETag); senão, 304."),
        header(
            "X-Azure-Access-Token",
            "Obrigatório com um token da extensão (`getAppToken`): o token de acesso do mesmo usuário (`getAccessToken`), \
             que a organização precisa aceitar. Com ele o Azure DevOps é consultado.",
        ),
    ];
    Map::from_iter(all).into()
}
