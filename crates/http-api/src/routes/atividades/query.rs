//! The query of `GET /api/v1/atividades`.

use apistos::ApiComponent;
use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use domain::{
    AtividadeCampo, AtividadeFiltro, AtividadeQuery, AtividadeSortKey, Busca, Cursor, Limit, Ordem, ProjetoRef, Skip,
};
use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::Schema;
use uuid::Uuid;

use crate::error::ApiError;
use crate::error::validation::ValidationErrors;
use crate::extract::accept::Formato;
use crate::extract::paging::{self, Apos, Paging, QueryBool, Separador};
use crate::extract::part::RequestPart;

/// The parameters of a list of atividades.
#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = ValidationErrors)]
pub struct ListarAtividades {
    /// Quantas atividades pular.
    #[deserr(default)]
    #[schemars(with = "i64", default = "skip_default", range(min = 0))]
    skip: Option<Skip>,
    /// Quantas atividades responder no máximo; sem `skip`, `limit` e `apos`, 1000; em CSV, sem este parâmetro, todas.
    #[deserr(default)]
    #[schemars(with = "i64", default = "paging::limit_default", range(min = 1, max = 1000))]
    limit: Option<Limit>,
    /// Só as ativas (true) ou só as inativas (false).
    #[deserr(default)]
    #[schemars(with = "bool", default)]
    ativo: Option<QueryBool>,
    /// Só as que pertencem a este projeto.
    #[deserr(default)]
    #[schemars(with = "Uuid", default)]
    id_projeto: Option<ProjetoRef>,
    /// Só as que têm este texto no nome; maiúsculas e acentos não importam.
    #[deserr(default)]
    #[schemars(schema_with = "paging::busca", default)]
    q: Option<Busca>,
    /// A ordem da lista; com `-`, a inversa. Padrão: `-criado_em`, as mais novas primeiro.
    #[deserr(default)]
    #[schemars(schema_with = "ordens", default)]
    ordem: Option<QueryOrdem>,
    /// Só as que vêm depois deste cursor, o `proximo` da página anterior; vazio para começar. Ao contrário de `skip`,
    /// custa o mesmo em qualquer lugar da lista.
    #[deserr(default)]
    #[schemars(schema_with = "paging::cursor", default)]
    apos: Option<Apos<Cursor<AtividadeSortKey>>>,
    /// A representação da lista; sem este parâmetro, decide o cabeçalho `Accept`.
    #[deserr(default)]
    #[schemars(schema_with = "paging::formatos", default)]
    formato: Option<Formato>,
    /// Se o CSV começa com a marca de ordem de bytes (BOM), pela qual o Excel reconhece UTF-8.
    #[deserr(default)]
    #[schemars(with = "bool", default)]
    bom: Option<QueryBool>,
    /// O separador das colunas do CSV; o Excel em português espera `;`.
    #[deserr(default)]
    #[schemars(schema_with = "paging::separadores", default)]
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
fn ordens(_: &mut SchemaGenerator) -> Schema {
    paging::names(Some("-criado_em"), &ORDENS)
}

const fn skip_default() -> i64 {
    Skip::MIN
}

impl RequestPart for ListarAtividades {}

impl ListarAtividades {
    /// Returns the query and the page that the parameters select.
    ///
    /// # Errors
    /// `Validation` if the cursor belongs to another order.
    pub fn into_query(self) -> Result<(AtividadeQuery, Paging), ApiError> {
        let Self { skip, limit, ativo, id_projeto, q, ordem, apos, formato, bom, separador } = self;
        let ordem = ordem.map(|ordem| ordem.0).unwrap_or_default();
        let paging = Paging::new((skip, limit, apos.is_some()), (formato, bom, separador));
        let apos = apos.and_then(|apos| apos.0);
        if apos.as_ref().is_some_and(|cursor| cursor.key.campo() != ordem.campo) {
            return Err(ApiError::Validation(paging::foreign_cursor()));
        }
        let filtro = AtividadeFiltro { ativo: ativo.map(|ativo| ativo.0), projeto: id_projeto, texto: q };
        let Paging { skip, limit, .. } = paging;
        Ok((AtividadeQuery { filtro, ordem, apos, ate: None, skip, limit }, paging))
    }
}

/// The order of a list.
struct QueryOrdem(Ordem<AtividadeCampo>);

impl Deserr<ValidationErrors> for QueryOrdem {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ValidationErrors> {
        paging::one_of(value, location, &ORDENS).map(|(campo, decrescente)| Self(Ordem { campo, decrescente }))
    }
}
