//! Rows of the table `projetos`.

use domain::{AzureProjectId, Descricao, Error, NomeProjeto, Projeto, ProjetoId};
use sea_orm::FromQueryResult;
use serde::{Deserialize, Serialize};

use crate::value::{instant, parse_id};

/// A row of projetos. It is also stored as the response to an idempotency key.
#[derive(FromQueryResult, Serialize, Deserialize)]
pub(crate) struct ProjetoRow {
    id: String,
    nome: String,
    descricao: Option<String>,
    azure_project_id: Option<String>,
    url: Option<String>,
    estado: Option<String>,
    sincronizado_em: Option<i64>,
    criado_em: i64,
    atualizado_em: i64,
}

impl TryFrom<ProjetoRow> for Projeto {
    type Error = Error;

    fn try_from(row: ProjetoRow) -> Result<Self, Error> {
        let ProjetoRow {
            id,
            nome,
            descricao,
            azure_project_id,
            url,
            estado,
            sincronizado_em,
            criado_em,
            atualizado_em,
        } = row;
        let azure_project_id = azure_project_id.map(|id| AzureProjectId::parse(&id)).transpose();
        Ok(Self {
            id: ProjetoId(parse_id(&id)?),
            nome: NomeProjeto::from_stored(nome).map_err(Error::internal)?,
            descricao: descricao.map(Descricao::from_stored).transpose().map_err(Error::internal)?,
            azure_project_id: azure_project_id.map_err(Error::internal)?,
            url,
            estado,
            sincronizado_em: sincronizado_em.map(instant).transpose()?,
            criado_em: instant(criado_em)?,
            atualizado_em: instant(atualizado_em)?,
        })
    }
}
