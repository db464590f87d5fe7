//! Rows of the table `atividades`.

use domain::{Atividade, AtividadeId, Descricao, Error, NomeAtividade, NomeProjeto, ProjetoId};
use sea_orm::FromQueryResult;
use serde::{Deserialize, Serialize};

use crate::value::{instant, parse_id};

/// A row of atividades with the name of its projeto. It is also stored as the response to an idempotency key.
#[derive(FromQueryResult, Serialize, Deserialize)]
pub(crate) struct AtividadeRow {
    pub(crate) id: String,
    nome: String,
    descricao: Option<String>,
    ativo: bool,
    id_projeto: String,
    nome_projeto: String,
    criado_por: Option<String>,
    criado_em: i64,
    atualizado_em: i64,
}

impl TryFrom<AtividadeRow> for Atividade {
    type Error = Error;

    fn try_from(row: AtividadeRow) -> Result<Self, Error> {
        let AtividadeRow { id, nome, descricao, ativo, id_projeto, nome_projeto, criado_por, criado_em, atualizado_em } =
            row;
        Ok(Self {
            id: AtividadeId(parse_id(&id)?),
            nome: NomeAtividade::from_stored(nome).map_err(Error::internal)?,
            descricao: descricao.map(Descricao::from_stored).transpose().map_err(Error::internal)?,
            ativo,
            id_projeto: ProjetoId(parse_id(&id_projeto)?),
            nome_projeto: NomeProjeto::from_stored(nome_projeto).map_err(Error::internal)?,
            criado_por,
            criado_em: instant(criado_em)?,
            atualizado_em: instant(atualizado_em)?,
        })
    }
}
