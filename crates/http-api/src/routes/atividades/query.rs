//! What a request says about a list of atividades.

use apistos::ApiComponent;
use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use domain::{
    AtividadeCampo, AtividadeFiltro, AtividadeQuery, AtividadeSortKey, Busca, Cursor, Limit, Ordem, ProjetoRef, Skip,
};
use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::{InstanceType, Metadata, Schema, SchemaObject};
use uuid::Uuid;

use crate::error::ApiError;
use crate::error::messages_pt;
use crate::error::validation::{Fault, Faults, wrong_type};
use crate::extract::Section;
use crate::extract::accept::Formato;
use crate::openapi::schema;

/// The parameters of a list.
#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = Faults)]
pub struct ListarAtividades {
    /// Quantas atividades pular.
    #[deserr(default)]
    #[schemars(with = "i64", default, range(min = 0))]
    skip: Skip,
    /// Quantas atividades responder no máximo; em CSV, sem este parâmetro, todas.
    #[deserr(default)]
    #[schemars(with = "i64", default = "limit_default", range(min = 1, max = 1000))]
    limit: Option<Limit>,
    /// Só as ativas (true) ou só as inativas (false).
    #[deserr(default)]
    #[schemars(with = "bool", default)]
    ativo: Option<QueryBool>,
    /// Só as deste projeto.
    #[deserr(default)]
    #[schemars(with = "Uuid", default)]
    id_projeto: Option<ProjetoRef>,
    /// Só as que têm este texto no nome; maiúsculas e acentos não importam.
    #[deserr(default)]
    #[schemars(schema_with = "busca", default)]
    q: Option<Busca>,
    /// A ordem da lista; com `-`, a inversa. Padrão: `-criado_em`, as mais novas primeiro.
    #[deserr(default)]
    #[schemars(schema_with = "ordens", default)]
    ordem: Option<QueryOrdem>,
    /// Só as que vêm depois deste cursor, o `proximo` da página anterior; vazio para começar. Ao contrário de `skip`,
    /// custa o mesmo em qualquer lugar da lista.
    #[deserr(default)]
    #[schemars(schema_with = "cursor", default)]
    apos: Option<Apos>,
    /// A representação da lista; sem este parâmetro, decide o cabeçalho `Accept`.
    #[deserr(default)]
    #[schemars(schema_with = "formatos", default)]
    formato: Option<Formato>,
    /// Se o CSV começa com a marca de ordem de bytes (BOM), pela qual o Excel reconhece UTF-8.
    #[deserr(default)]
    #[schemars(with = "bool", default)]
    bom: Option<QueryBool>,
    /// O separador das colunas do CSV; o Excel em português espera `;`.
    #[deserr(default)]
    #[schemars(schema_with = "separadores", default)]
    separador: Option<Separador>,
}

const ORDENS: [(&str, (AtividadeCampo, bool)); 6] = [
    ("criado_em", (AtividadeCampo::CriadoEm, false)),
    ("-criado_em", (AtividadeCampo::CriadoEm, true)),
    ("atualizado_em", (AtividadeCampo::AtualizadoEm, false)),
    ("-atualizado_em", (AtividadeCampo::AtualizadoEm, true)),
    ("nome", (AtividadeCampo::Nome, false)),
    ("-nome", (AtividadeCampo::Nome, true)),
];
const FORMATOS: [(&str, Formato); 2] = [("json", Formato::Json), ("csv", Formato::Csv)];
const SEPARADORES: [(&str, u8); 2] = [(",", b','), (";", b';')];

fn ordens(_: &mut SchemaGenerator) -> Schema {
    names(Some("-criado_em"), &ORDENS)
}

fn formatos(_: &mut SchemaGenerator) -> Schema {
    names(None, &FORMATOS)
}

fn separadores(_: &mut SchemaGenerator) -> Schema {
    names(Some(","), &SEPARADORES)
}

fn busca(_: &mut SchemaGenerator) -> Schema {
    schema::text(Busca::MAX, r"^[^\x00]*$")
}

/// The longest cursor is one that stands for a name: its kind, an id, 255 characters of up to 4 bytes, all in base64.
fn cursor(_: &mut SchemaGenerator) -> Schema {
    const LONGEST: usize = 1 + 32 + 255 * 4;
    schema::text(LONGEST.div_ceil(3) * 4, "^[A-Za-z0-9_-]*$")
}

