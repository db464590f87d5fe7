//! The representation of a timesheet.

use apistos::ApiComponent;
use domain::{
    Apontamento, Comentario, DiaDoTimesheet, LinhaDoTimesheet, StateCategory, Timesheet, date_text, hours_and_minutes,
};
use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::Schema;
use serde::Serialize;
use serde_json::json;
use time::{Date, Weekday};
use uuid::Uuid;

use crate::error::messages_pt;
use crate::openapi::schema;
use crate::routes::apontamentos::response::decimal_hours;

/// A semana de uma pessoa.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(rename = "Timesheet")]
#[schemars(example = "crate::openapi::examples::timesheet")]
pub struct TimesheetResponse {
    /// A segunda-feira, `AAAA-MM-DD`.
    semana_inicio: String,
    /// O domingo, `AAAA-MM-DD`.
    semana_fim: String,
    /// A semana para pessoas.
    semana_label: String,
    /// Os work items do nível mais alto.
    work_items: Vec<WorkItemDoTimesheet>,
    /// A soma da semana em horas, com duas casas.
    total_geral_horas: f64,
    /// A soma da semana, `HH:MM`.
    total_geral_formatado: String,
    /// A soma de cada dia.
    totais_por_dia: Vec<TotalDoDia>,
    /// Quantos work items recebem horas: os que não têm outros abaixo e os que têm apontamentos.
    total_work_items: u64,
    /// A soma das horas estimadas dos work items que não têm outros abaixo.
    total_esforco: f64,
    /// A soma das horas feitas dos work items que não têm outros abaixo.
    total_historico: f64,
    /// O que falta, porque o Azure DevOps não respondeu.
    avisos: Vec<&'static str>,
}

/// A soma de um dia.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::total_do_dia")]
struct TotalDoDia {
    /// O dia, `AAAA-MM-DD`.
    data: String,
    /// O dia da semana.
    #[schemars(schema_with = "dias_da_semana")]
    dia_semana: &'static str,
    /// O dia do mês.
    dia_numero: u8,
    /// A soma em horas, com duas casas.
    total_horas: f64,
    /// A soma, `HH:MM`.
    total_formatado: String,
    /// Se é hoje em Brasília.
    eh_hoje: bool,
}

/// Um work item com as horas da semana.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::work_item_do_timesheet")]
struct WorkItemDoTimesheet {
    /// O id.
    id: i32,
    /// O título; o último conhecido, se quem chama não vê o work item.
    title: String,
    /// O tipo, pelo nome que tem no processo.
    r#type: String,
    /// O estado, pelo nome que tem no processo.
    state: Option<String>,
    /// A categoria do estado.
    #[schemars(schema_with = "categorias")]
    state_category: Option<&'static str>,
    /// Sempre vazio: o navegador tem os ícones.
    icon_url: &'static str,
    /// O nome da pessoa a quem está atribuído.
    assigned_to: Option<String>,
    /// As horas estimadas; a soma dos que estão abaixo.
    original_estimate: Option<f64>,
    /// As horas feitas; a soma dos que estão abaixo.
    completed_work: Option<f64>,
    /// As horas que faltam; a soma dos que estão abaixo.
    remaining_work: Option<f64>,
    /// A soma da semana em horas, com duas casas, inclusive dos que estão abaixo.
    total_semana_horas: f64,
    /// A soma da semana, `HH:MM`.
    total_semana_formatado: String,
    /// Quantos work items estão acima, no máximo 3.
    #[schemars(range(max = 3))]
    nivel: u8,
    /// O id do work item acima.
    parent_id: Option<i32>,
    /// Os work items abaixo.
    children: Vec<Self>,
    /// Se recebe apontamentos e alterações.
    pode_editar: bool,
    /// Se os apontamentos podem ser excluídos.
    pode_excluir: bool,
    /// Os sete dias, a partir da segunda-feira.
    dias: Vec<DiaDoWorkItem>,
}

/// Um dia de um work item.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::dia_do_work_item")]
struct DiaDoWorkItem {
    /// O dia, `AAAA-MM-DD`.
    data: String,
    /// O dia da semana.
    #[schemars(schema_with = "dias_da_semana")]
    dia_semana: &'static str,
    /// O dia do mês.
    dia_numero: u8,
    /// A soma em horas, com duas casas, inclusive dos work items abaixo.
    total_horas: f64,
    /// A soma, `HH:MM`; vazia sem horas.
    total_formatado: String,
    /// Os apontamentos no próprio work item.
    apontamentos: Vec<ApontamentoDoDia>,
    /// Se é hoje em Brasília.
    eh_hoje: bool,
    /// Se é sábado ou domingo.
    eh_fim_semana: bool,
}

/// Um apontamento de um dia.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::apontamento_do_dia")]
struct ApontamentoDoDia {
    /// O id.
    id: Uuid,
    /// A duração, `HH:MM`.
    duracao: String,
    /// A duração em horas, com duas casas.
    duracao_horas: f64,
    /// O id da atividade.
    id_atividade: Uuid,
    /// O nome da atividade.
    atividade_nome: String,
    /// O comentário.
    comentario: Option<String>,
}

