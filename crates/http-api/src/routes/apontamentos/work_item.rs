//! `/api/v1/apontamentos/work-item/{work_item_id}`: the hours of one work item.

use std::collections::HashMap;
use std::hash::Hash;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use apistos::{ApiComponent, api_operation};
use deserr::Deserr;
use domain::{
    Agrupamento, ApontamentoFiltro, ApontamentoQuery, Apontamentos, Chave, Limit, LinhaDeHoras, Totais, WorkItemId,
    date_text, hours_and_minutes,
};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::query::{DoWorkItem, ListarDoWorkItem};
use super::response::{ApontamentoCsv, ApontamentoResponse, decimal_hours, from_hundredths};
use crate::error::ApiError;
use crate::error::validation::ValidationErrors;
use crate::extract::input::Input;
use crate::extract::part::RequestPart;
use crate::limits::in_flight::{InFlight, REPORT};
use crate::limits::searches::{Admitted, Searches};
use crate::media_type::JSON_UTF8;
use crate::middleware::authentication::CurrentUser;
use crate::respond::json::Json;
use crate::respond::list::{ListResponse, json_items};

#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = ValidationErrors)]
pub struct WorkItemPath {
    /// Id do work item no Azure DevOps.
    #[schemars(with = "i32", range(min = 1))]
    work_item_id: WorkItemId,
}

impl RequestPart for WorkItemPath {}

type Listar = Input<WorkItemPath, ListarDoWorkItem>;
type Consultar = Input<WorkItemPath, DoWorkItem>;

fn of(work_item: WorkItemId) -> ApontamentoFiltro {
    ApontamentoFiltro { work_item: Some(work_item), ..ApontamentoFiltro::default() }
}

#[api_operation(
    tag = "Apontamentos",
    operation_id = "listar_apontamentos_do_work_item",
    summary = "Listar apontamentos de um work item",
    description = "Os apontamentos de um work item, de todas as pessoas, e a soma deles.",
    error_code = 422
)]
pub async fn listar(
    apontamentos: Data<Apontamentos>,
    searches: Data<Searches>,
    user: CurrentUser,
    input: Listar,
) -> Result<ListResponse<ApontamentosDoWorkItem, ApontamentoCsv>, ApiError> {
    let ListarDoWorkItem { organization_name, skip, limit, .. } = input.query;
    apontamentos.verificar_organizacao(organization_name.as_ref()).map_err(Listar::error)?;
    let filtro = of(input.path.work_item_id);
    // Every entry is counted.
    let search = searches.admit(&user.usuario.id, true).await?;
    let Totais { apontamentos: total, minutos } = apontamentos.totais(filtro.clone()).await?;
    let (skip, limit) = (skip.unwrap_or_default(), limit.unwrap_or(Limit::LARGEST));
    let query = ApontamentoQuery { filtro, skip, limit, ..ApontamentoQuery::default() };
    let (batch, _) = apontamentos.listar(query.clone()).await?;
    let rest = apontamentos.itens_restantes(query, &batch).map(|batches| Admitted { batches, search });
    let mut response = HttpResponse::Ok();
    response.content_type(JSON_UTF8);
    let tail =
        Tail { total, total_horas: decimal_hours(minutos), total_formatado: hours_and_minutes(minutos) };
    Ok(json_items::<_, ApontamentoResponse>(response, batch.items, rest, &tail)?.into())
}

/// The fields after the items.
#[derive(Serialize)]
struct Tail {
    total: u64,
    total_horas: f64,
    total_formatado: String,
}

/// Os apontamentos de um work item.
#[derive(JsonSchema, ApiComponent)]
#[expect(dead_code, reason = "it describes what `json_items` writes row by row")]
#[schemars(example = "crate::openapi::examples::apontamentos_do_work_item")]
pub struct ApontamentosDoWorkItem {
    /// Os apontamentos desta página.
    items: Vec<ApontamentoResponse>,
    /// Quantos apontamentos o work item tem.
    total: u64,
    /// A soma em horas, com duas casas.
    total_horas: f64,
    /// A soma, `HH:MM`.
    total_formatado: String,
}

#[api_operation(
    tag = "Apontamentos",
    operation_id = "resumir_work_item",
    summary = "Resumir as horas de um work item",
    description = "As horas de um work item, por atividade e por pessoa.",
    error_code = 422
)]
pub async fn resumir(
    apontamentos: Data<Apontamentos>,
    searches: Data<Searches>,
    in_flight: Data<InFlight>,
    user: CurrentUser,
    input: Consultar,
    request: HttpRequest,
) -> Result<Json<ResumoDoWorkItem>, ApiError> {
    apontamentos.verificar_organizacao(input.query.organization_name.as_ref()).map_err(Consultar::error)?;
    let _search = searches.admit(&user.usuario.id, true).await?;
    in_flight.reserve_response(&request, &user.usuario.id, REPORT).await?;
    let id = input.path.work_item_id;
    let linhas = apontamentos.relatorio(of(id), vec![Agrupamento::Atividade, Agrupamento::Usuario]).await?;
    Ok(Json(ResumoDoWorkItem::new(id, &linhas)))
}

