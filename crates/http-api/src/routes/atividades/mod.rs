//! `/api/v1/atividades`.

mod body;
mod list;
mod projetos;
mod query;
mod response;

use actix_web::HttpRequest;
use actix_web::web::Data;
use apistos::{ApiComponent, api_operation};
use deserr::Deserr;
use domain::{AtividadeId, AtividadePatch, Atividades};
use schemars::JsonSchema;
use uuid::Uuid;

use self::body::{AtualizarAtividade, CriarAtividade, CriarLote};
use self::response::{AtividadeResponse, LoteCriado};
use crate::error::ApiError;
use crate::error::validation::ValidationErrors;
use crate::extract::input::Input;
use crate::extract::part::{NoPart, RequestPart};
use crate::limits::in_flight::{InFlight, NAME};
use crate::middleware::authentication::CurrentUser;
use crate::respond::conditional::IfMatch;
use crate::respond::json::CreatedList;
use crate::respond::resource::{Created, NoContent, Updated, WithEtag};

/// The tag of the operations and its description.
pub const TAG: (&str, &str) = ("Atividades", "Aquilo em que se apontam horas");

routes! {
    /// The routes of atividades.
    config => {
        config.service(resource("/atividades/lote").route(post().to(criar_lote)));
        config.service(resource("/atividades/gestao").route(get().to(list::listar_gestao)));
        config.service(resource("/atividades").route(get().to(list::listar)).route(post().to(criar))).service(
            resource("/atividades/{atividade_id}").route(get().to(obter)).route(put().to(atualizar)).route(delete().to(excluir)),
        );
    }
}

#[api_operation(
    tag = "Atividades",
    operation_id = "criar_atividade",
    summary = "Criar atividade",
    description = "Cria uma atividade em nome de quem chama.",
    error_code = 408,
    error_code = 413,
    error_code = 415,
    error_code = 422
)]
async fn criar(
    atividades: Data<Atividades>,
    user: CurrentUser,
    input: Input<NoPart, NoPart, CriarAtividade>,
) -> Result<Created<AtividadeResponse>, ApiError> {
    let idempotency = input.idempotency.map(|request| request.scoped_to(&user));
    let atividade = atividades.criar(&user, input.body.into(), idempotency).await?;
    Ok(Created::at(format!("/api/v1/atividades/{}", atividade.id.0), atividade.into()))
}

#[api_operation(
    tag = "Atividades",
    operation_id = "criar_atividades_em_lote",
    summary = "Criar atividades em lote",
    description = "Cria até 1000 atividades em nome de quem chama: todas ou nenhuma.",
    error_code = 408,
    error_code = 413,
    error_code = 415,
    error_code = 422
)]
async fn criar_lote(
    atividades: Data<Atividades>,
    in_flight: Data<InFlight>,
    user: CurrentUser,
    input: Input<NoPart, NoPart, CriarLote>,
    request: HttpRequest,
) -> Result<CreatedList<LoteCriado>, ApiError> {
    // The first projeto of an item is named twice.
    let names = input.body.items.0.len() + input.body.projetos();
    in_flight.reserve_response(&request, &user.usuario.id, names * NAME).await?;
    let idempotency = input.idempotency.map(|request| request.scoped_to(&user));
    let novas = input.body.items.0.into_iter().map(Into::into).collect();
    let criadas = atividades.criar_lote(&user, novas, idempotency).await?;
    Ok(CreatedList(criadas.into()))
}

#[api_operation(
    tag = "Atividades",
    operation_id = "obter_atividade",
    summary = "Obter atividade",
    description = "A atividade com esse id.",
    error_code = 404,
    error_code = 422
)]
async fn obter(
    atividades: Data<Atividades>,
    _user: CurrentUser,
    input: Input<AtividadePath>,
) -> Result<WithEtag<AtividadeResponse>, ApiError> {
    Ok(WithEtag(atividades.obter(input.path.atividade_id).await?.into()))
}

#[api_operation(
    tag = "Atividades",
    operation_id = "atualizar_atividade",
    summary = "Atualizar atividade",
    description = "Altera os campos enviados; os ausentes mantêm o valor.",
    error_code = 404,
    error_code = 408,
    error_code = 412,
    error_code = 413,
    error_code = 415,
    error_code = 422
)]
async fn atualizar(
    atividades: Data<Atividades>,
    user: CurrentUser,
    if_match: IfMatch,
    input: Input<AtividadePath, NoPart, AtualizarAtividade>,
) -> Result<Updated<AtividadeResponse>, ApiError> {
    let id = input.path.atividade_id;
    let expected = if_match.version::<_, AtividadeResponse>(atividades.obter(id), |found| found.atualizado_em).await?;
    let patch = AtividadePatch { expected, ..input.body.into() };
    Ok(Updated(atividades.atualizar(&user, id, patch).await?.into()))
}

#[api_operation(
    tag = "Atividades",
    operation_id = "excluir_atividade",
    summary = "Excluir atividade",
    description = "Exclui a atividade para sempre.",
    error_code = 404,
    error_code = 409,
    error_code = 412,
    error_code = 422
)]
async fn excluir(
    atividades: Data<Atividades>,
    _user: CurrentUser,
    if_match: IfMatch,
    input: Input<AtividadePath>,
) -> Result<NoContent, ApiError> {
    let id = input.path.atividade_id;
    let expected = if_match.version::<_, AtividadeResponse>(atividades.obter(id), |found| found.atualizado_em).await?;
    atividades.excluir(id, expected).await?;
    Ok(NoContent)
}

#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = ValidationErrors)]
struct AtividadePath {
    /// Id da atividade.
    #[schemars(with = "Uuid")]
    atividade_id: AtividadeId,
}

impl RequestPart for AtividadePath {}
