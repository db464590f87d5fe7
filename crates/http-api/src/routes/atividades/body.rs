//! Bodies of requests about atividades.

use apistos::ApiComponent;
use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use domain::{AtividadePatch, Descricao, NomeAtividade, NovaAtividade, Patch, ProjetoRefs};
use schemars::JsonSchema;

use super::projetos::{self, ProjetosFields};
use crate::error::messages_pt;
use crate::error::validation::{ValidationErrors, type_error};
use crate::extract::items::Itens;
use crate::extract::part::RequestPart;
use crate::extract::scalars::{Booleano, IfPresent};
use crate::openapi::schema;

/// Uma atividade a criar.
#[derive(JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::criar_atividade")]
pub struct CriarAtividade {
    #[schemars(flatten)]
    campos: CamposNovos,
    #[schemars(flatten, with = "ProjetosFields")]
    projetos: ProjetoRefs,
}

/// The fields of a new atividade besides its projetos.
#[derive(Deserr, JsonSchema)]
#[deserr(error = ValidationErrors)]
struct CamposNovos {
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
}

impl Deserr<ValidationErrors> for CriarAtividade {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ValidationErrors> {
        projetos::read(value, location, projetos::required).map(|(campos, projetos)| Self { campos, projetos })
    }
}

const fn ativo_default() -> Booleano {
    Booleano(true)
}

const fn ativo_schema_default() -> bool {
    ativo_default().0
}

/// Várias atividades a criar.
#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = ValidationErrors, validate = check_projetos -> ValidationErrors)]
#[schemars(example = "crate::openapi::examples::criar_lote")]
pub struct CriarLote {
    /// As atividades; todas são criadas, ou nenhuma. Ao todo, referem-se a no máximo 5.000 projetos.
    #[schemars(with = "Vec<CriarAtividade>", length(min = 1, max = 1000))]
    pub items: Itens<CriarAtividade>,
}

impl CriarLote {
    /// The largest number of projetos of all items. The response names each of them, so 1,000 items of 100 would be a
    /// response of more than 10 MB.
    const MAX_PROJETOS: usize = 5000;

    /// Returns the number of projetos of all items.
    pub fn projetos(&self) -> usize {
        self.items.0.iter().map(|item| item.projetos.iter().count()).sum()
    }
}

fn check_projetos(lote: CriarLote, location: ValuePointerRef<'_>) -> Result<CriarLote, ValidationErrors> {
    if CriarLote::MAX_PROJETOS < lote.projetos() {
        let message = messages_pt::too_many_projetos(CriarLote::MAX_PROJETOS);
        return Err(type_error("value_error", &message, location.push_key("items")));
    }
    Ok(lote)
}

/// O que muda em uma atividade.
#[derive(JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::atualizar_atividade")]
pub struct AtualizarAtividade {
    #[schemars(flatten)]
    campos: CamposAlterados,
    #[schemars(flatten, with = "ProjetosFields")]
    projetos: Option<ProjetoRefs>,
}

/// The changed fields besides the projetos.
#[derive(Deserr, JsonSchema)]
#[deserr(error = ValidationErrors)]
struct CamposAlterados {
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
}

impl Deserr<ValidationErrors> for AtualizarAtividade {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ValidationErrors> {
        projetos::read(value, location, projetos::optional).map(|(campos, projetos)| Self { campos, projetos })
    }
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
        let CriarAtividade { campos: CamposNovos { nome, descricao, ativo }, projetos } = body;
        Self { nome, descricao, ativo: ativo.0, projetos }
    }
}

impl From<AtualizarAtividade> for AtividadePatch {
    fn from(body: AtualizarAtividade) -> Self {
        let AtualizarAtividade { campos: CamposAlterados { nome, descricao, ativo }, projetos } = body;
        Self { nome: nome.0, descricao, ativo: ativo.0.map(|ativo| ativo.0), projetos, expected: None }
    }
}
