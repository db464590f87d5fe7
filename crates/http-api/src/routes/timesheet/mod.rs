//! `/api/v1/timesheet`.

mod response;

use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest};
use apistos::{ApiComponent, api_operation};
use deserr::Deserr;
use domain::{ConsultaDeTimesheet, IterationId, Organizacao, ProjetoSelector, Semana, TeamId, Timesheets};
use schemars::JsonSchema;
use uuid::Uuid;

use self::response::TimesheetResponse;
use crate::error::ApiError;
use crate::error::validation::ValidationErrors;
use crate::extract::input::Input;
use crate::extract::paging::QueryBool;
use crate::extract::part::{NoPart, RequestPart};
use crate::limits::in_flight::{InFlight, cost};
use crate::middleware::authentication::CurrentUser;
use crate::openapi::schema;
use crate::respond::json::Json;

/// The tag of the operations and its description.
pub const TAG: (&str, &str) = ("Timesheet", "A semana de quem chama: work items com as horas de cada dia");

routes! {
    /// The route of the timesheet.
    config => {
        config.service(resource("/timesheet").route(get().to(obter)));
    }
}

#[api_operation(
    tag = "Timesheet",
    operation_id = "obter_timesheet",
    summary = "Obter a semana",
    description = "Os work items atribuídos a quem chama, com os níveis acima deles, e todos em que quem chama tem horas na semana. Se o Azure DevOps falhar, as horas aparecem mesmo assim, e `avisos` diz o que falta.",
    error_code = 404,
    error_code = 422
)]
async fn obter(
    timesheets: Data<Timesheets>,
    in_flight: Data<InFlight>,
    user: CurrentUser,
    input: Obter,
    request: HttpRequest,
) -> Result<Json<TimesheetResponse>, ApiError> {
    let mut reservation = in_flight.try_reserve(&user.usuario.id, 0)?;
    let reserve = |bytes| reservation.try_resize(cost(Some(bytes as u64))).map_err(ApiError::from);
    let timesheet = timesheets.obter(&user, input.query.into(), reserve).await.map_err(|error| match error {
        ApiError::Domain { error, .. } => Obter::error(error),
        other => other,
    })?;
    request.extensions_mut().insert(reservation);
    Ok(Json(timesheet.into()))
}

type Obter = Input<NoPart, ObterTimesheet>;

/// The parameters of a timesheet.
#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = ValidationErrors)]
struct ObterTimesheet {
    /// A organização do Azure DevOps.
    #[schemars(schema_with = "schema::nome")]
    organization_name: Organizacao,
    /// O projeto dos work items atribuídos a quem chama: o id ou o nome.
    #[schemars(schema_with = "schema::nome")]
    project_id: ProjetoSelector,
    /// Qualquer dia da semana, `AAAA-MM-DD`; ela começa na segunda-feira.
    #[schemars(schema_with = "schema::data")]
    week_start: Semana,
    /// Se a resposta traz só os work items que recebem horas, sem os níveis acima deles.
    #[deserr(default)]
    #[schemars(with = "bool", default)]
    flat_view: Option<QueryBool>,
    /// Dos atribuídos a quem chama, só os desta iteração.
    #[deserr(default)]
    #[schemars(with = "Uuid", default)]
    iteration_id: Option<IterationId>,
    /// O time da iteração; sem ele, o time padrão do projeto.
    #[deserr(default)]
    #[schemars(with = "Uuid", default)]
    team_id: Option<TeamId>,
}

impl RequestPart for ObterTimesheet {}

impl From<ObterTimesheet> for ConsultaDeTimesheet {
    fn from(query: ObterTimesheet) -> Self {
        let ObterTimesheet { organization_name, project_id, week_start, flat_view, iteration_id, team_id } = query;
        Self {
            organizacao: organization_name,
            projeto: project_id,
            semana: week_start,
            iteration: iteration_id,
            team: team_id,
            is_flat: flat_view.is_some_and(|flat| flat.0),
        }
    }
}