/// As horas de um work item.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::resumo_do_work_item")]
pub struct ResumoDoWorkItem {
    /// Id do work item.
    work_item_id: i32,
    /// Quantos apontamentos ele tem.
    total_apontamentos: u64,
    /// A soma em horas, com duas casas.
    total_horas: f64,
    /// A soma, `HH:MM`.
    total_formatado: String,
    /// A média em horas, com duas casas.
    media_horas_por_apontamento: f64,
    /// O primeiro dia com horas.
    primeira_data: Option<String>,
    /// O último dia com horas.
    ultima_data: Option<String>,
    /// As horas de cada atividade.
    por_atividade: Vec<HorasDaAtividade>,
    /// As horas de cada pessoa.
    por_usuario: Vec<HorasDoUsuario>,
}

/// As horas de uma atividade.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::horas_da_atividade")]
struct HorasDaAtividade {
    /// Id da atividade.
    id: Uuid,
    /// Nome da atividade.
    nome: String,
    /// As horas, com duas casas.
    total_horas: f64,
}

/// As horas de uma pessoa.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::horas_do_usuario")]
struct HorasDoUsuario {
    /// Id da pessoa.
    id: String,
    /// Nome da pessoa.
    nome: String,
    /// As horas, com duas casas.
    total_horas: f64,
}

impl ResumoDoWorkItem {
    fn new(id: WorkItemId, linhas: &[LinhaDeHoras]) -> Self {
        let (mut minutos, mut total) = (0, 0);
        let (mut atividades, mut usuarios) = (Sums::new(), Sums::new());
        for linha in linhas {
            (minutos, total) = (minutos + linha.totais.minutos, total + linha.totais.apontamentos);
            for chave in &linha.chaves {
                match chave {
                    Chave::Atividade(id, nome) => atividades.add(id.0, nome.as_str(), linha.totais.minutos),
                    Chave::Usuario(id, nome) => usuarios.add(id.as_str(), nome, linha.totais.minutos),
                    _ => {}
                }
            }
        }
        // Rounded half up, as every number of hours.
        let mean_hundredths = (minutos * 100 + total * 30).checked_div(total * 60).unwrap_or_default();
        Self {
            work_item_id: id.get(),
            total_apontamentos: total,
            total_horas: decimal_hours(minutos),
            total_formatado: hours_and_minutes(minutos),
            media_horas_por_apontamento: from_hundredths(mean_hundredths),
            primeira_data: linhas.iter().map(|linha| linha.primeira_data).min().map(date_text),
            ultima_data: linhas.iter().map(|linha| linha.ultima_data).max().map(date_text),
            por_atividade: atividades
                .sums
                .into_iter()
                .map(|(id, nome, minutos)| HorasDaAtividade {
                    id,
                    nome: nome.to_owned(),
                    total_horas: decimal_hours(minutos),
                })
                .collect(),
            por_usuario: usuarios
                .sums
                .into_iter()
                .map(|(id, nome, minutos)| HorasDoUsuario {
                    id: id.to_owned(),
                    nome: nome.to_owned(),
                    total_horas: decimal_hours(minutos),
                })
                .collect(),
        }
    }
}

/// Sums of minutes, in the order in which their ids were first added.
struct Sums<'a, I> {
    sums: Vec<(I, &'a str, u64)>,
    indices: HashMap<I, usize>,
}

impl<'a, I: Copy + Eq + Hash> Sums<'a, I> {
    fn new() -> Self {
        Self { sums: Vec::new(), indices: HashMap::new() }
    }

    fn add(&mut self, id: I, nome: &'a str, minutos: u64) {
        let index = *self.indices.entry(id).or_insert(self.sums.len());
        match self.sums.get_mut(index) {
            Some((.., sum)) => *sum += minutos,
            None => self.sums.push((id, nome, minutos)),
        }
    }
}

#[api_operation(
    tag = "Apontamentos",
    operation_id = "obter_horas_do_azure",
    summary = "Obter as horas de um work item no Azure DevOps",
    description = "As horas que o work item tem no Azure DevOps, lidas com a credencial de quem chama.",
    error_code = 404,
    error_code = 409,
    error_code = 422
)]
pub async fn azure_info(
    apontamentos: Data<Apontamentos>,
    user: CurrentUser,
    input: Consultar,
) -> Result<Json<HorasDoAzure>, ApiError> {
    apontamentos.verificar_organizacao(input.query.organization_name.as_ref()).map_err(Consultar::error)?;
    let item = apontamentos.work_item(&user, input.path.work_item_id).await.map_err(Consultar::error)?;
    Ok(Json(HorasDoAzure {
        original_estimate: item.original_estimate,
        remaining_work: item.remaining_work,
        completed_work: item.completed_work,
    }))
}

/// As horas de um work item no Azure DevOps; um tipo sem um dos campos não o tem.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(example = "crate::openapi::examples::horas_do_azure")]
pub struct HorasDoAzure {
    /// As horas estimadas.
    #[serde(skip_serializing_if = "Option::is_none")]
    original_estimate: Option<f64>,
    /// As horas que faltam.
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining_work: Option<f64>,
    /// As horas feitas.
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_work: Option<f64>,
}
