//! Rows of atividades with the names of their projetos.

use domain::{Atividade, AtividadeId, Descricao, Error, NomeAtividade, NomeProjeto, ProjetoDaAtividade, ProjetoId};
use sea_orm::{DbBackend, FromQueryResult, Statement};
use serde::{Deserialize, Serialize};

use crate::value::{id_text, instant, parse_id};

/// The columns of [`AtividadeRow`], from the row `a` of atividades and the row `p` of its first projeto.
pub(crate) const COLUMNS: &str = "a.id, a.nome, a.descricao, a.ativo, a.id_projeto, a.criado_por, a.criado_em,
    a.atualizado_em, p.nome AS nome_projeto,
    (SELECT json_group_array(json_object('id', o.id, 'nome', o.nome) ORDER BY l.lugar)
     FROM atividade_projetos l JOIN projetos o ON o.id = l.id_projeto WHERE l.id_atividade = a.id) AS outros_projetos";

/// Returns the query of one atividade.
pub(crate) fn find(id: AtividadeId) -> Statement {
    let sql = format!("SELECT {COLUMNS} FROM atividades a JOIN projetos p ON p.id = a.id_projeto WHERE a.id = ?1");
    Statement::from_sql_and_values(DbBackend::Sqlite, sql, [id_text(id.0).into()])
}

/// A row of atividades with the names of its projetos. It is also stored as the response to an idempotency key.
#[derive(FromQueryResult, Serialize, Deserialize)]
pub(crate) struct AtividadeRow {
    pub(crate) id: String,
    nome: String,
    descricao: Option<String>,
    ativo: bool,
    id_projeto: String,
    nome_projeto: String,
    /// An array in JSON. Responses that an earlier version stored do not have it.
    #[serde(default = "no_projetos")]
    outros_projetos: String,
    criado_por: Option<String>,
    criado_em: i64,
    pub(crate) atualizado_em: i64,
}

fn no_projetos() -> String {
    "[]".to_owned()
}

#[derive(Deserialize)]
struct ProjetoRow {
    id: String,
    nome: String,
}

impl TryFrom<ProjetoRow> for ProjetoDaAtividade {
    type Error = Error;

    fn try_from(ProjetoRow { id, nome }: ProjetoRow) -> Result<Self, Error> {
        let nome = NomeProjeto::from_stored(nome).map_err(Error::internal)?;
        Ok(Self { id: ProjetoId(parse_id(&id)?), nome })
    }
}

impl TryFrom<AtividadeRow> for Atividade {
    type Error = Error;

    fn try_from(row: AtividadeRow) -> Result<Self, Error> {
        let AtividadeRow { id, nome, descricao, ativo, id_projeto, nome_projeto, outros_projetos, .. } = row;
        let AtividadeRow { criado_por, criado_em, atualizado_em, .. } = row;
        let outros: Vec<ProjetoRow> = serde_json::from_str(&outros_projetos).map_err(Error::internal)?;
        Ok(Self {
            id: AtividadeId(parse_id(&id)?),
            nome: NomeAtividade::from_stored(nome).map_err(Error::internal)?,
            descricao: descricao.map(Descricao::from_stored).transpose().map_err(Error::internal)?,
            ativo,
            id_projeto: ProjetoId(parse_id(&id_projeto)?),
            nome_projeto: NomeProjeto::from_stored(nome_projeto).map_err(Error::internal)?,
            outros_projetos: outros.into_iter().map(ProjetoDaAtividade::try_from).collect::<Result<_, _>>()?,
            criado_por,
            criado_em: instant(criado_em)?,
            atualizado_em: instant(atualizado_em)?,
        })
    }
}
