//! Representations of atividades.

use apistos::ApiComponent;
use domain::{Atividade, Descricao};
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
    /// Id do projeto a que pertence.
    pub id_projeto: Uuid,
    /// Nome do projeto a que pertence.
    pub nome_projeto: Option<String>,
    /// E-mail ou, sem ele, id de quem a criou.
    pub criado_por: Option<String>,
    /// Quando foi criada (UTC).
    pub criado_em: Timestamp,
    /// Quando mudou pela última vez (UTC).
    pub atualizado_em: Timestamp,
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

impl CsvRow for AtividadeResponse {
    fn map_texts(self, escape: fn(String) -> String) -> Self {
        Self {
            nome: escape(self.nome),
            descricao: self.descricao.map(escape),
            nome_projeto: self.nome_projeto.map(escape),
            criado_por: self.criado_por.map(escape),
            ..self
        }
    }
}
