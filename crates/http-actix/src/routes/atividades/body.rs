//! What a request says about an atividade.

use apistos::ApiComponent;
use deserr::Deserr;
use domain::{AtividadePatch, Descricao, NomeAtividade, NovaAtividade, Patch, ProjetoRef};
use schemars::JsonSchema;
use uuid::Uuid;

use crate::faults::Faults;
use crate::input::Section;
use crate::routes::IfPresent;

/// What a new atividade is to be.
#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = Faults)]
pub struct CriarAtividade {
    /// Nome da atividade; espaços em volta são descartados.
    #[schemars(with = "String", length(min = 1, max = 255))]
    nome: NomeAtividade,
    /// Descrição; até 64 KiB em UTF-8.
    #[deserr(default)]
    #[schemars(with = "Option<String>", length(max = 65536))]
    descricao: Option<Descricao>,
    /// Se é possível apontar horas nela.
    #[deserr(default = ativo_default())]
    #[schemars(default = "ativo_default")]
    ativo: bool,
    /// Id do projeto a que pertence.
    #[schemars(with = "Uuid")]
    id_projeto: ProjetoRef,
}

const fn ativo_default() -> bool {
    true
}

/// What is to change.
#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = Faults)]
pub struct AtualizarAtividade {
    /// Novo nome.
    #[deserr(default)]
    #[schemars(with = "String", default, length(min = 1, max = 255))]
    nome: IfPresent<NomeAtividade>,
    /// Nova descrição; null a remove.
    #[deserr(default)]
    #[schemars(with = "Option<String>", length(max = 65536))]
    descricao: Patch<Descricao>,
    /// Se é possível apontar horas nela.
    #[deserr(default)]
    #[schemars(with = "bool", default)]
    ativo: IfPresent<bool>,
    /// Id do novo projeto.
    #[deserr(default)]
    #[schemars(with = "Uuid", default)]
    id_projeto: IfPresent<ProjetoRef>,
}

impl Section for CriarAtividade {}
impl Section for AtualizarAtividade {}

impl From<CriarAtividade> for NovaAtividade {
    fn from(body: CriarAtividade) -> Self {
        let CriarAtividade { nome, descricao, ativo, id_projeto } = body;
        Self { nome, descricao, ativo, projeto: id_projeto }
    }
}

impl From<AtualizarAtividade> for AtividadePatch {
    fn from(body: AtualizarAtividade) -> Self {
        let AtualizarAtividade { nome, descricao, ativo, id_projeto } = body;
        Self { nome: nome.0, descricao, ativo: ativo.0, projeto: id_projeto.0, expected: None }
    }
}
