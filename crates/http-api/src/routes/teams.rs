//! `/api/v1/teams`.

use actix_web::web::Data;
use apistos::{ApiComponent, api_operation};
use deserr::Deserr;
use domain::{Organizacao, ProjetoConsultado, ProjetoSelector, Team, Teams, WorkItems};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::error::ApiError;
use crate::error::validation::ValidationErrors;
use crate::extract::input::Input;
use crate::extract::part::{NoPart, RequestPart};
use crate::middleware::authentication::CurrentUser;
use crate::openapi::schema;
use crate::respond::json::Json;

/// The tag of the operations and its description.
pub const TAG: (&str, &str) = ("Times", "Os times de um projeto do Azure DevOps");

routes! {
    /// The routes of teams.
    config => {
        config.service(resource("/teams").route(get().to(listar)));
    }
}

#[api_operation(
    tag = "Times",
    operation_id = "listar_times",
    summary = "Listar times",
    description = "Os times de um projeto que quem chama vê no Azure DevOps, e o time padrão.",
    error_code = 409,
    error_code = 422
)]
async fn listar(
    work_items: Data<WorkItems>,
    user: CurrentUser,
    input: Listar,
) -> Result<Json<TimesDoProjeto>, ApiError> {
    Ok(Json(work_items.listar_times(&user, input.query.into()).await.map_err(Listar::error)?.into()))
}

type Listar = Input<NoPart, ListarTimes>;

/// The parameters of a list of teams.
#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = ValidationErrors)]
struct ListarTimes {
    /// A organização do Azure DevOps.
    #[schemars(schema_with = "schema::nome")]
    organization_name: Organizacao,
    /// O projeto: o id ou o nome.
    #[schemars(schema_with = "schema::nome")]
    project_id: ProjetoSelector,
}

impl RequestPart for ListarTimes {}

impl From<ListarTimes> for ProjetoConsultado {
    fn from(ListarTimes { organization_name, project_id }: ListarTimes) -> Self {
        Self { organizacao: organization_name, projeto: project_id }
    }
}

/// Os times de um projeto.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::times_do_projeto")]
struct TimesDoProjeto {
    /// Quantos são.
    count: u64,
    /// Os times.
    teams: Vec<TimeDoProjeto>,
    /// Sempre false: a lista tem todos os times que quem chama vê.
    mine_only: bool,
    /// Sempre false: este servidor não pergunta quem administra o time.
    is_admin: bool,
    /// O id do time padrão do projeto.
    default_team_id: Option<Uuid>,
}

/// Um time de um projeto.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::time_do_projeto")]
struct TimeDoProjeto {
    /// O id.
    id: Uuid,
    /// O nome.
    name: String,
    /// A descrição; vazia se não houver.
    description: String,
    /// O endereço do time na API do Azure DevOps.
    url: String,
    /// O endereço da identidade do time na API do Azure DevOps.
    identity_url: String,
    /// O id do projeto no Azure DevOps.
    project_id: Uuid,
    /// O nome do projeto.
    project_name: String,
}

impl From<Teams> for TimesDoProjeto {
    fn from(Teams { teams, default }: Teams) -> Self {
        let count = u64::try_from(teams.len()).unwrap_or(u64::MAX);
        let teams = teams.into_iter().map(Into::into).collect();
        Self { count, teams, mine_only: false, is_admin: false, default_team_id: default.map(|id| id.0) }
    }
}

impl From<Team> for TimeDoProjeto {
    fn from(team: Team) -> Self {
        let Team { id, nome, descricao, url, identity_url, projeto_id, projeto_nome } = team;
        Self {
            id: id.0,
            name: nome,
            description: descricao,
            url,
            identity_url,
            project_id: projeto_id,
            project_name: projeto_nome,
        }
    }
}