fn dias_da_semana(_: &mut SchemaGenerator) -> Schema {
    schema::one_of(&["seg", "ter", "qua", "qui", "sex", "sáb", "dom"])
}

fn categorias(_: &mut SchemaGenerator) -> Schema {
    let mut schema = schema::one_of(&["Proposed", "InProgress", "Resolved", "Completed", "Removed"]).into_object();
    schema.extensions.insert("nullable".to_owned(), json!(true));
    schema.into()
}

impl From<Timesheet> for TimesheetResponse {
    fn from(timesheet: Timesheet) -> Self {
        let Timesheet {
            semana,
            hoje,
            linhas,
            minutos_por_dia,
            total_work_items,
            total_esforco,
            total_historico,
            avisos,
        } = timesheet;
        let minutos = minutos_por_dia.iter().sum();
        let dias = semana.dias();
        let totais = dias.iter().zip(minutos_por_dia);
        Self {
            semana_inicio: date_text(semana.inicio()),
            semana_fim: date_text(semana.fim()),
            semana_label: format!("{} - {}", day_and_month(semana.inicio()), day_and_month(semana.fim())),
            work_items: linhas.into_iter().map(|linha| WorkItemDoTimesheet::new(linha, &dias, hoje)).collect(),
            total_geral_horas: decimal_hours(minutos),
            total_geral_formatado: hours_and_minutes(minutos),
            totais_por_dia: totais.map(|(&data, minutos)| TotalDoDia::new(data, minutos, hoje)).collect(),
            total_work_items: u64::try_from(total_work_items).unwrap_or(u64::MAX),
            total_esforco,
            total_historico,
            avisos: avisos.into_iter().map(messages_pt::aviso_do_timesheet).collect(),
        }
    }
}

impl TotalDoDia {
    fn new(data: Date, minutos: u64, hoje: Date) -> Self {
        Self {
            data: date_text(data),
            dia_semana: day_of_week(data),
            dia_numero: data.day(),
            total_horas: decimal_hours(minutos),
            total_formatado: hours_and_minutes(minutos),
            eh_hoje: data == hoje,
        }
    }
}

impl WorkItemDoTimesheet {
    fn new(linha: LinhaDoTimesheet, dias: &[Date], hoje: Date) -> Self {
        let minutos = linha.minutos();
        Self {
            id: linha.id.get(),
            title: linha.titulo,
            r#type: linha.tipo,
            state: linha.estado,
            state_category: linha.categoria.map(category),
            icon_url: "",
            assigned_to: linha.assigned_to,
            original_estimate: linha.horas.original_estimate,
            completed_work: linha.horas.completed_work,
            remaining_work: linha.horas.remaining_work,
            total_semana_horas: decimal_hours(minutos),
            total_semana_formatado: hours_and_minutes(minutos),
            nivel: linha.nivel,
            parent_id: linha.parent.map(domain::WorkItemId::get),
            children: linha.filhas.into_iter().map(|filha| Self::new(filha, dias, hoje)).collect(),
            pode_editar: linha.pode_editar,
            pode_excluir: linha.pode_excluir,
            dias: dias.iter().zip(linha.dias).map(|(&data, dia)| DiaDoWorkItem::new(data, dia, hoje)).collect(),
        }
    }
}

impl DiaDoWorkItem {
    fn new(data: Date, DiaDoTimesheet { apontamentos, minutos }: DiaDoTimesheet, hoje: Date) -> Self {
        Self {
            data: date_text(data),
            dia_semana: day_of_week(data),
            dia_numero: data.day(),
            total_horas: decimal_hours(minutos),
            total_formatado: if minutos == 0 { String::new() } else { hours_and_minutes(minutos) },
            apontamentos: apontamentos.into_iter().map(Into::into).collect(),
            eh_hoje: data == hoje,
            eh_fim_semana: matches!(data.weekday(), Weekday::Saturday | Weekday::Sunday),
        }
    }
}

impl From<Apontamento> for ApontamentoDoDia {
    fn from(apontamento: Apontamento) -> Self {
        let minutos = apontamento.minutos.get().into();
        Self {
            id: apontamento.id.0,
            duracao: hours_and_minutes(minutos),
            duracao_horas: decimal_hours(minutos),
            id_atividade: apontamento.id_atividade.0,
            atividade_nome: apontamento.nome_atividade.into_string(),
            comentario: apontamento.comentario.map(Comentario::into_string),
        }
    }
}

fn day_and_month(date: Date) -> String {
    format!("{:02}/{:02}", date.day(), u8::from(date.month()))
}

const fn day_of_week(date: Date) -> &'static str {
    match date.weekday() {
        Weekday::Monday => "seg",
        Weekday::Tuesday => "ter",
        Weekday::Wednesday => "qua",
        Weekday::Thursday => "qui",
        Weekday::Friday => "sex",
        Weekday::Saturday => "sáb",
        Weekday::Sunday => "dom",
    }
}

const fn category(category: StateCategory) -> &'static str {
    match category {
        StateCategory::Proposed => "Proposed",
        StateCategory::InProgress => "InProgress",
        StateCategory::Resolved => "Resolved",
        StateCategory::Completed => "Completed",
        StateCategory::Removed => "Removed",
    }
}
