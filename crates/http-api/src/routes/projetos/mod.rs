//! `/api/v1/projetos`.

use actix_web::web::Data;
use apistos::{ApiComponent, api_operation};
use deserr::Deserr;
use domain::{Batches, Descricao, NomeProjeto, NovoProjeto, Patch, Projeto, ProjetoId, ProjetoPatch, Projetos};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::ApiError;
use crate::error::validation::ValidationErrors;
use crate::extract::input::Input;
use crate::extract::part::{NoPart, RequestPart};
use crate::extract::scalars::IfPresent;
use crate::middleware::authentication::CurrentUser;
use crate::openapi::examples::{EM, PROJETO};
use crate::openapi::schema;
use crate::respond::conditional::IfMatch;
use crate::respond::row_stream::{self, JsonArray};
use crate::respond::timestamp::Timestamp;
use crate::respond::resource::{Created, NoContent, Updated, WithEtag};

/// The tag of the operations and its description.
pub const TAG: (&str, &str) = ("Projetos", "Projetos do Azure DevOps e projetos que existem só aqui");

routes! {
    /// The routes of projetos.
    config => {
        config.service(resource("/projetos").route(get().to(listar)).route(post().to(criar))).service(
            resource("/projetos/{projeto_id}").route(get().to(obter)).route(put().to(atualizar)).route(delete().to(excluir)),
        );
    }
}

#[api_operation(
    tag = "Projetos",
    operation_id = "listar_projetos",
    summary = "Listar projetos",
    description = "Todos os projetos, em ordem de nome.",
    // Without an error code apistos documents all of them.
    error_code = 401
)]
async fn listar(projetos: Data<Projetos>, _user: CurrentUser) -> Result<JsonArray<ProjetoResponse>, ApiError> {
    let mut batches = projetos.listar();
    let first = batches.next().await?.unwrap_or_default();
    let rest = batches.has_more().then_some(batches);
    JsonArray::new(first, rest, row_stream::json::<_, ProjetoResponse>())
}

#[api_operation(
    tag = "Projetos",
    operation_id = "criar_projeto",
    summary = "Criar projeto",
    description = "Cria um projeto que existe só aqui, e não no Azure DevOps.",
    error_code = 408,
    error_code = 413,
    error_code = 415,
    error_code = 422
)]
async fn criar(
    projetos: Data<Projetos>,
    user: CurrentUser,
    input: Input<NoPart, NoPart, CriarProjeto>,
) -> Result<Created<ProjetoResponse>, ApiError> {
    let idempotency = input.idempotency.map(|request| request.scoped_to(&user));
    let projeto = projetos.criar(input.body.into(), idempotency).await?;
    Ok(Created::at(format!("/api/v1/projetos/{}", projeto.id.0), projeto.into()))
}

#[api_operation(
    tag = "Projetos",
    operation_id = "obter_projeto",
    summary = "Obter projeto",
    description = "O projeto com esse id.",
    error_code = 404,
    error_code = 422
)]
async fn obter(
    projetos: Data<Projetos>,
    _user: CurrentUser,
    input: Input<ProjetoPath>,
) -> Result<WithEtag<ProjetoResponse>, ApiError> {
    Ok(WithEtag(projetos.obter(input.path.projeto_id).await?.into()))
}

#[api_operation(
    tag = "Projetos",
    operation_id = "atualizar_projeto",
    summary = "Atualizar projeto",
    description = "Altera os campos enviados de um projeto que existe só aqui; um projeto do Azure DevOps não muda.",
    error_code = 404,
    error_code = 408,
    error_code = 409,
    error_code = 412,
    error_code = 413,
    error_code = 415,
    error_code = 422
)]
async fn atualizar(
    projetos: Data<Projetos>,
    _user: CurrentUser,
    if_match: IfMatch,
    input: Input<ProjetoPath, NoPart, AtualizarProjeto>,
) -> Result<Updated<ProjetoResponse>, ApiError> {
    let id = input.path.projeto_id;
    let expected = if_match.version::<_, ProjetoResponse>(projetos.obter(id), |found| found.atualizado_em).await?;
    let patch = ProjetoPatch { expected, ..input.body.into() };
    Ok(Updated(projetos.atualizar(id, patch).await?.into()))
}

#[api_operation(
    tag = "Projetos",
    operation_id = "excluir_projeto",
    summary = "Excluir projeto",
    description = "Exclui um projeto que existe só aqui e não tem atividades.",
    error_code = 404,
    error_code = 409,
    error_code = 412,
    error_code = 422
)]
async fn excluir(
    projetos: Data<Projetos>,
    _user: CurrentUser,
    if_match: IfMatch,
    input: Input<ProjetoPath>,
) -> Result<NoContent, ApiError> {
    let id = input.path.projeto_id;
    let expected = if_match.version::<_, ProjetoResponse>(projetos.obter(id), |found| found.atualizado_em).await?;
    projetos.excluir(id, expected).await?;
    Ok(NoContent)
}

