//! What apistos does not say of the operations, said in one place for all of them.

use serde_json::{Map, Value, json};

use crate::error::openapi as errors;

/// What the bodies of answers always have, null where there is nothing.
const WHOLE: [&str; 2] = ["Atividade", "Projeto"];

/// What success means where a type of answer does not say.
const SUCCESSES: [(&str, &str); 7] = [
    ("obter_raiz", "O processo atende"),
    ("obter_vida", "O processo atende"),
    ("obter_informacoes", "As informações"),
    ("listar_projetos", "Os projetos"),
    ("listar_projetos_azure", "Os projetos, como o Azure DevOps os descreve"),
    ("sincronizar_projetos", "O que a sincronização fez"),
    ("atualizar_projeto", "O recurso como ficou"),
];

/// The description with what holds for all operations: their errors, and the headers that come and go.
pub fn complete(mut document: Value) -> Value {
    let paths = document.pointer_mut("/paths").and_then(Value::as_object_mut);
    for item in paths.into_iter().flat_map(Map::values_mut) {
        for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
            complete_operation(operation);
        }
    }
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    if let Some(schemas) = schemas {
        schemas.extend(errors::schemas());
        for name in WHOLE {
            schemas.get_mut(name).map(require_all);
        }
    }
    if let Some(components) = document.pointer_mut("/components").and_then(Value::as_object_mut) {
        components.insert("responses".to_owned(), errors::responses().into());
        components.insert("headers".to_owned(), headers());
        components.insert("parameters".to_owned(), parameters());
    }
    document
}

fn complete_operation(operation: &mut Value) {
    let is_public = operation.get("security").and_then(Value::as_array).is_some_and(Vec::is_empty);
    let name = operation.get("operationId").and_then(Value::as_str).unwrap_or_default().to_owned();
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    if !is_public {
        let own = responses.keys().filter(|status| status.starts_with('4')).cloned().collect::<Vec<_>>();
        for status in own.iter().map(String::as_str).chain(errors::COMMON) {
            responses.insert(status.to_owned(), reference("responses", &errors::name(status)));
        }
        if responses.contains_key("204") {
            // Whoever gets nothing takes it in any format.
            responses.remove("406");
        }
    }
    let is_conditional = responses.contains_key("304");
    for (status, response) in responses {
        let Some(response) = response.as_object_mut().filter(|response| !response.contains_key("$ref")) else {
            continue;
        };
        let headers = response.entry("headers").or_insert_with(|| json!({}));
        let more = match status.as_str() {
            "304" => Some("ETag"),
            "503" => Some("Retry-After"),
            _ => None,
        };
        for header in more.into_iter().chain(["X-Request-ID"]) {
            headers.as_object_mut().map(|headers| headers.insert(header.to_owned(), reference("headers", header)));
        }
        let success = SUCCESSES.iter().find(|(operation, _)| *operation == name);
        if let (Some((_, description)), "200") = (success, status.as_str()) {
            response.insert("description".to_owned(), (*description).into());
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
