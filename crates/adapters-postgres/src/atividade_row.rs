//! Rows of atividades with the name of their projeto.

use domain::{Atividade, AtividadeId, Descricao, Error, NomeAtividade, NomeProjeto, ProjetoId, Violation};
use sea_orm::{DbErr, FromQueryResult, QueryResult};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::db_error;

/// The foreign key of atividades to their projeto.
pub(crate) const FOREIGN_KEY: &str = "atividades_id_projeto_fkey";

/// An atividade as read from the database, and as stored with the idempotency key of the request that created it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AtividadeRow {
    pub(crate) id: Uuid,
    nome: String,
    descricao: Option<String>,
    ativo: bool,
    id_projeto: Uuid,
    criado_por: Option<String>,
    criado_em: OffsetDateTime,
    atualizado_em: OffsetDateTime,
    nome_projeto: String,
}

/// Reads columns by position. Every statement selects them in this order.
impl FromQueryResult for AtividadeRow {
    fn from_query_result(row: &QueryResult, _: &str) -> Result<Self, DbErr> {
        Ok(Self {
            id: row.try_get_by_index(0)?,
            nome: row.try_get_by_index(1)?,
            descricao: row.try_get_by_index(2)?,
            ativo: row.try_get_by_index(3)?,
            id_projeto: row.try_get_by_index(4)?,
            criado_por: row.try_get_by_index(5)?,
            criado_em: row.try_get_by_index(6)?,
            atualizado_em: row.try_get_by_index(7)?,
            nome_projeto: row.try_get_by_index(8)?,
        })
    }
}

impl TryFrom<AtividadeRow> for Atividade {
    type Error = Error;

    fn try_from(row: AtividadeRow) -> Result<Self, Error> {
        let AtividadeRow { id, nome, descricao, ativo, id_projeto, nome_projeto, criado_por, criado_em, atualizado_em } =
            row;
        Ok(Self {
            id: AtividadeId(id),
            nome: NomeAtividade::from_stored(nome).map_err(Error::internal)?,
            descricao: descricao.map(Descricao::from_stored).transpose().map_err(Error::internal)?,
            ativo,
            id_projeto: ProjetoId(id_projeto),
            nome_projeto: NomeProjeto::from_stored(nome_projeto).map_err(Error::internal)?,
            criado_por,
            criado_em,
            atualizado_em,
        })
    }
}

/// Maps an error of a statement that writes `id_projeto`. Only a projeto that does not exist violates the foreign key.
pub(crate) fn unknown_projeto(error: &DbErr) -> Error {
    db_error::on_constraint(error, FOREIGN_KEY, Error::invalid("id_projeto", Violation::UnknownProjeto))
}
