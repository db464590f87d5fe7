//! `/api/v1/iterations`.

use actix_web::web::Data;
use apistos::{ApiComponent, api_operation};
use deserr::Deserr;
use domain::{
    Iteration, IterationId, IterationItems, Organizacao, ProjetoConsultado, ProjetoSelector, TeamId, TimeFrame, WorkItems,
    date_text,
};
use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::Schema;
use serde::Serialize;
use serde_json::json;
use time::Date;
use uuid::Uuid;

use crate::error::ApiError;
use crate::error::validation::ValidationErrors;
use crate::extract::input::Input;
use crate::extract::part::{NoPart, RequestPart};
use crate::middleware::authentication::CurrentUser;
use crate::openapi::schema;
use crate::respond::json::Json;

/// The tag of the operations and its description.
pub const TAG: (&str, &str) = ("Iterações", "As iterações (sprints) de um time do Azure DevOps");

routes! {
    /// The routes of iterations.
    config => {
        config
            .service(resource("/iterations").route(get().to(listar)))
            .service(resource("/iterations/{iteration_id}/work-items").route(get().to(work_items)));
    }
}

#[api_operation(
    tag = "Iterações",
    operation_id = "listar_iteracoes",
    summary = "Listar iterações",
    description = "As iterações de um time, com a atual.",
    error_code = 404,
    error_code = 409,
    error_code = 422
)]
async fn listar(
    work_items: Data<WorkItems>,
    user: CurrentUser,
    input: Listar,
) -> Result<Json<IteracoesDoTime>, ApiError> {
    let (onde, team) = input.query.into_parts();
    Ok(Json(work_items.listar_iteracoes(&user, onde, team).await.map_err(Listar::error)?.into()))
}

#[api_operation(
    tag = "Iterações",
    operation_id = "listar_work_items_da_iteracao",
    summary = "Listar work items de uma iteração",
    description = "Os ids dos work items de uma iteração que quem chama vê, de todas as pessoas.",
    error_code = 404,
    error_code = 409,
    error_code = 422
)]
async fn work_items(
    work_items: Data<WorkItems>,
    user: CurrentUser,
    input: ListarWorkItems,
) -> Result<Json<WorkItemsDaIteracao>, ApiError> {
    let (id, (onde, team)) = (input.path.iteration_id, input.query.into_parts());
    let items = work_items.work_items_da_iteracao(&user, onde, team, id).await.map_err(ListarWorkItems::error)?;
    Ok(Json(WorkItemsDaIteracao::new(id, items)))
}

#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = ValidationErrors)]
struct IterationPath {
    /// Id da iteração no Azure DevOps.
    #[schemars(with = "Uuid")]
    iteration_id: IterationId,
}

impl RequestPart for IterationPath {}

type Listar = Input<NoPart, DoTime>;
type ListarWorkItems = Input<IterationPath, DoTime>;

/// The parameters that name a team.
#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = ValidationErrors)]
struct DoTime {
    /// A organização do Azure DevOps.
    #[schemars(schema_with = "schema::nome")]
    organization_name: Organizacao,
    /// O projeto: o id ou o nome.
    #[schemars(schema_with = "schema::nome")]
    project_id: ProjetoSelector,
    /// O id do time; sem ele, o time padrão do projeto.
    #[deserr(default)]
    #[schemars(with = "Uuid", default)]
    team_id: Option<TeamId>,
}

impl RequestPart for DoTime {}

impl DoTime {
    fn into_parts(self) -> (ProjetoConsultado, Option<TeamId>) {
        let Self { organization_name, project_id, team_id } = self;
        (ProjetoConsultado { organizacao: organization_name, projeto: project_id }, team_id)
    }
}

/// As iterações de um time.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::iteracoes_do_time")]
struct IteracoesDoTime {
    /// Quantas são.
    count: u64,
    /// As iterações, na ordem do Azure DevOps.
    iterations: Vec<IteracaoDoTime>,
    /// O id da iteração atual.
    current_iteration_id: Option<Uuid>,
}

/// Uma iteração de um time.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::iteracao_do_time")]
struct IteracaoDoTime {
    /// O id.
    id: Uuid,
    /// O nome.
    name: String,
    /// O caminho, que começa pelo nome do projeto.
    path: String,
    /// As datas.
    attributes: DatasDaIteracao,
    /// O endereço da iteração na API do Azure DevOps.
    url: String,
}

/// As datas de uma iteração, sem fuso: são dias.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(example = "crate::openapi::examples::datas_da_iteracao")]
struct DatasDaIteracao {
    /// O primeiro dia, à meia-noite.
    start_date: Option<String>,
    /// O último dia, à meia-noite.
    finish_date: Option<String>,
    /// Se ela já passou, é a atual ou ainda vem.
    #[schemars(schema_with = "time_frames")]
    time_frame: Option<&'static str>,
}

fn time_frames(_: &mut SchemaGenerator) -> Schema {
    let mut schema = schema::one_of(&["past", "current", "future"]).into_object();
    schema.extensions.insert("nullable".to_owned(), json!(true));
    schema.into()
}

/// Os work items de uma iteração.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::work_items_da_iteracao")]
struct WorkItemsDaIteracao {
    /// O id da iteração.
    iteration_id: Uuid,
    /// O nome da iteração.
    iteration_name: String,
    /// Os ids dos work items.
    work_item_ids: Vec<i32>,
    /// Quantos são.
    count: u64,
}

impl From<Vec<Iteration>> for IteracoesDoTime {
    fn from(iterations: Vec<Iteration>) -> Self {
        let current = iterations.iter().find(|iteration| iteration.time_frame == Some(TimeFrame::Current));
        Self {
            count: u64::try_from(iterations.len()).unwrap_or(u64::MAX),
            current_iteration_id: current.map(|iteration| iteration.id.0),
            iterations: iterations.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Iteration> for IteracaoDoTime {
    fn from(iteration: Iteration) -> Self {
        let Iteration { id, nome, path, inicio, fim, time_frame, url } = iteration;
        let attributes = DatasDaIteracao {
            start_date: inicio.map(midnight),
            finish_date: fim.map(midnight),
            time_frame: time_frame.map(|time_frame| match time_frame {
                TimeFrame::Past => "past",
                TimeFrame::Current => "current",
                TimeFrame::Future => "future",
            }),
        };
        Self { id: id.0, name: nome, path, attributes, url }
    }
}

/// With an offset, a browser in Brazil would show the day before.
fn midnight(date: Date) -> String {
    format!("{}T00:00:00", date_text(date))
}

impl WorkItemsDaIteracao {
    fn new(id: IterationId, IterationItems { nome, ids }: IterationItems) -> Self {
        let count = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        let work_item_ids = ids.into_iter().map(domain::WorkItemId::get).collect();
        Self { iteration_id: id.0, iteration_name: nome, work_item_ids, count }
    }
}
