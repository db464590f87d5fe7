//! Representations of atividades.

use apistos::ApiComponent;
use domain::{Atividade, Descricao, ProjetoDaAtividade};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::respond::csv::CsvRow;
use crate::respond::timestamp::Timestamp;

/// As atividades que uma requisição criou.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::lote_criado")]
pub struct LoteCriado {
    /// As atividades criadas, na ordem em que foram enviadas.
    items: Vec<AtividadeResponse>,
    /// Quantas foram criadas.
    total: usize,
}

impl From<Vec<Atividade>> for LoteCriado {
    fn from(criadas: Vec<Atividade>) -> Self {
        Self { total: criadas.len(), items: criadas.into_iter().map(Into::into).collect() }
    }
}

/// Uma atividade.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(rename = "Atividade")]
#[schemars(example = "crate::openapi::examples::atividade")]
pub struct AtividadeResponse {
    /// Id da atividade.
    pub id: Uuid,
    /// Nome da atividade.
    pub nome: String,
    /// Descrição.
    pub descricao: Option<String>,
    /// Se é possível apontar horas nela.
    pub ativo: bool,
    /// Id do primeiro projeto a que pertence.
    pub id_projeto: Uuid,
    /// Nome do primeiro projeto a que pertence.
    pub nome_projeto: Option<String>,
    /// E-mail ou, sem ele, id de quem a criou.
    pub criado_por: Option<String>,
    /// Quando foi criada (UTC).
    pub criado_em: Timestamp,
    /// Quando mudou pela última vez (UTC).
    pub atualizado_em: Timestamp,
    /// Os projetos a que pertence, em ordem.
    pub projetos: Vec<ProjetoResponse>,
}

/// Um projeto de uma atividade.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(rename = "ProjetoDaAtividade")]
#[schemars(example = "crate::openapi::examples::projeto_da_atividade")]
pub struct ProjetoResponse {
    /// Id do projeto.
    id: Uuid,
    /// Nome do projeto.
    nome: String,
}

impl From<ProjetoDaAtividade> for ProjetoResponse {
    fn from(ProjetoDaAtividade { id, nome }: ProjetoDaAtividade) -> Self {
        Self { id: id.0, nome: nome.into_string() }
    }
}

/// The columns of a CSV document.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::openapi::examples::atividade_csv")]
pub struct AtividadeCsv {
    id: Uuid,
    nome: String,
    descricao: Option<String>,
    ativo: bool,
    id_projeto: Uuid,
    nome_projeto: Option<String>,
    criado_por: Option<String>,
    criado_em: Timestamp,
    atualizado_em: Timestamp,
    /// The names of all projetos.
    projetos: String,
}

impl From<Atividade> for AtividadeResponse {
    fn from(atividade: Atividade) -> Self {
        let Atividade { id, nome, descricao, ativo, id_projeto, nome_projeto, outros_projetos, .. } = atividade;
        let Atividade { criado_por, criado_em, atualizado_em, .. } = atividade;
        let nome_projeto = nome_projeto.into_string();
        let first = ProjetoResponse { id: id_projeto.0, nome: nome_projeto.clone() };
        Self {
            id: id.0,
            nome: nome.into_string(),
            descricao: descricao.map(Descricao::into_string),
            ativo,
            id_projeto: id_projeto.0,
            nome_projeto: Some(nome_projeto),
            criado_por,
            criado_em: Timestamp(criado_em),
            atualizado_em: Timestamp(atualizado_em),
            projetos: std::iter::once(first).chain(outros_projetos.into_iter().map(Into::into)).collect(),
        }
    }
}

impl From<Atividade> for AtividadeCsv {
    fn from(atividade: Atividade) -> Self {
        let response = AtividadeResponse::from(atividade);
        let AtividadeResponse { id, nome, descricao, ativo, id_projeto, nome_projeto, projetos, .. } = response;
        let AtividadeResponse { criado_por, criado_em, atualizado_em, .. } = response;
        let projetos = projetos.into_iter().map(|projeto| projeto.nome).collect::<Vec<_>>().join("|");
        Self { id, nome, descricao, ativo, id_projeto, nome_projeto, criado_por, criado_em, atualizado_em, projetos }
    }
}

impl CsvRow for AtividadeCsv {
    fn map_texts(self, escape: fn(String) -> String) -> Self {
        Self {
            nome: escape(self.nome),
            descricao: self.descricao.map(escape),
            nome_projeto: self.nome_projeto.map(escape),
            criado_por: self.criado_por.map(escape),
            projetos: escape(self.projetos),
            ..self
        }
    }
}
