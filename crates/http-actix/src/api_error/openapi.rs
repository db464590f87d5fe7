//! How the errors are described in OpenAPI: each status with its meaning, and the two shapes of a body.

use std::collections::BTreeMap;

use apistos::ApiErrorComponent;
use apistos::paths::{MediaType, Response};
use apistos::reference_or::ReferenceOr;
use schemars::JsonSchema;
use schemars::r#gen::SchemaSettings;
use schemars::schema::Schema;

use super::ApiError;

/// What each status means; an operation names those that it can answer.
const STATUSES: [(&str, &str); 14] = [
    ("400", "A requisição não pode ser lida"),
    ("401", "Token ausente, inválido ou expirado"),
    ("403", "O token não possui as permissões necessárias"),
    ("404", "Recurso não encontrado"),
    ("408", "O corpo não chegou a tempo"),
    ("409", "Conflito com o estado atual"),
    ("412", "O recurso mudou desde que foi lido (If-Match)"),
    ("413", "Corpo maior que 1 MiB"),
    ("415", "O corpo não é JSON"),
    ("422", "Dados inválidos: todas as falhas da requisição de uma vez"),
    ("500", "Erro interno"),
    ("502", "O Azure DevOps respondeu com um erro"),
    ("503", "Banco de dados ou Azure DevOps indisponível"),
    ("504", "O Azure DevOps não respondeu a tempo"),
];

const VALIDATION: &str = "422";

/// Um erro.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what `ErrorBody` writes")]
#[schemars(example = "crate::routes::examples::erro")]
struct Erro {
    /// O que houve, em palavras.
    detail: String,
    /// O mesmo que `detail`.
    message: String,
}

/// Os dados da requisição são inválidos.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what `ErrorBody` writes")]
#[schemars(example = "crate::routes::examples::erro_de_validacao")]
struct ErroDeValidacao {
    /// Todas as falhas da requisição.
    detail: Vec<Falha>,
    /// As falhas em palavras.
    message: String,
}

/// Uma falha da requisição.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what `Fault` writes")]
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
#[expect(dead_code, reason = "it describes what `Fault` writes")]
enum Passo {
    Nome(String),
    Posicao(u64),
}

impl ApiErrorComponent for ApiError {
    fn schemas_by_status_code() -> BTreeMap<String, (String, ReferenceOr<Schema>)> {
        let schema = |status| match status {
            VALIDATION => described::<ErroDeValidacao>(),
            _ => described::<Erro>(),
        };
        STATUSES.iter().map(|(status, _)| ((*status).to_owned(), schema(*status))).collect()
    }

    fn error_responses() -> Vec<(String, Response)> {
        let response = |(status, description): &(&str, &str)| {
            let name = if *status == VALIDATION { ErroDeValidacao::schema_name() } else { Erro::schema_name() };
            let schema = ReferenceOr::Reference { _ref: format!("#/components/schemas/{name}") };
            let content = MediaType { schema: Some(schema), ..MediaType::default() };
            let response = Response {
                description: (*description).to_owned(),
                content: BTreeMap::from([("application/json".to_owned(), content)]),
                ..Response::default()
            };
            ((*status).to_owned(), response)
        };
        STATUSES.iter().map(response).collect()
    }
}

/// The schema of `T` with all that it needs inside, since apistos collects one schema per status.
fn described<T: JsonSchema>() -> (String, ReferenceOr<Schema>) {
    let settings = SchemaSettings::openapi3().with(|settings| settings.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<T>().schema;
    (T::schema_name(), ReferenceOr::Object(Schema::Object(schema)))
}
