//! Health of the service and information about the API.

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, Responder};
use apistos::paths::Responses;
use apistos::{ApiComponent, api_operation};
use domain::Readiness;
use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::Schema;
use serde::Serialize;

use crate::error::DEFAULT_RETRY_AFTER;
use crate::observability::readiness::CachedReadiness;
use crate::openapi::component::{api_component, openapi_responses};
use crate::openapi::schema;
use crate::respond::json::Json;
use crate::root_path::RootPath;
use crate::state::ServiceInfo;

/// The tag of the operations and its description.
pub const TAG: (&str, &str) = ("Serviço", "Saúde e informações do serviço");

routes! {
    /// The routes outside of `/api/v1`, and `/api/v1` itself.
    config => {
        config
            .service(resource("/").route(get().to(root)))
            .service(resource("/health").route(get().to(health)))
            .service(resource("/healthz").route(get().to(healthz)))
            .service(resource("/api/v1").route(get().to(info)));
    }
}

#[api_operation(
    tag = "Serviço",
    operation_id = "obter_raiz",
    summary = "Saúde do serviço",
    description = "Diz que o processo atende, sem consultar o banco de dados.",
    no_security = true
)]
async fn root(info: Data<ServiceInfo>) -> Json<Health> {
    Json(Health::of(&info, HEALTHY))
}

#[api_operation(
    tag = "Serviço",
    operation_id = "obter_prontidao",
    summary = "Prontidão do serviço",
    description = "Diz se o banco de dados responde: healthy com 200, unhealthy com 503.",
    no_security = true,
    skip_args = "readiness"
)]
async fn health(info: Data<ServiceInfo>, readiness: Data<CachedReadiness>) -> HealthResponse {
    match readiness.check().await {
        Ok(()) => HealthResponse(StatusCode::OK, Health::of(&info, HEALTHY)),
        // The check has logged the error, once for all waiting requests.
        Err(_) => HealthResponse(StatusCode::SERVICE_UNAVAILABLE, Health::of(&info, UNHEALTHY)),
    }
}

#[api_operation(
    tag = "Serviço",
    operation_id = "obter_vida",
    summary = "Vida do serviço",
    description = "Diz que o processo atende, sem consultar o banco de dados.",
    no_security = true
)]
async fn healthz(info: Data<ServiceInfo>) -> Json<Health> {
    Json(Health::of(&info, HEALTHY))
}

#[api_operation(
    tag = "Serviço",
    operation_id = "obter_informacoes",
    summary = "Informações da API",
    description = "Nome, versão e onde está a documentação.",
    no_security = true,
    skip_args = "root"
)]
async fn info(info: Data<ServiceInfo>, root: Data<RootPath>) -> Json<Info> {
    let at = |path: &str| format!("{}{path}", **root);
    Json(Info { name: "API Aponta", version: info.version, docs: at("/docs"), redoc: at("/redoc") })
}

const HEALTHY: &str = "healthy";
const UNHEALTHY: &str = "unhealthy";

fn states(_: &mut SchemaGenerator) -> Schema {
    schema::one_of(&[HEALTHY, UNHEALTHY])
}

fn environments(_: &mut SchemaGenerator) -> Schema {
    schema::one_of(&["development", "production"])
}

/// Saúde do serviço.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(rename = "Saude", example = "crate::openapi::examples::saude")]
struct Health {
    /// Se o serviço pode atender.
    #[schemars(schema_with = "states")]
    status: &'static str,
    /// Versão do serviço.
    version: &'static str,
    /// Onde o serviço está.
    #[schemars(schema_with = "environments")]
    environment: &'static str,
}

impl Health {
    fn of(info: &ServiceInfo, status: &'static str) -> Self {
        Self { status, version: info.version, environment: info.environment }
    }
}

/// O que o serviço diz de si.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(rename = "Informacoes", example = "crate::openapi::examples::informacoes")]
struct Info {
    /// Nome da API.
    name: &'static str,
    /// Versão do serviço.
    version: &'static str,
    /// Onde está o Swagger UI.
    docs: String,
    /// Onde está o ReDoc.
    redoc: String,
}

/// The health of the service with the matching status.
struct HealthResponse(StatusCode, Health);

impl Responder for HealthResponse {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let mut response = Json(self.1).respond_to(request);
        *response.status_mut() = self.0;
        if self.0 == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, DEFAULT_RETRY_AFTER.as_secs().into());
        }
        response
    }
}

api_component!([] HealthResponse => Health, {
    fn responses(_: Option<String>) -> Option<Responses> {
        Some(openapi_responses::<Health>([("200", "O banco de dados responde"), ("503", "O banco de dados não responde")]))
    }
});
