//! Lines of a report of hours.

use apistos::ApiComponent;
use domain::{Agrupamento, Chave, LinhaDeHoras, date_text, hours_and_minutes};
use schemars::JsonSchema;
use serde::Serialize;
use time::{Date, Duration};
use uuid::Uuid;

const MESES: [&str; 12] = [
    "janeiro", "fevereiro", "março", "abril", "maio", "junho", "julho", "agosto", "setembro", "outubro", "novembro",
    "dezembro",
];

/// Uma linha: os valores dos agrupamentos e a soma.
#[derive(Serialize, JsonSchema, ApiComponent, Default)]
#[schemars(example = "crate::openapi::examples::linha_de_horas")]
pub struct LinhaResponse {
    /// O projeto.
    #[serde(skip_serializing_if = "Option::is_none")]
    projeto: Option<ChaveComUuid>,
    /// A atividade.
    #[serde(skip_serializing_if = "Option::is_none")]
    atividade: Option<ChaveComUuid>,
    /// A pessoa.
    #[serde(skip_serializing_if = "Option::is_none")]
    usuario: Option<ChaveComTexto>,
    /// O work item.
    #[serde(skip_serializing_if = "Option::is_none")]
    work_item: Option<ChaveComNumero>,
    /// O dia.
    #[serde(skip_serializing_if = "Option::is_none")]
    dia: Option<ChaveComTexto>,
    /// A semana (ISO 8601), que começa na segunda-feira.
    #[serde(skip_serializing_if = "Option::is_none")]
    semana: Option<ChaveComTexto>,
    /// O mês.
    #[serde(skip_serializing_if = "Option::is_none")]
    mes: Option<ChaveComTexto>,
    /// A soma em minutos.
    minutos: u64,
    /// A soma, `HH:MM`.
    total_formatado: String,
    /// Quantos apontamentos foram somados.
    apontamentos: u64,
}

/// Um projeto ou uma atividade.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::chave_com_uuid")]
struct ChaveComUuid {
    /// Id.
    id: Uuid,
    /// Nome.
    nome: String,
}

/// Uma pessoa ou um período: `2026-11-23`, `2026-W48` ou `2026-11`.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::chave_com_texto")]
struct ChaveComTexto {
    /// Id.
    id: String,
    /// Nome.
    nome: String,
}

/// Um work item.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::chave_com_numero")]
struct ChaveComNumero {
    /// Id.
    id: i32,
    /// Título, se alguém já o consultou.
    nome: Option<String>,
}

impl From<LinhaDeHoras> for LinhaResponse {
    fn from(linha: LinhaDeHoras) -> Self {
        let totais = linha.totais;
        let mut response = Self {
            minutos: totais.minutos,
            total_formatado: hours_and_minutes(totais.minutos),
            apontamentos: totais.apontamentos,
            ..Self::default()
        };
        for chave in linha.chaves {
            match chave {
                Chave::Projeto(id, nome) => {
                    response.projeto = Some(ChaveComUuid { id: id.0, nome: nome.into_string() });
                }
                Chave::Atividade(id, nome) => {
                    response.atividade = Some(ChaveComUuid { id: id.0, nome: nome.into_string() });
                }
                Chave::Usuario(id, nome) => response.usuario = Some(ChaveComTexto { id, nome }),
                Chave::WorkItem(id, nome) => response.work_item = Some(ChaveComNumero { id: id.get(), nome }),
                Chave::Dia(data) => response.dia = Some(ChaveComTexto { id: date_text(data), nome: day(data) }),
                Chave::Semana(monday) => {
                    response.semana = Some(ChaveComTexto { id: week(monday), nome: week_label(monday) });
                }
                Chave::Mes(data) => response.mes = Some(ChaveComTexto { id: month(data), nome: month_label(data) }),
            }
        }
        response
    }
}

/// Returns the columns of a grouping in a CSV document.
pub const fn columns(key: Agrupamento) -> &'static [&'static str] {
    match key {
        Agrupamento::Projeto => &["projeto", "id_projeto"],
        Agrupamento::Atividade => &["atividade", "id_atividade"],
        Agrupamento::Usuario => &["usuario", "usuario_id"],
        Agrupamento::WorkItem => &["work_item", "work_item_id"],
        Agrupamento::Dia => &["dia"],
        Agrupamento::Semana => &["semana"],
        Agrupamento::Mes => &["mes"],
    }
}

/// Returns the cells of a value in the columns of its grouping.
pub fn cells(chave: Chave) -> Vec<String> {
    match chave {
        Chave::Projeto(id, nome) => vec![nome.into_string(), id.0.to_string()],
        Chave::Atividade(id, nome) => vec![nome.into_string(), id.0.to_string()],
        Chave::Usuario(id, nome) => vec![nome, id],
        Chave::WorkItem(id, nome) => vec![nome.unwrap_or_default(), id.get().to_string()],
        Chave::Dia(data) => vec![date_text(data)],
        Chave::Semana(monday) => vec![week(monday)],
        Chave::Mes(data) => vec![month(data)],
    }
}

fn day(data: Date) -> String {
    format!("{:02}/{:02}/{:04}", data.day(), u8::from(data.month()), data.year())
}

fn week(monday: Date) -> String {
    let (year, week, _) = monday.to_iso_week_date();
    format!("{year:04}-W{week:02}")
}

fn week_label(monday: Date) -> String {
    let label = |data: Date| format!("{:02}/{:02}", data.day(), u8::from(data.month()));
    format!("{} - {}", label(monday), label(monday.saturating_add(Duration::days(6))))
}

fn month(data: Date) -> String {
    format!("{:04}-{:02}", data.year(), u8::from(data.month()))
}

fn month_label(data: Date) -> String {
    let name = MESES.get(usize::from(u8::from(data.month())) - 1).copied().unwrap_or_default();
    format!("{name} de {}", data.year())
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    /// At the boundaries of years the week has another year than its days.
    #[test]
    fn periods_are_named_across_years() {
        let cases = [
            (date!(2026 - 12 - 28), "2026-W53", "28/12 - 03/01"),
            (date!(2024 - 12 - 30), "2025-W01", "30/12 - 05/01"),
            (date!(2024 - 02 - 26), "2024-W09", "26/02 - 03/03"),
            (date!(2026 - 11 - 23), "2026-W48", "23/11 - 29/11"),
        ];
        for (monday, id, label) in cases {
            assert_eq!((week(monday).as_str(), week_label(monday).as_str()), (id, label));
        }
        assert_eq!((month(date!(2024 - 02 - 29)), day(date!(2024 - 02 - 29))), ("2024-02".into(), "29/02/2024".into()));
        assert_eq!((month_label(date!(2026 - 03 - 01)), month_label(date!(2026 - 12 - 01))), ("março de 2026".into(), "dezembro de 2026".into()));
    }
}
