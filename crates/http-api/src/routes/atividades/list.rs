//! `GET /api/v1/atividades`.

use actix_web::HttpRequest;
use actix_web::web::Data;
use apistos::{ApiComponent, api_operation};
use domain::{AtividadeQuery, Atividades, Limit};
use schemars::JsonSchema;

use super::query::ListarAtividades;
use super::response::{AtividadeCsv, AtividadeResponse};
use crate::error::{ApiError, RequestRejection};
use crate::extract::accept::{AcceptHeader, Formato};
use crate::extract::input::Input;
use crate::extract::part::NoPart;
use crate::extract::scalars::cursor_text;
use crate::limits::searches::{Admitted, Searches};
use crate::middleware::authentication::CurrentUser;
use crate::respond::csv::csv_response;
use crate::respond::list::{ListResponse, Proximo, Rows, json_page};

const DISPOSITION: &str = "attachment; filename=\"atividades.csv\"";

#[api_operation(
    tag = "Atividades",
    operation_id = "listar_atividades",
    summary = "Listar atividades",
    description = "Uma página das atividades que atendem aos filtros, em JSON, ou todas elas, em CSV.",
    error_code = 422
)]
pub async fn listar(
    atividades: Data<Atividades>,
    searches: Data<Searches>,
    user: CurrentUser<true>,
    input: Input<NoPart, ListarAtividades>,
    request: HttpRequest,
) -> Result<ListResponse<ListaAtividades, AtividadeCsv>, ApiError> {
    list(&atividades, &searches, &user, input.query, &request).await
}

async fn list(
    atividades: &Atividades,
    searches: &Searches,
    user: &CurrentUser<true>,
    query: ListarAtividades,
    request: &HttpRequest,
) -> Result<ListResponse<ListaAtividades, AtividadeCsv>, ApiError> {
    let (query, paging) = query.into_query()?;
    let preferred = || AcceptHeader::from_request(request).preferred();
    let formato = paging.formato.or_else(preferred).ok_or(RequestRejection::NotAcceptable)?;
    let search = searches.admit(&user.usuario.id, query.is_search()).await?;
    if formato == Formato::Csv {
        let limit = if paging.has_limit { query.limit } else { Limit::LARGEST };
        let batches = atividades.exportar(AtividadeQuery { limit, ..query }, !paging.has_limit);
        let batches = Admitted { batches, search };
        let response = csv_response::<_, AtividadeCsv>(batches, paging.csv, DISPOSITION).await?;
        return Ok(response.into());
    }
    let (page, next) = if paging.by_cursor {
        atividades.listar_por_cursor(query.clone()).await?
    } else {
        (atividades.listar(query.clone()).await?, None)
    };
    let (rest, total) = (atividades.itens_restantes(query, &page), page.total);
    let rest = rest.map(|batches| Admitted { batches, search });
    let rows = Rows { first: page.items, rest, total, next: next.map(|cursor| cursor_text(&cursor)) };
    Ok(json_page::<ListarAtividades, _, AtividadeResponse>(request, &paging, rows)?.into())
}

#[api_operation(
    tag = "Atividades",
    operation_id = "listar_atividades_gestao",
    summary = "Listar atividades para gestão",
    description = "O mesmo que `GET /api/v1/atividades`, no endereço que a tela de gestão usa.",
    error_code = 422
)]
pub async fn listar_gestao(
    atividades: Data<Atividades>,
    searches: Data<Searches>,
    user: CurrentUser<true>,
    input: Input<NoPart, ListarAtividades>,
    request: HttpRequest,
) -> Result<ListResponse<ListaAtividades, AtividadeCsv>, ApiError> {
    list(&atividades, &searches, &user, input.query, &request).await
}

/// Uma página de atividades.
#[derive(JsonSchema, ApiComponent)]
#[expect(dead_code, reason = "it describes what `json_page` writes row by row")]
#[schemars(example = "crate::openapi::examples::lista_atividades")]
pub struct ListaAtividades {
    /// As atividades desta página.
    items: Vec<AtividadeResponse>,
    /// Quantas atividades atendem aos filtros, em todas as páginas.
    total: u64,
    /// Só na resposta a um pedido com `apos`: o cursor da próxima página; null na última.
    #[serde(skip_serializing_if = "Option::is_none")]
    proximo: Option<Proximo>,
}
