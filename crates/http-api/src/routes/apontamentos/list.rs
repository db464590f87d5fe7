//! `GET /api/v1/apontamentos`.

use actix_web::http::header::{HeaderValue, LINK, VARY};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use apistos::{ApiComponent, api_operation};
use domain::{ApontamentoQuery, Apontamentos, Limit};
use schemars::JsonSchema;
use serde::Serialize;

use super::query::ListarApontamentos;
use super::response::{ApontamentoCsv, ApontamentoResponse};
use crate::error::{ApiError, RequestRejection};
use crate::extract::accept::{AcceptHeader, Formato};
use crate::extract::input::Input;
use crate::extract::part::{NoPart, fields};
use crate::extract::scalars::cursor_text;
use crate::limits::searches::{Admitted, Searches};
use crate::media_type::JSON_UTF8;
use crate::middleware::authentication::CurrentUser;
use crate::respond::csv::csv_response;
use crate::respond::links::links;
use crate::respond::list::{ListResponse, Proximo, json_items};

const DISPOSITION: &str = "attachment; filename=\"apontamentos.csv\"";

#[api_operation(
    tag = "Apontamentos",
    operation_id = "listar_apontamentos",
    summary = "Listar apontamentos",
    description = "Uma página dos apontamentos que atendem aos filtros, em JSON, ou todos eles, em CSV: os dias mais recentes \
                   primeiro e, no mesmo dia, os mais novos primeiro.",
    error_code = 422
)]
pub async fn listar(
    apontamentos: Data<Apontamentos>,
    searches: Data<Searches>,
    user: CurrentUser<true>,
    input: Input<NoPart, ListarApontamentos>,
    request: HttpRequest,
) -> Result<ListResponse<ListaApontamentos, ApontamentoCsv>, ApiError> {
    let with_totals = input.query.total.as_ref().is_some_and(|total| total.0);
    let (query, paging) = input.query.into_query(&user);
    let preferred = || AcceptHeader::from_request(&request).preferred();
    let formato = paging.formato.or_else(preferred).ok_or(RequestRejection::NotAcceptable)?;
    let search = searches.admit(&user.usuario.id, with_totals || query.is_search()).await?;
    if formato == Formato::Csv {
        let limit = if paging.has_limit { query.limit } else { Limit::LARGEST };
        let batches = apontamentos.exportar(ApontamentoQuery { limit, ..query }, !paging.has_limit);
        let batches = Admitted { batches, search };
        return Ok(csv_response::<_, ApontamentoCsv>(batches, paging.csv, DISPOSITION).await?.into());
    }
    let totals = if with_totals { Some(apontamentos.totais(query.filtro.clone()).await?) } else { None };
    let (batch, next) = apontamentos.listar(query.clone()).await?;
    let next = next.map(|cursor| cursor_text(&cursor));
    let mut response = HttpResponse::Ok();
    response.content_type(JSON_UTF8).append_header((VARY, HeaderValue::from_static("accept")));
    let total = totals.map_or(0, |totals| totals.apontamentos);
    if let Some(links) = links(&request, &fields::<ListarApontamentos>(), &paging, total, next.as_deref()) {
        response.insert_header((LINK, links));
    }
    let rest = apontamentos.itens_restantes(query, &batch).map(|batches| Admitted { batches, search });
    let tail = Tail {
        proximo: Proximo(next),
        total: totals.map(|totals| totals.apontamentos),
        total_minutos: totals.map(|totals| totals.minutos),
    };
    Ok(json_items::<_, ApontamentoResponse>(response, batch.items, rest, &tail)?.into())
}

/// The fields after the items.
#[derive(Serialize)]
struct Tail {
    proximo: Proximo,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_minutos: Option<u64>,
}

/// Uma página de apontamentos.
#[derive(JsonSchema, ApiComponent)]
#[expect(dead_code, reason = "it describes what `json_items` writes row by row")]
#[schemars(example = "crate::openapi::examples::lista_apontamentos")]
pub struct ListaApontamentos {
    /// Os apontamentos desta página.
    items: Vec<ApontamentoResponse>,
    /// O cursor da próxima página; null na última.
    proximo: Proximo,
    /// Só com `total=true`: quantos apontamentos atendem aos filtros, em todas as páginas.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// Só com `total=true`: a soma de suas durações, em minutos.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_minutos: Option<u64>,
}
