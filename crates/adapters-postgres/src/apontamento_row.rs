//! Rows of time entries with the names of their projeto, atividade and work item.

use domain::{
    Apontamento, ApontamentoId, ApontamentoRecord, AtividadeId, Comentario, Error, Escrita, Minutos, NomeAtividade,
    NomeProjeto, ProjetoId, Usuario, WorkItemId, WorkItemVisto,
};
use sea_orm::FromQueryResult;
use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

/// A time entry as read from the database, and as stored with the idempotency key of the request that made it.
#[derive(Debug, Clone, FromQueryResult, Serialize, Deserialize)]
pub(crate) struct ApontamentoRow {
    id: Uuid,
    work_item_id: i32,
    titulo: Option<String>,
    tipo: Option<String>,
    id_projeto: Uuid,
    nome_projeto: String,
    organizacao: String,
    data: Date,
    minutos: i16,
    id_atividade: Uuid,
    nome_atividade: String,
    comentario: Option<String>,
    usuario_id: String,
    usuario_nome: String,
    usuario_email: Option<String>,
    /// Absent in a response that was stored before write-back existed.
    #[serde(default)]
    escrita: Option<String>,
    criado_em: OffsetDateTime,
    atualizado_em: OffsetDateTime,
}

impl ApontamentoRow {
    /// The row that an insert of `record` made. `nomes` are those of its projeto and its atividade.
    pub(crate) fn inserted(
        record: &ApontamentoRecord,
        (nome_projeto, nome_atividade): (String, String),
        visto: Option<(String, String)>,
        escrita: &str,
    ) -> Self {
        let (titulo, tipo) = visto.unzip();
        Self {
            id: record.id.0,
            work_item_id: record.work_item.get(),
            titulo,
            tipo,
            id_projeto: record.projeto.0,
            nome_projeto,
            organizacao: record.organizacao.clone(),
            data: record.data,
            minutos: record.minutos.get().cast_signed(),
            id_atividade: record.atividade.0,
            nome_atividade,
            comentario: record.comentario.as_ref().map(|comentario| comentario.as_str().to_owned()),
            usuario_id: record.usuario.id.clone(),
            usuario_nome: record.usuario.display_name.clone(),
            usuario_email: record.usuario.email.clone(),
            escrita: Some(escrita.to_owned()),
            criado_em: record.criado_em,
            atualizado_em: record.criado_em,
        }
    }
}

impl TryFrom<ApontamentoRow> for Apontamento {
    type Error = Error;

    fn try_from(row: ApontamentoRow) -> Result<Self, Error> {
        let visto = row.titulo.zip(row.tipo).map(|(titulo, tipo)| WorkItemVisto { titulo, tipo });
        let escrita = row.escrita.map_or(Some(Escrita::Desligada), |text| Escrita::from_stored(&text));
        Ok(Self {
            id: ApontamentoId(row.id),
            work_item: WorkItemId::new(row.work_item_id.into()).map_err(Error::internal)?,
            work_item_visto: visto,
            id_projeto: ProjetoId(row.id_projeto),
            nome_projeto: NomeProjeto::from_stored(row.nome_projeto).map_err(Error::internal)?,
            organizacao: row.organizacao,
            data: row.data,
            minutos: Minutos::from_stored(row.minutos.into()).map_err(Error::internal)?,
            id_atividade: AtividadeId(row.id_atividade),
            nome_atividade: NomeAtividade::from_stored(row.nome_atividade).map_err(Error::internal)?,
            comentario: row.comentario.map(Comentario::from_stored).transpose().map_err(Error::internal)?,
            usuario: Usuario { id: row.usuario_id, display_name: row.usuario_nome, email: row.usuario_email },
            escrita: escrita.ok_or_else(|| Error::internal("an unknown state of the write-back"))?,
            criado_em: row.criado_em,
            atualizado_em: row.atualizado_em,
        })
    }
}
