//! Query parameters of lists and sums of time entries.

use apistos::ApiComponent;
use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use domain::{
    ApontamentoFiltro, ApontamentoQuery, ApontamentoSortKey, AtividadeId, Caller, Cursor, EscritaFiltro, Limit, Organizacao,
    ProjetoRef, ProjetoSelector, Skip, UsuarioRef, Violation, WorkItemId,
};
use schemars::JsonSchema;
use time::Date;
use uuid::Uuid;

use crate::error::messages_pt;
use crate::error::validation::{ValidationErrors, constraint_error, type_error};
use crate::extract::accept::Formato;
use crate::extract::paging::{self, Apos, Paging, QueryBool, Separador};
use crate::extract::part::RequestPart;
use crate::openapi::schema;

/// The parameters of a list of time entries.
#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = ValidationErrors)]
pub struct ListarApontamentos {
    /// Só os deste dia em diante, `AAAA-MM-DD`.
    #[deserr(default)]
    #[schemars(schema_with = "schema::data", default)]
    de: Option<Date>,
    /// Só os até este dia, inclusive, `AAAA-MM-DD`.
    #[deserr(default)]
    #[schemars(schema_with = "schema::data", default)]
    ate: Option<Date>,
    /// Só os desta pessoa: `eu`, um id ou um e-mail.
    #[deserr(default)]
    #[schemars(schema_with = "schema::usuario", default)]
    usuario: Option<QueryUsuario>,
    /// Só os deste projeto.
    #[deserr(default)]
    #[schemars(with = "Uuid", default)]
    id_projeto: Option<ProjetoRef>,
    /// Só os desta atividade.
    #[deserr(default)]
    #[schemars(with = "Uuid", default)]
    id_atividade: Option<AtividadeId>,
    /// Só os deste work item.
    #[deserr(default)]
    #[schemars(with = "i32", default, range(min = 1))]
    work_item_id: Option<WorkItemId>,
    /// Só os de work items com esse estado da escrita das horas no Azure DevOps.
    #[deserr(default)]
    #[schemars(schema_with = "super::response::sincronizacoes", default)]
    sincronizacao: Option<QuerySincronizacao>,
    /// Quantos apontamentos responder no máximo; em CSV, sem este parâmetro, todos.
    #[deserr(default)]
    #[schemars(with = "i64", default = "paging::limit_default", range(min = 1, max = 1000))]
    limit: Option<Limit>,
    /// Só os que vêm depois deste cursor, o `proximo` da página anterior.
    #[deserr(default)]
    #[schemars(schema_with = "paging::cursor", default)]
    apos: Option<Apos<Cursor<ApontamentoSortKey>>>,
    /// Se a resposta traz `total` e `total_minutos` de todas as páginas, o que demora mais.
    #[deserr(default)]
    #[schemars(with = "bool", default)]
    pub total: Option<QueryBool>,
    /// A representação da lista; sem este parâmetro, decide o cabeçalho `Accept`.
    #[deserr(default)]
    #[schemars(schema_with = "paging::formatos", default)]
    formato: Option<Formato>,
    /// Se o CSV começa com a marca de ordem de bytes (BOM), pela qual o Excel reconhece UTF-8.
    #[deserr(default)]
    #[schemars(with = "bool", default)]
    bom: Option<QueryBool>,
    /// O separador das colunas do CSV; com `;`, que o Excel em português espera, as horas têm vírgula decimal.
    #[deserr(default)]
    #[schemars(schema_with = "paging::separadores", default)]
    separador: Option<Separador>,
}

impl RequestPart for ListarApontamentos {}