/// A text that is one of the names.
fn names<T>(default: Option<&str>, allowed: &[(&str, T)]) -> Schema {
    let metadata = Metadata { default: default.map(Into::into), ..Metadata::default() };
    Schema::Object(SchemaObject {
        metadata: Some(Box::new(metadata)),
        instance_type: Some(InstanceType::String.into()),
        enum_values: Some(allowed.iter().map(|(name, _)| (*name).into()).collect()),
        ..SchemaObject::default()
    })
}

const fn limit_default() -> i64 {
    Limit::DEFAULT
}

impl Section for ListarAtividades {}

/// A page that is asked for, and how it is to be answered.
pub struct Listagem {
    /// Which page.
    pub query: AtividadeQuery,
    /// Whether the page is one among those that cursors lead to.
    pub por_cursor: bool,
    /// Whether the request itself bounds the page.
    pub has_limit: bool,
    /// The format that the request names.
    pub formato: Option<Formato>,
    /// Whether CSV is to begin with a byte order mark.
    pub bom: bool,
    /// What stands between the columns of CSV.
    pub separador: u8,
}

impl ListarAtividades {
    /// What the parameters ask for together.
    ///
    /// # Errors
    /// When the cursor is one of another order.
    pub fn read(self) -> Result<Listagem, ApiError> {
        let Self { skip, limit, ativo, id_projeto, q, ordem, apos, formato, bom, separador } = self;
        let ordem = ordem.map(|ordem| ordem.0).unwrap_or_default();
        let por_cursor = apos.is_some();
        let apos = apos.and_then(|apos| apos.0);
        if apos.as_ref().is_some_and(|cursor| cursor.key.campo() != ordem.campo) {
            let at = vec!["query".into(), "apos".into()];
            return Err(ApiError::Validation(Faults::one(Fault::of(domain::Violation::NotACursor, at))));
        }
        let filtro = AtividadeFiltro { ativo: ativo.map(|ativo| ativo.0), projeto: id_projeto, texto: q };
        Ok(Listagem {
            has_limit: limit.is_some(),
            query: AtividadeQuery { filtro, ordem, apos, ate: None, skip, limit: limit.unwrap_or_default() },
            por_cursor,
            formato,
            bom: bom.is_some_and(|bom| bom.0),
            separador: separador.map_or(b',', |separador| separador.0),
        })
    }
}

/// A boolean in a query, in any of the spellings that pydantic takes.
struct QueryBool(bool);

impl Deserr<Faults> for QueryBool {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, at: ValuePointerRef<'_>) -> Result<Self, Faults> {
        let Value::String(text) = value else {
            return Err(wrong_type("bool_type", messages_pt::BOOL_TYPE, at));
        };
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" | "t" | "y" => Ok(Self(true)),
            "false" | "0" | "no" | "off" | "f" | "n" => Ok(Self(false)),
            _ => Err(wrong_type("bool_parsing", messages_pt::BOOL_PARSING, at)),
        }
    }
}

/// A text of a query, which is one of a few.
fn one_of<T, V: IntoValue>(value: Value<V>, at: ValuePointerRef<'_>, allowed: &[(&str, T)]) -> Result<T, Faults>
where
    T: Copy,
{
    let Value::String(text) = value else {
        return Err(wrong_type("string_type", messages_pt::STRING_TYPE, at));
    };
    let found = allowed.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    let names: Vec<_> = allowed.iter().map(|(name, _)| *name).collect();
    found.ok_or_else(|| wrong_type("value_error", &messages_pt::one_of(&names), at))
}

struct QueryOrdem(Ordem<AtividadeCampo>);

impl Deserr<Faults> for QueryOrdem {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, at: ValuePointerRef<'_>) -> Result<Self, Faults> {
        one_of(value, at, &ORDENS).map(|(campo, decrescente)| Self(Ordem { campo, decrescente }))
    }
}

/// A cursor, or the beginning of the list.
struct Apos(Option<Cursor<AtividadeSortKey>>);

impl Deserr<Faults> for Apos {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, at: ValuePointerRef<'_>) -> Result<Self, Faults> {
        match value {
            Value::String(text) if text.is_empty() => Ok(Self(None)),
            value => Cursor::deserialize_from_value(value, at).map(|cursor| Self(Some(cursor))),
        }
    }
}

impl Deserr<Faults> for Formato {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, at: ValuePointerRef<'_>) -> Result<Self, Faults> {
        one_of(value, at, &FORMATOS)
    }
}

struct Separador(u8);

impl Deserr<Faults> for Separador {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, at: ValuePointerRef<'_>) -> Result<Self, Faults> {
        one_of(value, at, &SEPARADORES).map(Self)
    }
}
