//! Lines of a report of hours.

use domain::{
    Agrupamento, AtividadeId, Chave, Error, LinhaDeHoras, NomeAtividade, NomeProjeto, ProjetoId, Totais, WorkItemId,
    parse_date,
};
use sea_orm::FromQueryResult;

use crate::value::parse_id;

/// A line as read from the database. Keys by which the report is not grouped are NULL.
#[derive(FromQueryResult)]
pub(crate) struct ReportRow {
    id_projeto: Option<String>,
    nome_projeto: Option<String>,
    id_atividade: Option<String>,
    nome_atividade: Option<String>,
    usuario_id: Option<String>,
    usuario_nome: String,
    work_item_id: Option<i64>,
    titulo: Option<String>,
    dia: Option<String>,
    semana: Option<String>,
    mes: Option<String>,
    primeira_data: String,
    ultima_data: String,
    #[sea_orm(nested)]
    totals: TotalsRow,
}

impl ReportRow {
    /// Returns the line with the values of `agrupar`.
    pub(crate) fn into_line(self, agrupar: &[Agrupamento]) -> Result<LinhaDeHoras, Error> {
        let chaves = agrupar.iter().map(|key| self.key(*key)?.ok_or_else(|| Error::internal("a line without its key")));
        Ok(LinhaDeHoras {
            chaves: chaves.collect::<Result<_, _>>()?,
            primeira_data: parse_date(&self.primeira_data).map_err(Error::internal)?,
            ultima_data: parse_date(&self.ultima_data).map_err(Error::internal)?,
            totais: self.totals.try_into()?,
        })
    }

    fn key(&self, key: Agrupamento) -> Result<Option<Chave>, Error> {
        let date = |text: &Option<String>| text.as_deref().map(parse_date).transpose().map_err(Error::internal);
        let id = |text: &Option<String>| text.as_deref().map(parse_id).transpose();
        Ok(match key {
            Agrupamento::Projeto => {
                let nome = self.nome_projeto.clone().map(NomeProjeto::from_stored).transpose();
                let nome = nome.map_err(Error::internal)?;
                id(&self.id_projeto)?.zip(nome).map(|(id, nome)| Chave::Projeto(ProjetoId(id), nome))
            }
            Agrupamento::Atividade => {
                let nome = self.nome_atividade.clone().map(NomeAtividade::from_stored).transpose();
                let nome = nome.map_err(Error::internal)?;
                id(&self.id_atividade)?.zip(nome).map(|(id, nome)| Chave::Atividade(AtividadeId(id), nome))
            }
            Agrupamento::Usuario => self.usuario_id.clone().map(|id| Chave::Usuario(id, self.usuario_nome.clone())),
            Agrupamento::WorkItem => {
                let id = self.work_item_id.map(WorkItemId::new).transpose().map_err(Error::internal)?;
                id.map(|id| Chave::WorkItem(id, self.titulo.clone()))
            }
            Agrupamento::Dia => date(&self.dia)?.map(Chave::Dia),
            Agrupamento::Semana => date(&self.semana)?.map(Chave::Semana),
            Agrupamento::Mes => date(&self.mes)?.map(Chave::Mes),
        })
    }
}

/// The number of entries and their sum.
#[derive(FromQueryResult)]
pub(crate) struct TotalsRow {
    apontamentos: i64,
    minutos: i64,
}

impl TryFrom<TotalsRow> for Totais {
    type Error = Error;

    fn try_from(TotalsRow { apontamentos, minutos }: TotalsRow) -> Result<Self, Error> {
        let count = |n: i64| u64::try_from(n).map_err(Error::internal);
        Ok(Self { apontamentos: count(apontamentos)?, minutos: count(minutos)? })
    }
}
