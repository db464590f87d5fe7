//! Rows of time entries with the names of their projeto, atividade and work item.

use domain::{
    Apontamento, ApontamentoId, AtividadeId, Comentario, Error, Escrita, Minutos, NomeAtividade, NomeProjeto,
    ProjetoId, Usuario, WorkItemId, WorkItemVisto, parse_date,
};
use sea_orm::FromQueryResult;
use serde::{Deserialize, Serialize};

use crate::value::{instant, parse_id};

/// The columns of [`ApontamentoRow`]. With `writes_back`, an entry that is not verified is still to be written.
pub(crate) fn columns(writes_back: bool) -> String {
    format!(
        "e.id, e.work_item_id, w.titulo, w.tipo, e.id_projeto, p.nome AS nome_projeto, e.organizacao, e.data, e.minutos,
         e.id_atividade, a.nome AS nome_atividade, e.comentario, e.usuario_id, e.usuario_nome, e.usuario_email,
         CASE WHEN {writes_back} AND NOT e.verificado THEN 'pendente' WHEN s.work_item_id IS NULL THEN 'desligada'
              WHEN s.motivo IS NOT NULL THEN s.motivo WHEN s.proxima_em IS NOT NULL THEN 'pendente' ELSE 'ok'
         END AS escrita, e.criado_em, e.atualizado_em"
    )
}

/// What the columns are read from, besides the entries `e`. Without `writes_back`, no entry has a state of the write-back.
pub(crate) fn joins(writes_back: bool) -> String {
    format!(
        "JOIN projetos p ON p.id = e.id_projeto JOIN atividades a ON a.id = e.id_atividade
         LEFT JOIN work_items w ON w.organizacao = e.organizacao AND w.id = e.work_item_id
         LEFT JOIN escritas s ON {writes_back} AND s.organizacao = e.organizacao AND s.work_item_id = e.work_item_id"
    )
}

/// A time entry. It is also stored as the response to an idempotency key.
#[derive(FromQueryResult, Serialize, Deserialize)]
pub(crate) struct ApontamentoRow {
    pub(crate) id: String,
    work_item_id: i64,
    titulo: Option<String>,
    tipo: Option<String>,
    id_projeto: String,
    nome_projeto: String,
    organizacao: String,
    data: String,
    minutos: i64,
    id_atividade: String,
    nome_atividade: String,
    comentario: Option<String>,
    usuario_id: String,
    usuario_nome: String,
    usuario_email: Option<String>,
    /// Absent in a response that was stored before write-back existed.
    #[serde(default)]
    escrita: Option<String>,
    criado_em: i64,
    atualizado_em: i64,
}

impl TryFrom<ApontamentoRow> for Apontamento {
    type Error = Error;

    fn try_from(row: ApontamentoRow) -> Result<Self, Error> {
        let escrita = row.escrita.map_or(Some(Escrita::Desligada), |text| Escrita::from_stored(&text));
        Ok(Self {
            id: ApontamentoId(parse_id(&row.id)?),
            work_item: WorkItemId::new(row.work_item_id).map_err(Error::internal)?,
            work_item_visto: row.titulo.zip(row.tipo).map(|(titulo, tipo)| WorkItemVisto { titulo, tipo }),
            id_projeto: ProjetoId(parse_id(&row.id_projeto)?),
            nome_projeto: NomeProjeto::from_stored(row.nome_projeto).map_err(Error::internal)?,
            organizacao: row.organizacao,
            data: parse_date(&row.data).map_err(Error::internal)?,
            minutos: Minutos::from_stored(row.minutos).map_err(Error::internal)?,
            id_atividade: AtividadeId(parse_id(&row.id_atividade)?),
            nome_atividade: NomeAtividade::from_stored(row.nome_atividade).map_err(Error::internal)?,
            comentario: row.comentario.map(Comentario::from_stored).transpose().map_err(Error::internal)?,
            usuario: Usuario { id: row.usuario_id, display_name: row.usuario_nome, email: row.usuario_email },
            escrita: escrita.ok_or_else(|| Error::internal("an unknown state of the write-back"))?,
            criado_em: instant(row.criado_em)?,
            atualizado_em: instant(row.atualizado_em)?,
        })
    }
}
