//! `/api/v1/work-items`.

use actix_web::web::Data;
use apistos::{ApiComponent, api_operation};
use deserr::Deserr;
use domain::{
    BuscaDeWorkItems, Organizacao, ProjetoSelector, WorkItem, WorkItemLimit, WorkItemText, WorkItemTypes, WorkItems,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::ApiError;
use crate::error::validation::ValidationErrors;
use crate::extract::input::Input;
use crate::extract::part::{NoPart, RequestPart};
use crate::middleware::authentication::CurrentUser;
use crate::openapi::schema;
use crate::respond::json::Json;

/// The tag of the operations and its description.
pub const TAG: (&str, &str) = ("Work items", "Os work items do Azure DevOps, como quem chama os vê");

routes! {
    /// The routes of work items.
    config => {
        config.service(resource("/work-items/search").route(get().to(buscar)));
    }
}

#[api_operation(
    tag = "Work items",
    operation_id = "buscar_work_items",
    summary = "Buscar work items",
    description = "Os work items que quem chama vê no Azure DevOps, pelo id ou por palavras do título; os alterados por último vêm primeiro.",
    error_code = 409,
    error_code = 422
)]
async fn buscar(
    work_items: Data<WorkItems>,
    user: CurrentUser,
    input: Buscar,
) -> Result<Json<WorkItemsEncontrados>, ApiError> {
    Ok(Json(work_items.buscar(&user, input.query.into()).await.map_err(Buscar::error)?.into()))
}

type Buscar = Input<NoPart, BuscarWorkItems>;

/// The parameters of a search.
#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = ValidationErrors)]
struct BuscarWorkItems {
    /// O id, ou palavras do título; o título tem todas elas, em qualquer ordem.
    #[schemars(schema_with = "schema::work_item_text")]
    query: WorkItemText,
    /// A organização do Azure DevOps.
    #[schemars(schema_with = "schema::nome")]
    organization_name: Organizacao,
    /// Só os deste projeto: o id ou o nome.
    #[deserr(default)]
    #[schemars(schema_with = "schema::nome", default)]
    project_id: Option<ProjetoSelector>,
    /// Quantos responder no máximo.
    #[deserr(default)]
    #[schemars(with = "i64", default = "limit_default", range(min = 1, max = 200))]
    limit: WorkItemLimit,
    /// Só os destes tipos, separados por vírgulas; vazio para todos.
    #[deserr(default)]
    #[schemars(schema_with = "schema::work_item_types", default)]
    work_item_types: WorkItemTypes,
}

const fn limit_default() -> i64 {
    WorkItemLimit::DEFAULT
}

impl RequestPart for BuscarWorkItems {}

impl From<BuscarWorkItems> for BuscaDeWorkItems {
    fn from(query: BuscarWorkItems) -> Self {
        let BuscarWorkItems { query: texto, organization_name, project_id, limit, work_item_types } = query;
        Self { texto, organizacao: organization_name, projeto: project_id, tipos: work_item_types, limit }
    }
}

/// O resultado de uma busca.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::work_items_encontrados")]
struct WorkItemsEncontrados {
    /// Os work items.
    results: Vec<WorkItemEncontrado>,
    /// Quantos são.
    count: u64,
}

/// Um work item do Azure DevOps.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(example = "crate::openapi::examples::work_item_encontrado")]
struct WorkItemEncontrado {
    /// O id.
    id: i32,
    /// O título.
    title: String,
    /// O tipo, pelo nome que tem no processo.
    r#type: String,
    /// O nome do projeto.
    project: String,
    /// O endereço da página no Azure DevOps; vazio sem organização.
    url: String,
    /// Sempre vazio: o navegador tem os ícones.
    icon_url: &'static str,
    /// As horas estimadas; null se o tipo não as tem.
    original_estimate: Option<f64>,
    /// As horas feitas.
    completed_work: Option<f64>,
    /// As horas que faltam.
    remaining_work: Option<f64>,
    /// O estado, pelo nome que tem no processo.
    state: String,
}

impl From<Vec<WorkItem>> for WorkItemsEncontrados {
    fn from(items: Vec<WorkItem>) -> Self {
        let count = u64::try_from(items.len()).unwrap_or(u64::MAX);
        Self { results: items.into_iter().map(Into::into).collect(), count }
    }
}

impl From<WorkItem> for WorkItemEncontrado {
    fn from(item: WorkItem) -> Self {
        Self {
            id: item.id.get(),
            title: item.titulo,
            r#type: item.tipo,
            project: item.projeto,
            url: item.url,
            icon_url: "",
            original_estimate: item.original_estimate,
            completed_work: item.completed_work,
            remaining_work: item.remaining_work,
            state: item.estado,
        }
    }
}
