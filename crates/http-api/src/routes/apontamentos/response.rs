//! Representations of time entries.

use apistos::ApiComponent;
use domain::{Apontamento, Comentario, Escrita, Gravado, date_text, hours_and_minutes, hundredths_of_hours};
use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::Schema;
use serde::Serialize;
use uuid::Uuid;

use crate::error::messages_pt;
use crate::openapi::schema;
use crate::respond::csv::{CsvRow, decimal};
use crate::respond::timestamp::Timestamp;

/// Returns a number of minutes in hours, to two digits. Only representations have fractions; sums are of whole minutes.
pub fn decimal_hours(minutes: u64) -> f64 {
    from_hundredths(hundredths_of_hours(minutes))
}

/// Returns a number of hundredths of an hour in hours.
#[expect(clippy::cast_precision_loss, reason = "hours of people are far below 2^52")]
pub fn from_hundredths(hundredths: u64) -> f64 {
    hundredths as f64 / 100.0
}

/// Returns the schema of the states of the write-back.
pub fn sincronizacoes(_: &mut SchemaGenerator) -> Schema {
    schema::one_of(&["pendente", "ok", "erro", "desligada"])
}

const fn sincronizacao(escrita: Escrita) -> &'static str {
    match escrita {
        Escrita::Desligada => "desligada",
        Escrita::Pendente => "pendente",
        Escrita::Ok => "ok",
        Escrita::Erro(_) => "erro",
    }
}

/// Um apontamento: horas de uma pessoa em um work item.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(rename = "Apontamento")]
#[schemars(example = "crate::openapi::examples::apontamento")]
pub struct ApontamentoResponse {
    /// Id do apontamento.
    id: Uuid,
    /// Id do work item no Azure DevOps.
    work_item_id: i32,
    /// Id do projeto.
    project_id: Uuid,
    /// Nome da organização do Azure DevOps.
    organization_name: String,
    /// Dia do trabalho, `AAAA-MM-DD`.
    data_apontamento: String,
    /// Duração, `HH:MM`.
    duracao: String,
    /// Duração em horas, com duas casas.
    duracao_horas: f64,
    /// Duração em minutos.
    minutos: u16,
    /// Id da atividade.
    id_atividade: Uuid,
    /// A atividade.
    atividade: AtividadeDoApontamento,
    /// Comentário.
    comentario: Option<String>,
    /// Id de quem apontou.
    usuario_id: String,
    /// Nome de quem apontou.
    usuario_nome: String,
    /// E-mail de quem apontou.
    usuario_email: Option<String>,
    /// Quando foi criado (UTC).
    criado_em: Timestamp,
    /// Quando mudou pela última vez (UTC).
    atualizado_em: Timestamp,
    /// O work item como estava quando alguém o consultou pela última vez.
    work_item: Option<WorkItemDoApontamento>,
    /// Se as horas do work item estão escritas no Azure DevOps; `desligada`, se este servidor não as escreve ou se nenhum
    /// apontamento do work item mudou desde que as escreve.
    #[schemars(schema_with = "sincronizacoes")]
    sincronizacao: &'static str,
    /// Só com `erro`: por que as horas não podem ser escritas.
    sincronizacao_motivo: Option<&'static str>,
}

/// Atividade de um apontamento.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::atividade_do_apontamento")]
struct AtividadeDoApontamento {
    /// Id da atividade.
    id: Uuid,
    /// Nome da atividade.
    nome: String,
}

/// O work item de um apontamento.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::work_item_do_apontamento")]
struct WorkItemDoApontamento {
    /// Título.
    titulo: String,
    /// Tipo, como `Task`.
    tipo: String,
}

impl From<Apontamento> for ApontamentoResponse {
    fn from(apontamento: Apontamento) -> Self {
        let minutos = apontamento.minutos.get();
        let id_atividade = apontamento.id_atividade.0;
        Self {
            id: apontamento.id.0,
            work_item_id: apontamento.work_item.get(),
            project_id: apontamento.id_projeto.0,
            organization_name: apontamento.organizacao,
            data_apontamento: date_text(apontamento.data),
            duracao: hours_and_minutes(minutos.into()),
            duracao_horas: decimal_hours(minutos.into()),
            minutos,
            id_atividade,
            atividade: AtividadeDoApontamento { id: id_atividade, nome: apontamento.nome_atividade.into_string() },
            comentario: apontamento.comentario.map(Comentario::into_string),
            usuario_id: apontamento.usuario.id,
            usuario_nome: apontamento.usuario.display_name,
            usuario_email: apontamento.usuario.email,
            criado_em: Timestamp(apontamento.criado_em),
            atualizado_em: Timestamp(apontamento.atualizado_em),
            work_item: apontamento
                .work_item_visto
                .map(|visto| WorkItemDoApontamento { titulo: visto.titulo, tipo: visto.tipo }),
            sincronizacao: sincronizacao(apontamento.escrita),
            sincronizacao_motivo: match apontamento.escrita {
                Escrita::Erro(motivo) => Some(messages_pt::write_back_failure(motivo)),
                Escrita::Desligada | Escrita::Pendente | Escrita::Ok => None,
            },
        }
    }
}

