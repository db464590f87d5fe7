//! Bodies of requests about atividades.

use apistos::ApiComponent;
use deserr::Deserr;
use domain::{AtividadePatch, Descricao, NomeAtividade, NovaAtividade, Patch, ProjetoRef};
use schemars::JsonSchema;
use uuid::Uuid;

use crate::error::validation::ValidationErrors;
use crate::extract::items::Itens;
use crate::extract::part::RequestPart;
use crate::extract::scalars::{Booleano, IfPresent};
use crate::openapi::schema;

/// Uma atividade a criar.
#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = ValidationErrors)]
#[schemars(example = "crate::openapi::examples::criar_atividade")]
pub struct CriarAtividade {
    /// Nome da atividade; espaços em volta são descartados.
    #[schemars(schema_with = "schema::nome")]
    nome: NomeAtividade,
    /// Descrição; até 64 KiB em UTF-8.
    #[deserr(default)]
    #[schemars(schema_with = "schema::descricao", default)]
    descricao: Option<Descricao>,
    /// Se é possível apontar horas nela.
    #[deserr(default = ativo_default())]
    #[schemars(with = "bool", default = "ativo_schema_default")]
    ativo: Booleano,
    /// Id do projeto a que pertence.
    #[schemars(with = "Uuid")]
    id_projeto: ProjetoRef,
}

const fn ativo_default() -> Booleano {
    Booleano(true)
}

const fn ativo_schema_default() -> bool {
    ativo_default().0
}

/// Várias atividades a criar.
#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = ValidationErrors)]
#[schemars(example = "crate::openapi::examples::criar_lote")]
pub struct CriarLote {
    /// As atividades; todas são criadas, ou nenhuma.
    #[schemars(with = "Vec<CriarAtividade>", length(min = 1, max = 1000))]
    pub items: Itens<CriarAtividade>,
}

/// O que muda em uma atividade.
#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = ValidationErrors)]
#[schemars(example = "crate::openapi::examples::atualizar_atividade")]
pub struct AtualizarAtividade {
    /// Novo nome.
    #[deserr(default)]
    #[schemars(schema_with = "schema::nome", default)]
    nome: IfPresent<NomeAtividade>,
    /// Nova descrição; null a remove.
    #[deserr(default)]
    #[schemars(schema_with = "schema::descricao", default)]
    descricao: Patch<Descricao>,
    /// Se é possível apontar horas nela.
    #[deserr(default)]
    #[schemars(with = "bool", default)]
    ativo: IfPresent<Booleano>,
    /// Id do novo projeto.
    #[deserr(default)]
    #[schemars(with = "Uuid", default)]
    id_projeto: IfPresent<ProjetoRef>,
}

impl RequestPart for CriarAtividade {
    const IDEMPOTENT: bool = true;
}

impl RequestPart for CriarLote {
    const IDEMPOTENT: bool = true;
}

impl RequestPart for AtualizarAtividade {}

impl From<CriarAtividade> for NovaAtividade {
    fn from(body: CriarAtividade) -> Self {
        let CriarAtividade { nome, descricao, ativo, id_projeto } = body;
        Self { nome, descricao, ativo: ativo.0, projeto: id_projeto }
    }
}

impl From<AtualizarAtividade> for AtividadePatch {
    fn from(body: AtualizarAtividade) -> Self {
        let AtualizarAtividade { nome, descricao, ativo, id_projeto } = body;
        Self { nome: nome.0, descricao, ativo: ativo.0.map(|ativo| ativo.0), projeto: id_projeto.0, expected: None }
    }
}
