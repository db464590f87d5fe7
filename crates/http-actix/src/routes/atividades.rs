//! `/api/v1/atividades`.

use actix_web::web::Data;
use apistos::web::{ServiceConfig, delete, get, post, put, resource};
use apistos::{ApiComponent, api_operation};
use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use domain::{
    Atividade, AtividadeId, AtividadePatch, AtividadeQuery, Atividades, Descricao, Limit, NomeAtividade, NovaAtividade,
    Pagina, Patch, ProjetoRef, Skip,
};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::IfPresent;
use crate::answer::{Created, Found, Gone, Single};
use crate::api_error::ApiError;
use crate::conditional::IfMatch;
use crate::faults::{Faults, wrong_type};
use crate::input::{Input, Nothing, Section};
use crate::middleware::CurrentUser;
use crate::texts;
use crate::timestamp::Timestamp;

/// The routes of atividades.
pub fn routes(config: &mut ServiceConfig) {
    config.service(resource("/atividades").route(get().to(listar)).route(post().to(criar))).service(
        resource("/atividades/{id}").route(get().to(obter)).route(put().to(atualizar)).route(delete().to(excluir)),
    );
}

#[api_operation(
    tag = "Atividades",
    operation_id = "listar_atividades",
    summary = "Listar atividades",
    description = "Uma página das atividades que atendem aos filtros, das mais novas para as mais antigas.",
    error_code = 401,
    error_code = 422,
    error_code = 500,
    error_code = 503
)]
async fn listar(
    atividades: Data<Atividades>,
    _user: CurrentUser,
    input: Input<Nothing, ListarAtividades>,
) -> Result<Found<ListaAtividades>, ApiError> {
    let pagina = atividades.listar(input.query.into()).await?;
    Ok(Found(pagina.into()))
}

#[api_operation(
    tag = "Atividades",
    operation_id = "criar_atividade",
    summary = "Criar atividade",
    description = "Cria uma atividade em nome de quem chama.",
    error_code = 400,
    error_code = 401,
    error_code = 413,
    error_code = 415,
    error_code = 422,
    error_code = 500,
    error_code = 502,
    error_code = 503,
    error_code = 504
)]
async fn criar(
    atividades: Data<Atividades>,
    user: CurrentUser,
    input: Input<Nothing, Nothing, CriarAtividade>,
) -> Result<Created<AtividadeResponse>, ApiError> {
    let atividade = atividades.criar(&user, input.body.into()).await?;
    Ok(Created::at(format!("/api/v1/atividades/{}", atividade.id.0), atividade.into()))
}

#[api_operation(
    tag = "Atividades",
    operation_id = "obter_atividade",
    summary = "Obter atividade",
    description = "A atividade com esse id.",
    error_code = 401,
    error_code = 404,
    error_code = 422,
    error_code = 500,
    error_code = 503
)]
async fn obter(
    atividades: Data<Atividades>,
    _user: CurrentUser,
    input: Input<AtividadePath>,
) -> Result<Single<AtividadeResponse>, ApiError> {
    Ok(Single(atividades.obter(input.path.id).await?.into()))
}

#[api_operation(
    tag = "Atividades",
    operation_id = "atualizar_atividade",
    summary = "Atualizar atividade",
    description = "Altera os campos enviados; os ausentes mantêm o valor.",
    error_code = 400,
    error_code = 401,
    error_code = 404,
    error_code = 412,
    error_code = 413,
    error_code = 415,
    error_code = 422,
    error_code = 500,
    error_code = 502,
    error_code = 503,
    error_code = 504
)]
async fn atualizar(
    atividades: Data<Atividades>,
    user: CurrentUser,
    if_match: IfMatch,
    input: Input<AtividadePath, Nothing, AtualizarAtividade>,
) -> Result<Single<AtividadeResponse>, ApiError> {
    let id = input.path.id;
    let expected = if_match.version::<_, AtividadeResponse>(atividades.obter(id), |found| found.atualizado_em).await?;
    let patch = AtividadePatch { expected, ..input.body.into() };
    Ok(Single(atividades.atualizar(&user, id, patch).await?.into()))
}

