//! Error responses in OpenAPI: each status with its description, and the two shapes of a body.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use apistos::ApiErrorComponent;
use apistos::paths::Response;
use apistos::reference_or::ReferenceOr;
use domain::{Conflict, Service};
use schemars::JsonSchema;
use schemars::r#gen::SchemaSettings;
use schemars::schema::Schema;
use serde_json::{Map, Value, json};

use crate::error::{ApiError, messages_pt};
use crate::openapi::examples;

/// Status, description and example of each error but [`VALIDATION`].
const EXAMPLES: [(&str, &str, &str); 15] = [
    ("400", "A requisição não pode ser lida, ou um id não existe", messages_pt::UNREADABLE_BODY),
    ("401", "Token ausente, inválido ou expirado", messages_pt::CREDENTIAL_REJECTED),
    ("403", "O token não possui as permissões necessárias", messages_pt::FORBIDDEN),
    ("404", "Recurso não encontrado", "Atividade com ID 019ab120-3c41-7be2-8a5f-6d09e4c7b218 não encontrada"),
    ("406", "A resposta não existe em nenhum dos formatos de Accept", messages_pt::NOT_ACCEPTABLE),
    ("408", "O corpo não chegou a tempo", messages_pt::BODY_TOO_SLOW),
    ("409", "Conflito com o estado atual", messages_pt::conflict(Conflict::ProjetoComAtividades)),
    ("412", "O recurso mudou desde que foi lido (If-Match)", messages_pt::CHANGED),
    ("413", "Corpo maior que 1 MiB", messages_pt::BODY_TOO_LARGE),
    ("415", "O corpo não é JSON", messages_pt::NOT_JSON),
    ("429", "Requisições demais", messages_pt::TOO_MANY),
    ("500", "Erro interno", messages_pt::INTERNAL),
    ("502", "O Azure DevOps respondeu com um erro", messages_pt::bad_upstream(Service::AzureDevOps)),
    (
        "503",
        "Banco de dados ou Azure DevOps indisponível, ou respostas demais em andamento",
        messages_pt::unavailable(Service::Database),
    ),
    ("504", "O Azure DevOps não respondeu a tempo", messages_pt::timed_out(Service::AzureDevOps)),
];

const VALIDATION: &str = "422";

/// The error statuses of every operation with authentication.
pub const COMMON_ERRORS: [&str; 9] = ["400", "401", "403", "406", "429", "500", "502", "503", "504"];

/// Um erro.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what `ErrorBody` serializes")]
#[schemars(example = "crate::openapi::examples::erro")]
struct Erro {
    /// O que houve, em palavras.
    detail: String,
    /// O mesmo que `detail`.
    message: String,
    /// Os campos de que `detail` fala, se há.
    #[schemars(default)]
    errors: Option<Vec<Falha>>,
}

/// Os dados da requisição são inválidos.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what `ErrorBody` serializes")]
#[schemars(example = "crate::openapi::examples::erro_de_validacao")]
struct ErroDeValidacao {
    /// Todas as falhas da requisição; em palavras, quando não são da forma de um campo.
    detail: Falhas,
    /// As falhas em palavras.
    message: String,
    /// Os campos de que se trata, quando `detail` está em palavras.
    #[schemars(default)]
    errors: Vec<Falha>,
}

/// Uma lista de falhas, ou um texto.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes what `ErrorBody` serializes")]
enum Falhas {
    Lista(Vec<Falha>),
    Texto(String),
}

/// Um erro como problem details (RFC 9457), para quem o pede com `Accept: application/problem+json`.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what `middleware::problem` serializes")]
#[schemars(example = "crate::openapi::examples::problema")]
struct Problema {
    /// Sempre about:blank: o status diz o que houve.
    r#type: String,
    /// O que o status quer dizer.
    title: String,
    /// O status.
    status: u16,
    /// O que houve, em palavras.
    detail: String,
    /// O caminho em que houve.
    instance: String,
    /// As falhas de um 422, ou os campos de que `detail` fala.
    #[schemars(default)]
    errors: Vec<Falha>,
}