/// Um apontamento gravado, com o que não pôde ser verificado.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::apontamento_gravado")]
pub struct ApontamentoGravado {
    #[serde(flatten)]
    apontamento: ApontamentoResponse,
    /// O que não pôde ser verificado, porque o Azure DevOps não respondeu.
    avisos: Vec<String>,
}

impl From<Gravado<Apontamento>> for ApontamentoGravado {
    fn from(Gravado { gravado, nao_verificados }: Gravado<Apontamento>) -> Self {
        let avisos = nao_verificados.into_iter().map(messages_pt::unchecked_work_item).collect();
        Self { apontamento: gravado.into(), avisos }
    }
}

/// Os apontamentos que uma requisição criou.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::apontamentos_criados")]
pub struct ApontamentosCriados {
    /// Os apontamentos criados, na ordem em que foram enviados.
    items: Vec<ApontamentoResponse>,
    /// Quantos foram criados.
    total: usize,
    /// O que não pôde ser verificado, porque o Azure DevOps não respondeu.
    avisos: Vec<String>,
}

impl From<Gravado<Vec<Apontamento>>> for ApontamentosCriados {
    fn from(Gravado { gravado, nao_verificados }: Gravado<Vec<Apontamento>>) -> Self {
        let avisos = nao_verificados.into_iter().map(messages_pt::unchecked_work_item).collect();
        Self { total: gravado.len(), items: gravado.into_iter().map(Into::into).collect(), avisos }
    }
}

/// Uma linha do CSV, para pessoas.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::apontamento_csv")]
pub struct ApontamentoCsv {
    /// Dia do trabalho.
    data: String,
    /// Duração, `HH:MM`.
    duracao: String,
    /// Duração em horas, com duas casas; com o separador `;`, com vírgula decimal.
    horas: String,
    /// Duração em minutos.
    minutos: u16,
    /// Nome de quem apontou.
    usuario: String,
    /// E-mail de quem apontou.
    email: Option<String>,
    /// Nome do projeto.
    projeto: String,
    /// Nome da atividade.
    atividade: String,
    /// Id do work item.
    work_item_id: i32,
    /// Título do work item.
    work_item: Option<String>,
    /// Comentário.
    comentario: Option<String>,
    /// Id do apontamento.
    id: Uuid,
}

impl From<Apontamento> for ApontamentoCsv {
    fn from(apontamento: Apontamento) -> Self {
        let minutos = apontamento.minutos.get();
        Self {
            data: date_text(apontamento.data),
            duracao: hours_and_minutes(minutos.into()),
            horas: decimal_text(minutos.into()),
            minutos,
            usuario: apontamento.usuario.display_name,
            email: apontamento.usuario.email,
            projeto: apontamento.nome_projeto.into_string(),
            atividade: apontamento.nome_atividade.into_string(),
            work_item_id: apontamento.work_item.get(),
            work_item: apontamento.work_item_visto.map(|visto| visto.titulo),
            comentario: apontamento.comentario.map(Comentario::into_string),
            id: apontamento.id.0,
        }
    }
}

/// Returns a number of minutes in hours, with two digits.
pub fn decimal_text(minutes: u64) -> String {
    let hundredths = hundredths_of_hours(minutes);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

impl CsvRow for ApontamentoCsv {
    fn map_texts(self, escape: fn(String) -> String) -> Self {
        Self {
            usuario: escape(self.usuario),
            email: self.email.map(escape),
            projeto: escape(self.projeto),
            atividade: escape(self.atividade),
            work_item: self.work_item.map(escape),
            comentario: self.comentario.map(escape),
            ..self
        }
    }

    fn for_separator(self, separator: u8) -> Self {
        Self { horas: decimal(&self.horas, separator), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_have_two_digits() {
        for (minutes, text, hours) in [(1, "0.02", 0.02), (20, "0.33", 0.33), (90, "1.50", 1.5), (1440, "24.00", 24.0)] {
            assert_eq!(decimal_text(minutes), text);
            assert_eq!(serde_json::json!(decimal_hours(minutes)), serde_json::json!(hours));
        }
        assert_eq!((decimal("1.50", b';'), decimal("1.50", b',')), ("1,50".to_owned(), "1.50".to_owned()));
    }
}