#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = ValidationErrors)]
struct ProjetoPath {
    /// Id do projeto.
    #[schemars(with = "Uuid")]
    projeto_id: ProjetoId,
}

/// Um projeto a criar.
#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = ValidationErrors)]
#[schemars(example = "exemplo_criar_projeto")]
struct CriarProjeto {
    /// Nome do projeto; espaços em volta são descartados.
    #[schemars(schema_with = "schema::nome")]
    nome: NomeProjeto,
    /// Descrição; até 64 KiB em UTF-8.
    #[deserr(default)]
    #[schemars(schema_with = "schema::descricao", default)]
    descricao: Option<Descricao>,
}

/// O que muda em um projeto.
#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = ValidationErrors)]
#[schemars(example = "exemplo_atualizar_projeto")]
struct AtualizarProjeto {
    /// Novo nome.
    #[deserr(default)]
    #[schemars(schema_with = "schema::nome", default)]
    nome: IfPresent<NomeProjeto>,
    /// Nova descrição; null a remove.
    #[deserr(default)]
    #[schemars(schema_with = "schema::descricao", default)]
    descricao: Patch<Descricao>,
}

impl RequestPart for ProjetoPath {}
impl RequestPart for CriarProjeto {
    const IDEMPOTENT: bool = true;
}

impl RequestPart for AtualizarProjeto {}

impl From<CriarProjeto> for NovoProjeto {
    fn from(body: CriarProjeto) -> Self {
        let CriarProjeto { nome, descricao } = body;
        Self { nome, descricao }
    }
}

impl From<AtualizarProjeto> for ProjetoPatch {
    fn from(body: AtualizarProjeto) -> Self {
        let AtualizarProjeto { nome, descricao } = body;
        Self { nome: nome.0, descricao, expected: None }
    }
}

/// Um projeto.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(rename = "Projeto")]
#[schemars(example = "exemplo")]
struct ProjetoResponse {
    /// Id do projeto; de um projeto sincronizado, o GUID do próprio Azure DevOps.
    id: Uuid,
    /// Nome do projeto.
    nome: String,
    /// Descrição.
    descricao: Option<String>,
    /// GUID do projeto no Azure DevOps; null se o projeto existe só aqui.
    azure_project_id: Option<String>,
    /// Endereço do projeto no Azure DevOps.
    url: Option<String>,
    /// Estado informado pelo Azure DevOps (wellFormed, deleting, …) ou deleted, se ele não o lista mais.
    estado: Option<String>,
    /// Quando os dados do Azure DevOps foram assumidos pela última vez (UTC).
    sincronizado_em: Option<Timestamp>,
    /// Quando foi criado aqui (UTC).
    criado_em: Timestamp,
    /// Quando mudou aqui pela última vez (UTC).
    atualizado_em: Timestamp,
    /// O mesmo que `azure_project_id`.
    #[deprecated]
    external_id: Option<String>,
    /// O mesmo que `sincronizado_em`.
    #[deprecated]
    last_sync_at: Option<Timestamp>,
    /// O mesmo que `criado_em`.
    #[deprecated]
    created_at: Timestamp,
    /// O mesmo que `atualizado_em`.
    #[deprecated]
    updated_at: Timestamp,
}

impl From<Projeto> for ProjetoResponse {
    #[expect(deprecated, reason = "clients of the running service read these names")]
    fn from(projeto: Projeto) -> Self {
        let Projeto { id, nome, descricao, azure_project_id, url, estado, sincronizado_em, criado_em, atualizado_em } =
            projeto;
        let azure_project_id = azure_project_id.map(|id| id.to_string());
        let sincronizado_em = sincronizado_em.map(Timestamp);
        Self {
            id: id.0,
            nome: nome.into_string(),
            descricao: descricao.map(Descricao::into_string),
            external_id: azure_project_id.clone(),
            azure_project_id,
            url,
            estado,
            last_sync_at: sincronizado_em,
            sincronizado_em,
            created_at: Timestamp(criado_em),
            criado_em: Timestamp(criado_em),
            updated_at: Timestamp(atualizado_em),
            atualizado_em: Timestamp(atualizado_em),
        }
    }
}

fn exemplo() -> Value {
    json!({
        "id": PROJETO, "nome": "Portal", "descricao": null, "azure_project_id": PROJETO,
        "url": format!("https://dev.azure.com/exemplo/_apis/projects/{PROJETO}"), "estado": "wellFormed",
        "sincronizado_em": EM, "criado_em": EM, "atualizado_em": EM,
        "external_id": PROJETO, "last_sync_at": EM, "created_at": EM, "updated_at": EM,
    })
}

fn exemplo_criar_projeto() -> Value {
    json!({"nome": "Administração interna", "descricao": "O que não está no Azure DevOps"})
}

fn exemplo_atualizar_projeto() -> Value {
    json!({"nome": "Administração"})
}
