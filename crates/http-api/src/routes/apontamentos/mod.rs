//! `/api/v1/apontamentos`.

mod body;
mod list;
pub mod query;
pub mod response;
mod work_item;

use actix_web::HttpRequest;
use actix_web::web::Data;
use apistos::{ApiComponent, api_operation};
use deserr::Deserr;
use domain::{Apontamento, ApontamentoId, ApontamentoPatch, Apontamentos, Gravado};
use schemars::JsonSchema;
use uuid::Uuid;

use self::body::{AtualizarApontamento, CriarApontamento, CriarApontamentos};
use self::response::{ApontamentoGravado, ApontamentoResponse, ApontamentosCriados};
use crate::error::ApiError;
use crate::error::validation::ValidationErrors;
use crate::extract::input::Input;
use crate::extract::part::{NoPart, RequestPart};
use crate::limits::in_flight::{InFlight, NAME};
use crate::middleware::authentication::CurrentUser;
use crate::respond::conditional::IfMatch;
use crate::respond::json::CreatedList;
use crate::respond::resource::{CreatedWithAvisos, NoContent, UpdatedWithAvisos, WithEtag};

/// The tag of the operations and its description.
pub const TAG: (&str, &str) = ("Apontamentos", "As horas das pessoas, por work item, atividade e dia");

/// The names in a time entry: those of the projeto and the atividade, the title of the work item.
const NAMES: usize = 3;

routes! {
    /// The routes of time entries.
    config => {
        config
            .service(resource("/apontamentos/lote").route(post().to(criar_lote)))
            .service(resource("/apontamentos/work-item/{work_item_id}").route(get().to(work_item::listar)))
            .service(resource("/apontamentos/work-item/{work_item_id}/resumo").route(get().to(work_item::resumir)))
            .service(resource("/apontamentos/work-item/{work_item_id}/azure-info").route(get().to(work_item::azure_info)))
            .service(resource("/apontamentos").route(get().to(list::listar)).route(post().to(criar)))
            .service(
                resource("/apontamentos/{apontamento_id}")
                    .route(get().to(obter))
                    .route(put().to(atualizar))
                    .route(delete().to(excluir)),
            );
    }
}

#[api_operation(
    tag = "Apontamentos",
    operation_id = "criar_apontamento",
    summary = "Criar apontamento",
    description = "Aponta horas de quem chama em um work item que ele vê e que não está encerrado. Uma pessoa tem no máximo \
                   24:00 por dia. Se o Azure DevOps não responde, o apontamento é gravado e `avisos` diz o que não foi \
                   verificado.",
    error_code = 404,
    error_code = 408,
    error_code = 409,
    error_code = 413,
    error_code = 415,
    error_code = 422
)]
async fn criar(
    apontamentos: Data<Apontamentos>,
    user: CurrentUser,
    input: Input<NoPart, NoPart, CriarApontamento>,
) -> Result<CreatedWithAvisos<ApontamentoResponse, ApontamentoGravado>, ApiError> {
    let idempotency = input.idempotency.map(|request| request.scoped_to(&user));
    let criado = apontamentos.criar(&user, input.body.into(), idempotency).await?;
    let location = format!("/api/v1/apontamentos/{}", criado.gravado.id.0);
    Ok(CreatedWithAvisos::at(location, criado.gravado.clone().into(), criado.into()))
}

#[api_operation(
    tag = "Apontamentos",
    operation_id = "criar_apontamentos_em_lote",
    summary = "Criar apontamentos em lote",
    description = "Cria até 1000 apontamentos de quem chama: todos ou nenhum.",
    error_code = 404,
    error_code = 408,
    error_code = 409,
    error_code = 413,
    error_code = 415,
    error_code = 422
)]
async fn criar_lote(
    apontamentos: Data<Apontamentos>,
    in_flight: Data<InFlight>,
    user: CurrentUser,
    input: Input<NoPart, NoPart, CriarApontamentos>,
    request: HttpRequest,
) -> Result<CreatedList<ApontamentosCriados>, ApiError> {
    in_flight.reserve_response(&request, &user.usuario.id, input.body.items.0.len() * NAMES * NAME).await?;
    let idempotency = input.idempotency.map(|request| request.scoped_to(&user));
    let novos = input.body.items.0.into_iter().map(Into::into).collect();
    Ok(CreatedList(apontamentos.criar_lote(&user, novos, idempotency).await?.into()))
}

#[api_operation(
    tag = "Apontamentos",
    operation_id = "obter_apontamento",
    summary = "Obter apontamento",
    description = "O apontamento com esse id.",
    error_code = 404,
    error_code = 422
)]
async fn obter(
    apontamentos: Data<Apontamentos>,
    _user: CurrentUser,
    input: Input<ApontamentoPath>,
) -> Result<WithEtag<ApontamentoResponse>, ApiError> {
    Ok(WithEtag(apontamentos.obter(input.path.apontamento_id).await?.into()))
}

#[api_operation(
    tag = "Apontamentos",
    operation_id = "atualizar_apontamento",
    summary = "Atualizar apontamento",
    description = "Altera os campos enviados; os ausentes mantêm o valor. Somente quem apontou pode alterar.",
    error_code = 404,
    error_code = 408,
    error_code = 409,
    error_code = 412,
    error_code = 413,
    error_code = 415,
    error_code = 422
)]
async fn atualizar(
    apontamentos: Data<Apontamentos>,
    user: CurrentUser,
    if_match: IfMatch,
    input: Atualizar,
) -> Result<UpdatedWithAvisos<ApontamentoResponse, ApontamentoGravado>, ApiError> {
    let id = input.path.apontamento_id;
    let expected = if_match.version::<_, ApontamentoResponse>(apontamentos.obter(id), version).await?;
    let patch = ApontamentoPatch { expected, ..input.body.into() };
    let mudado: Gravado<Apontamento> = apontamentos.atualizar(&user, id, patch).await.map_err(Atualizar::error)?;
    Ok(UpdatedWithAvisos::new(mudado.gravado.clone().into(), mudado.into()))
}

#[api_operation(
    tag = "Apontamentos",
    operation_id = "excluir_apontamento",
    summary = "Excluir apontamento",
    description = "Exclui o apontamento para sempre. Somente quem apontou pode excluir.",
    error_code = 404,
    error_code = 412,
    error_code = 422
)]
async fn excluir(
    apontamentos: Data<Apontamentos>,
    user: CurrentUser,
    if_match: IfMatch,
    input: Excluir,
) -> Result<NoContent, ApiError> {
    let id = input.path.apontamento_id;
    let expected = if_match.version::<_, ApontamentoResponse>(apontamentos.obter(id), version).await?;
    apontamentos.excluir(&user, id, expected).await.map_err(Excluir::error)?;
    Ok(NoContent)
}

type Atualizar = Input<ApontamentoPath, NoPart, AtualizarApontamento>;
type Excluir = Input<ApontamentoPath>;

const fn version(apontamento: &Apontamento) -> time::OffsetDateTime {
    apontamento.atualizado_em
}

#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = ValidationErrors)]
struct ApontamentoPath {
    /// Id do apontamento.
    #[schemars(with = "Uuid")]
    apontamento_id: ApontamentoId,
}

impl RequestPart for ApontamentoPath {}