#[api_operation(
    tag = "Atividades",
    operation_id = "excluir_atividade",
    summary = "Excluir atividade",
    description = "Exclui a atividade para sempre.",
    error_code = 401,
    error_code = 404,
    error_code = 412,
    error_code = 422,
    error_code = 500,
    error_code = 503
)]
async fn excluir(
    atividades: Data<Atividades>,
    _user: CurrentUser,
    if_match: IfMatch,
    input: Input<AtividadePath>,
) -> Result<Gone, ApiError> {
    let id = input.path.id;
    let expected = if_match.version::<_, AtividadeResponse>(atividades.obter(id), |found| found.atualizado_em).await?;
    atividades.excluir(id, expected).await?;
    Ok(Gone)
}

#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = Faults)]
struct AtividadePath {
    /// Id da atividade.
    #[schemars(with = "Uuid")]
    id: AtividadeId,
}

#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = Faults)]
struct ListarAtividades {
    /// Quantas atividades pular.
    #[deserr(default)]
    #[schemars(with = "i64", default, range(min = 0))]
    skip: Skip,
    /// Quantas atividades responder no máximo.
    #[deserr(default)]
    #[schemars(with = "i64", default = "limit_default", range(min = 1, max = 1000))]
    limit: Limit,
    /// Só as ativas (true) ou só as inativas (false).
    #[deserr(default)]
    #[schemars(with = "bool", default)]
    ativo: Option<QueryBool>,
    /// Só as deste projeto.
    #[deserr(default)]
    #[schemars(with = "Uuid", default)]
    id_projeto: Option<ProjetoRef>,
}

const fn limit_default() -> i64 {
    Limit::DEFAULT
}

#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = Faults)]
struct CriarAtividade {
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

#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = Faults)]
struct AtualizarAtividade {
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

impl Section for AtividadePath {}
impl Section for ListarAtividades {}
impl Section for CriarAtividade {}
impl Section for AtualizarAtividade {}

impl From<ListarAtividades> for AtividadeQuery {
    fn from(query: ListarAtividades) -> Self {
        let ListarAtividades { skip, limit, ativo, id_projeto } = query;
        Self { skip, limit, ativo: ativo.map(|ativo| ativo.0), projeto: id_projeto }
    }
}

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

/// A boolean in a query, in any of the spellings that pydantic takes.
struct QueryBool(bool);

impl Deserr<Faults> for QueryBool {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, at: ValuePointerRef<'_>) -> Result<Self, Faults> {
        let Value::String(text) = value else {
            return Err(wrong_type("bool_type", texts::BOOL_TYPE, at));
        };
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" | "t" | "y" => Ok(Self(true)),
            "false" | "0" | "no" | "off" | "f" | "n" => Ok(Self(false)),
            _ => Err(wrong_type("bool_parsing", texts::BOOL_PARSING, at)),
        }
    }
}

#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(rename = "Atividade")]
struct AtividadeResponse {
    /// Id da atividade.
    id: Uuid,
    /// Nome da atividade.
    nome: String,
    /// Descrição.
    descricao: Option<String>,
    /// Se é possível apontar horas nela.
    ativo: bool,
    /// Id do projeto a que pertence.
    id_projeto: Uuid,
    /// Nome do projeto a que pertence.
    nome_projeto: Option<String>,
    /// E-mail ou, sem ele, id de quem a criou.
    criado_por: Option<String>,
    /// Quando foi criada (UTC).
    criado_em: Timestamp,
    /// Quando mudou pela última vez (UTC).
    atualizado_em: Timestamp,
}

impl From<Atividade> for AtividadeResponse {
    fn from(atividade: Atividade) -> Self {
        let Atividade { id, nome, descricao, ativo, id_projeto, nome_projeto, criado_por, criado_em, atualizado_em } =
            atividade;
        Self {
            id: id.0,
            nome: nome.into_string(),
            descricao: descricao.map(Descricao::into_string),
            ativo,
            id_projeto: id_projeto.0,
            nome_projeto: Some(nome_projeto.into_string()),
            criado_por,
            criado_em: Timestamp(criado_em),
            atualizado_em: Timestamp(atualizado_em),
        }
    }
}

#[derive(Serialize, JsonSchema, ApiComponent)]
struct ListaAtividades {
    /// As atividades desta página.
    items: Vec<AtividadeResponse>,
    /// Quantas atividades atendem aos filtros, em todas as páginas.
    total: u64,
}

impl From<Pagina<Atividade>> for ListaAtividades {
    fn from(pagina: Pagina<Atividade>) -> Self {
        Self { items: pagina.items.into_iter().map(Into::into).collect(), total: pagina.total }
    }
}
