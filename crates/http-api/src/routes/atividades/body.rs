//! What a request says about an atividade.

use apistos::ApiComponent;
use deserr::{Deserr, IntoValue, Sequence, Value, ValuePointerRef};
use domain::{AtividadePatch, Descricao, NomeAtividade, NovaAtividade, Patch, ProjetoRef, Violation};
use schemars::JsonSchema;
use uuid::Uuid;

use crate::error::validation::{Faults, broken, wrong_type};
use crate::extract::{self, Section};
use crate::routes::IfPresent;
use crate::{error::messages_pt, openapi::schema};

/// Uma atividade a criar.
#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = Faults)]
#[schemars(example = "crate::routes::examples::criar_atividade")]
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
    #[schemars(default = "ativo_default")]
    ativo: bool,
    /// Id do projeto a que pertence.
    #[schemars(with = "Uuid")]
    id_projeto: ProjetoRef,
}

const fn ativo_default() -> bool {
    true
}

/// Várias atividades a criar.
#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = Faults)]
#[schemars(example = "crate::routes::examples::criar_lote")]
pub struct CriarLote {
    /// As atividades; todas são criadas, ou nenhuma.
    #[schemars(with = "Vec<CriarAtividade>", length(min = 1, max = 1000))]
    pub items: Itens,
}

/// The items of a request that has many: not none, and not too many.
pub struct Itens(pub Vec<CriarAtividade>);

impl Itens {
    const MIN: usize = 1;
    const MAX: usize = 1000;
}

impl Deserr<Faults> for Itens {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, at: ValuePointerRef<'_>) -> Result<Self, Faults> {
        let Value::Sequence(items) = value else {
            return Err(wrong_type("list_type", messages_pt::LIST_TYPE, at));
        };
        match items.len() {
            n if n < Self::MIN => return Err(broken(Violation::TooFew { min: Self::MIN }, at)),
            // Beyond the bound nobody wants to read the faults of each.
            n if Self::MAX < n => return Err(broken(Violation::TooMany { max: Self::MAX }, at)),
            _ => {}
        }
        let fields = extract::fields::<CriarAtividade>();
        let (mut read, mut faults) = (Vec::with_capacity(items.len()), Faults::default());
        for (index, item) in items.into_iter().enumerate() {
            match CriarAtividade::deserialize_from_value(item.into_value(), at.push_index(index)) {
                Ok(item) => read.push(item),
                // In the body they are two steps further down: `items`, and the index.
                Err(found) => faults.extend(found.in_order_of(&fields, 2)),
            }
        }
        if faults.is_empty() { Ok(Self(read)) } else { Err(faults) }
    }
}

/// O que muda em uma atividade.
#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = Faults)]
#[schemars(example = "crate::routes::examples::atualizar_atividade")]
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
    ativo: IfPresent<bool>,
    /// Id do novo projeto.
    #[deserr(default)]
    #[schemars(with = "Uuid", default)]
    id_projeto: IfPresent<ProjetoRef>,
}

impl Section for CriarAtividade {
    const KEYED: bool = true;
}

impl Section for CriarLote {
    const KEYED: bool = true;
}

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