/// Uma falha da requisição.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what `ValidationError` serializes")]
struct Falha {
    /// Código da falha, como no pydantic 2.
    r#type: String,
    /// Onde: `body`, `query` ou `path` e o caminho até o valor.
    loc: Vec<Passo>,
    /// A falha em palavras.
    msg: String,
    /// O limite violado.
    #[schemars(default)]
    ctx: Option<BTreeMap<String, i64>>,
}

/// Um nome de campo ou uma posição.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes what `ValidationError` serializes")]
enum Passo {
    Nome(String),
    Posicao(u64),
}

/// Operations list their own statuses. [`responses`] describes them once for all operations.
impl ApiErrorComponent for ApiError {
    fn schemas_by_status_code() -> BTreeMap<String, (String, ReferenceOr<Schema>)> {
        BTreeMap::new()
    }

    fn error_responses() -> Vec<(String, Response)> {
        let statuses = EXAMPLES.iter().map(|(status, ..)| *status).chain([VALIDATION]);
        statuses.map(|status| (status.to_owned(), Response::default())).collect()
    }
}

/// Returns the name of the response component of a status.
pub fn name(status: &str) -> String {
    format!("Erro{status}")
}

/// Returns the response components of all errors.
pub fn responses() -> Map<String, Value> {
    let plain = EXAMPLES.iter().map(|(status, description, text)| {
        let erro = json!({"detail": text, "message": text});
        (name(status), response(status, description, "Erro", &erro))
    });
    let description = "Dados inválidos: todas as falhas da requisição de uma vez, ou um texto quando a chave de \
                       idempotência já foi usada com outra requisição";
    let mut invalid = response(VALIDATION, description, "ErroDeValidacao", &examples::erro_de_validacao());
    if let Some(content) = invalid.pointer_mut("/content/application~1json/schema") {
        let schema = |name| json!({"$ref": format!("#/components/schemas/{name}")});
        *content = json!({"anyOf": [schema("ErroDeValidacao"), schema("Erro")]});
    }
    plain.chain([(name(VALIDATION), invalid)]).collect()
}

fn response(status: &str, description: &str, schema: &str, erro: &Value) -> Value {
    let content = |schema: &str, example: &Value| json!({"schema": {"$ref": format!("#/components/schemas/{schema}")}, "example": example});
    let mut headers = json!({"X-Request-ID": {"$ref": "#/components/headers/X-Request-ID"}});
    let more: &[&str] = match status {
        "401" => &["WWW-Authenticate"],
        "429" => &["RateLimit", "RateLimit-Policy", "Retry-After"],
        "503" => &["Retry-After"],
        _ => &[],
    };
    for name in more {
        if let Some(headers) = headers.as_object_mut() {
            headers.insert((*name).to_owned(), json!({"$ref": format!("#/components/headers/{name}")}));
        }
    }
    json!({
        "description": description,
        "headers": headers,
        "content": {
            "application/json": content(schema, erro),
            "application/problem+json": content("Problema", &problem(status, erro)),
        },
    })
}

/// Returns the error as problem details.
fn problem(status: &str, erro: &Value) -> Value {
    let code = status.parse().unwrap_or_default();
    let title = StatusCode::from_u16(code).map_or("", messages_pt::status);
    let mut problem = json!({
        "type": "about:blank", "title": title, "status": code,
        "detail": erro.get("message"), "instance": "/api/v1/atividades",
    });
    if let (Some(errors), Some(problem)) =
        (erro.get("detail").filter(|detail| detail.is_array()), problem.as_object_mut())
    {
        problem.insert("errors".to_owned(), errors.clone());
    }
    problem
}

/// Returns the schemas of the bodies, by name.
pub fn schemas() -> Map<String, Value> {
    [schema_of::<Erro>(), schema_of::<ErroDeValidacao>(), schema_of::<Problema>()].into_iter().collect()
}

/// Returns the name and the schema of `T` with its dependencies inlined.
fn schema_of<T: JsonSchema>() -> (String, Value) {
    let settings = SchemaSettings::openapi3().with(|settings| settings.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<T>().schema;
    (T::schema_name(), serde_json::to_value(schema).unwrap_or_default())
}
