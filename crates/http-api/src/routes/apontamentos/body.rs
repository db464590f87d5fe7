//! Bodies of requests about time entries. What a body says about the person is ignored.

use apistos::ApiComponent;
use deserr::Deserr;
use domain::{
    ApontamentoPatch, AtividadeId, Minutos, NovoApontamento, Organizacao, Patch, ProjetoSelector, WorkItemId,
};
use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::Schema;
use time::Date;
use uuid::Uuid;

use crate::error::validation::ValidationErrors;
use crate::extract::items::Itens;
use crate::extract::part::RequestPart;
use crate::extract::scalars::{ComentarioOuVazio, IfPresent};
use crate::openapi::schema;

fn duracao(_: &mut SchemaGenerator) -> Schema {
    schema::text("HH:MM".len(), "^([01]?[0-9]|2[0-3]):[0-5][0-9]$|^24:00$")
}

/// Um apontamento a criar, em nome de quem chama.
#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = ValidationErrors)]
#[schemars(example = "crate::openapi::examples::criar_apontamento")]
pub struct CriarApontamento {
    /// Id do work item no Azure DevOps.
    #[schemars(with = "i32", range(min = 1))]
    work_item_id: WorkItemId,
    /// Duração, `H:MM` ou `HH:MM`, de 00:01 a 24:00.
    #[schemars(schema_with = "duracao")]
    duracao: Minutos,
    /// Dia do trabalho, `AAAA-MM-DD`, de 2000-01-01 a um ano à frente.
    #[schemars(schema_with = "schema::data")]
    data_apontamento: Date,
    /// Comentário; até 500 caracteres.
    #[deserr(default)]
    #[schemars(schema_with = "schema::comentario", default)]
    comentario: ComentarioOuVazio,
    /// Id da atividade, que precisa estar ativa.
    #[schemars(with = "Uuid")]
    id_atividade: AtividadeId,
    /// Nome da organização do Azure DevOps.
    #[schemars(schema_with = "schema::nome")]
    organization_name: Organizacao,
    /// Id do projeto, ou seu nome.
    #[schemars(schema_with = "schema::nome")]
    project_id: ProjetoSelector,
}

/// Vários apontamentos a criar.
#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = ValidationErrors)]
#[schemars(example = "crate::openapi::examples::criar_apontamentos")]
pub struct CriarApontamentos {
    /// Os apontamentos; todos são criados, ou nenhum.
    #[schemars(with = "Vec<CriarApontamento>", length(min = 1, max = 1000))]
    pub items: Itens<CriarApontamento>,
}

/// O que muda em um apontamento.
#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = ValidationErrors)]
#[schemars(example = "crate::openapi::examples::atualizar_apontamento")]
pub struct AtualizarApontamento {
    /// Nova duração, `H:MM` ou `HH:MM`, de 00:01 a 24:00.
    #[deserr(default)]
    #[schemars(schema_with = "duracao", default)]
    duracao: IfPresent<Minutos>,
    /// Novo dia, `AAAA-MM-DD`.
    #[deserr(default)]
    #[schemars(schema_with = "schema::data", default)]
    data_apontamento: IfPresent<Date>,
    /// Novo comentário; null ou um texto vazio o remove.
    #[deserr(default)]
    #[schemars(schema_with = "schema::comentario", default)]
    comentario: IfPresent<ComentarioOuVazio>,
    /// Id da nova atividade.
    #[deserr(default)]
    #[schemars(with = "Uuid", default)]
    id_atividade: IfPresent<AtividadeId>,
}

impl RequestPart for CriarApontamento {
    const IDEMPOTENT: bool = true;
}

impl RequestPart for CriarApontamentos {
    const IDEMPOTENT: bool = true;
}

impl RequestPart for AtualizarApontamento {}

impl From<CriarApontamento> for NovoApontamento {
    fn from(body: CriarApontamento) -> Self {
        let CriarApontamento {
            work_item_id,
            duracao,
            data_apontamento,
            comentario,
            id_atividade,
            organization_name,
            project_id,
        } = body;
        Self {
            work_item: work_item_id,
            projeto: project_id,
            organizacao: organization_name,
            data: data_apontamento,
            minutos: duracao,
            atividade: id_atividade,
            comentario: comentario.0,
        }
    }
}

impl From<AtualizarApontamento> for ApontamentoPatch {
    fn from(body: AtualizarApontamento) -> Self {
        let AtualizarApontamento { duracao, data_apontamento, comentario, id_atividade } = body;
        let comentario = comentario.0.map_or(Patch::Absent, |comentario| comentario.0.map_or(Patch::Null, Patch::Value));
        Self {
            minutos: duracao.0,
            data: data_apontamento.0,
            comentario,
            atividade: id_atividade.0,
            expected: None,
        }
    }
}
