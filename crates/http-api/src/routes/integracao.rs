//! `/api/v1/integracao`: projects of the Azure DevOps organisation, and hours written to it.

use std::iter::Empty;
use std::time::Instant;

use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest};
use apistos::{ApiComponent, api_operation};
use domain::{AzureProjectId, Escritas, Projetos, Sincronizacao};
use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::Schema;
use serde::Serialize;
use uuid::Uuid;

use crate::error::ApiError;
use crate::limits::in_flight::{AZURE_LIST, InFlight};
use crate::middleware::authentication::CurrentUser;
use crate::middleware::http_observability::HttpObservability;
use crate::openapi::schema;
use crate::respond::json::Json;
use crate::respond::row_stream::{self, JsonArray};
use crate::respond::timestamp::Timestamp;

/// The tag of the operations and its description.
pub const TAG: (&str, &str) = ("Integração", "O que vem do Azure DevOps, e o que vai para ele");

routes! {
    /// The routes of the integration.
    config => {
        config
            .service(resource("/integracao/sincronizar").route(post().to(sincronizar)))
            .service(resource("/integracao/reenviar").route(post().to(reenviar)))
            .service(resource("/integracao/projetos").route(get().to(listar)));
    }
}

#[api_operation(
    tag = "Integração",
    operation_id = "sincronizar_projetos",
    summary = "Sincronizar projetos",
    description = "Traz os projetos da organização do Azure DevOps: todos os que puderem ser lidos ou, se a chamada falhar, nenhum.",
    error_code = 409
)]
async fn sincronizar(
    projetos: Data<Projetos>,
    observability: Data<HttpObservability>,
    in_flight: Data<InFlight>,
    user: CurrentUser,
) -> Result<Json<SincronizacaoResponse>, ApiError> {
    let _list = in_flight.reserve(&user.usuario.id, AZURE_LIST).await?;
    let started = Instant::now();
    let done = projetos.sincronizar(&user).await;
    // A rejected credential says nothing about the integration, so it is not counted.
    if !matches!(done, Err(domain::Error::Forbidden | domain::Error::CredentialRejected)) {
        observability.metrics.synchronised(done.is_ok(), started.elapsed());
    }
    Ok(Json(done?.into()))
}

#[api_operation(
    tag = "Integração",
    operation_id = "listar_projetos_azure",
    summary = "Listar projetos do Azure DevOps",
    description = "Os projetos que o Azure DevOps mostra a quem chama, ao vivo e nas palavras dele.",
    error_code = 409
)]
async fn listar(
    projetos: Data<Projetos>,
    in_flight: Data<InFlight>,
    user: CurrentUser,
    request: HttpRequest,
) -> Result<JsonArray<ProjetoAzure>, ApiError> {
    let mut list = in_flight.reserve(&user.usuario.id, AZURE_LIST).await?;
    let projects = projetos.listar_do_azure(&user).await?;
    list.resize(projects.iter().map(String::len).sum());
    // The response body holds the reservation.
    request.extensions_mut().insert(list);
    JsonArray::new(projects, None::<Empty<String>>, row_stream::raw_json())
}

#[api_operation(
    tag = "Integração",
    operation_id = "reenviar_horas",
    summary = "Escrever de novo as horas que falharam",
    description = "Tenta de novo escrever no Azure DevOps as horas de cada work item cujos apontamentos têm `sincronizacao` \
                   `erro` há mais de um minuto. Eles passam a `pendente`.",
    error_code = 409
)]
async fn reenviar(escritas: Data<Escritas>, user: CurrentUser) -> Result<Json<Reenvio>, ApiError> {
    Ok(Json(Reenvio { work_items: escritas.reenviar(&user).await? }))
}

/// O que será escrito de novo.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::reenvio")]
struct Reenvio {
    /// Quantos work items serão escritos de novo.
    work_items: u64,
}

fn success(_: &mut SchemaGenerator) -> Schema {
    schema::one_of(&["success"])
}

/// O que uma sincronização fez.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(rename = "Sincronizacao")]
#[schemars(example = "crate::openapi::examples::sincronizacao")]
struct SincronizacaoResponse {
    /// Sempre success.
    #[schemars(schema_with = "success")]
    status: &'static str,
    /// O que foi feito, em palavras.
    message: String,
    /// Quantos projetos o Azure DevOps lista.
    projects_synced: u64,
    /// Quantos deles eram novos aqui.
    projects_created: u64,
    /// Quantos deles mudaram aqui.
    projects_updated: u64,
    /// Quantos projetos o Azure DevOps não lista mais.
    projects_removed: u64,
    /// Quantos projetos da lista não puderam ser lidos; eles ficam como estavam.
    projects_failed: u64,
    /// Os ids deles; null onde nem o id pôde ser lido.
    projects_failed_ids: Vec<Option<Uuid>>,
    /// Quantos projetos não estão na lista sem que a exclusão esteja confirmada; o `estado` deles não muda.
    projects_unconfirmed: u64,
    /// Quando foi feito (UTC).
    timestamp: Timestamp,
    /// O mesmo que `projects_synced`.
    #[deprecated]
    total_azure: u64,
    /// O mesmo que `projects_synced`.
    #[deprecated]
    synced: u64,
    /// O mesmo que `projects_created`.
    #[deprecated]
    created: u64,
    /// O mesmo que `projects_updated`.
    #[deprecated]
    updated: u64,
}

impl From<Sincronizacao> for SincronizacaoResponse {
    #[expect(deprecated, reason = "clients of the running service read these names")]
    fn from(sincronizacao: Sincronizacao) -> Self {
        let message = crate::error::messages_pt::synchronised(&sincronizacao);
        let Sincronizacao { summary, failed, unconfirmed, em } = sincronizacao;
        Self {
            status: "success",
            message,
            projects_synced: summary.synced,
            projects_created: summary.created,
            projects_updated: summary.updated,
            projects_removed: summary.removed,
            projects_failed: u64::try_from(failed.len()).unwrap_or(u64::MAX),
            projects_failed_ids: failed.into_iter().map(|id| id.map(AzureProjectId::get)).collect(),
            projects_unconfirmed: unconfirmed,
            timestamp: Timestamp(em),
            total_azure: summary.synced,
            synced: summary.synced,
            created: summary.created,
            updated: summary.updated,
        }
    }
}

/// O que é certo de um projeto nas palavras do Azure DevOps; os outros campos estão na documentação dele
/// (Core, Projects, List).
#[derive(JsonSchema, ApiComponent)]
#[expect(dead_code, reason = "it describes JSON that passes through unread")]
#[schemars(example = "crate::openapi::examples::projeto_azure")]
struct ProjetoAzure {
    /// GUID do projeto.
    id: Uuid,
    /// Nome do projeto.
    name: String,
    /// Descrição, se houver.
    description: Option<String>,
    /// Endereço do projeto.
    url: Option<String>,
    /// Estado: wellFormed, deleting, …
    state: Option<String>,
}