impl ListarApontamentos {
    /// Returns the query and the page that the parameters select.
    pub fn into_query(self, caller: &Caller) -> (ApontamentoQuery, Paging) {
        let Self {
            de,
            ate,
            usuario,
            id_projeto,
            id_atividade,
            work_item_id,
            sincronizacao,
            limit,
            apos,
            total: _,
            formato,
            bom,
            separador,
        } = self;
        let paging = Paging::new((None, limit, true), (formato, bom, separador));
        let filtro = ApontamentoFiltro {
            de,
            ate,
            usuario: usuario.map(|usuario| usuario.of(caller)),
            projeto: id_projeto,
            atividade: id_atividade,
            work_item: work_item_id,
            escrita: sincronizacao.map(|sincronizacao| sincronizacao.0),
        };
        let apos = apos.and_then(|apos| apos.0);
        (ApontamentoQuery { filtro, apos, limit: paging.limit, ..ApontamentoQuery::default() }, paging)
    }
}

/// A state of the write-back in a query.
pub struct QuerySincronizacao(EscritaFiltro);

impl Deserr<ValidationErrors> for QuerySincronizacao {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ValidationErrors> {
        let all = [
            ("pendente", EscritaFiltro::Pendente),
            ("ok", EscritaFiltro::Ok),
            ("erro", EscritaFiltro::Erro),
            ("desligada", EscritaFiltro::Desligada),
        ];
        paging::one_of(value, location, &all).map(Self)
    }
}

/// A person in a query.
pub enum QueryUsuario {
    /// The caller.
    Eu,
    /// Another person.
    Outro(UsuarioRef),
}

impl QueryUsuario {
    /// The largest length of an id or an e-mail address in characters.
    pub const MAX: usize = 320;

    /// Returns the person; the caller for `eu`.
    pub fn of(self, caller: &Caller) -> UsuarioRef {
        match self {
            Self::Eu => UsuarioRef::Id(caller.usuario.id.clone()),
            Self::Outro(usuario) => usuario,
        }
    }
}

impl Deserr<ValidationErrors> for QueryUsuario {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ValidationErrors> {
        let Value::String(text) = value else {
            return Err(type_error("string_type", messages_pt::STRING_TYPE, location));
        };
        match text.as_str() {
            "eu" => Ok(Self::Eu),
            text if Self::MAX < text.chars().count() => {
                Err(constraint_error(Violation::TooLong { max: Self::MAX }, location))
            }
            text if text.contains('\0') => Err(constraint_error(Violation::ContainsNul, location)),
            text if text.contains('@') => Ok(Self::Outro(UsuarioRef::Email(text.to_owned()))),
            text => Ok(Self::Outro(UsuarioRef::Id(text.to_owned()))),
        }
    }
}

/// The parameters that old clients send with every request about a work item.
#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = ValidationErrors)]
pub struct DoWorkItem {
    /// Nome da organização do Azure DevOps.
    #[deserr(default)]
    #[schemars(schema_with = "schema::nome", default)]
    pub organization_name: Option<Organizacao>,
    /// Id ou nome do projeto; não filtra, porque o id de um work item é único na organização.
    #[deserr(default)]
    #[schemars(schema_with = "schema::nome", default)]
    #[expect(dead_code, reason = "it is validated and described, and filters nothing")]
    project_id: Option<ProjetoSelector>,
}

impl RequestPart for DoWorkItem {}

/// The parameters of the list of a work item.
#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = ValidationErrors)]
pub struct ListarDoWorkItem {
    /// Nome da organização do Azure DevOps.
    #[deserr(default)]
    #[schemars(schema_with = "schema::nome", default)]
    pub organization_name: Option<Organizacao>,
    /// Id ou nome do projeto; não filtra, porque o id de um work item é único na organização.
    #[deserr(default)]
    #[schemars(schema_with = "schema::nome", default)]
    #[expect(dead_code, reason = "it is validated and described, and filters nothing")]
    project_id: Option<ProjetoSelector>,
    /// Quantos apontamentos pular.
    #[deserr(default)]
    #[schemars(with = "i64", default, range(min = 0))]
    pub skip: Option<Skip>,
    /// Quantos apontamentos responder no máximo; sem este parâmetro, 1000.
    #[deserr(default)]
    #[schemars(with = "i64", default, range(min = 1, max = 1000))]
    pub limit: Option<Limit>,
}

impl RequestPart for ListarDoWorkItem {}
