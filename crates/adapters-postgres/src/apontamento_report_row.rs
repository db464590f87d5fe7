//! Lines of a report of hours.

use domain::{
    Agrupamento, AtividadeId, Chave, Error, LinhaDeHoras, NomeAtividade, NomeProjeto, ProjetoId, Totais, WorkItemId,
};
use sea_orm::FromQueryResult;
use time::Date;
use uuid::Uuid;

/// A line as read from the database. Keys by which the report is not grouped are NULL.
#[derive(FromQueryResult)]
pub(crate) struct ReportRow {
    id_projeto: Option<Uuid>,
    nome_projeto: Option<String>,
    id_atividade: Option<Uuid>,
    nome_atividade: Option<String>,
    usuario_id: Option<String>,
    usuario_nome: String,
    work_item_id: Option<i32>,
    titulo: Option<String>,
    dia: Option<Date>,
    semana: Option<Date>,
    mes: Option<Date>,
    primeira_data: Date,
    ultima_data: Date,
    #[sea_orm(nested)]
    totals: TotalsRow,
}

impl ReportRow {
    /// Returns the line with the values of `agrupar`.
    pub(crate) fn into_line(self, agrupar: &[Agrupamento]) -> Result<LinhaDeHoras, Error> {
        let chaves = agrupar.iter().map(|key| self.key(*key)?.ok_or_else(|| Error::internal("a line without its key")));
        Ok(LinhaDeHoras {
            chaves: chaves.collect::<Result<_, _>>()?,
            primeira_data: self.primeira_data,
            ultima_data: self.ultima_data,
            totais: self.totals.try_into()?,
        })
    }

    fn key(&self, key: Agrupamento) -> Result<Option<Chave>, Error> {
        Ok(match key {
            Agrupamento::Projeto => {
                let nome = self.nome_projeto.clone().map(NomeProjeto::from_stored).transpose();
                self.id_projeto
                    .zip(nome.map_err(Error::internal)?)
                    .map(|(id, nome)| Chave::Projeto(ProjetoId(id), nome))
            }
            Agrupamento::Atividade => {
                let nome = self.nome_atividade.clone().map(NomeAtividade::from_stored).transpose();
                let key = self.id_atividade.zip(nome.map_err(Error::internal)?);
                key.map(|(id, nome)| Chave::Atividade(AtividadeId(id), nome))
            }
            Agrupamento::Usuario => self.usuario_id.clone().map(|id| Chave::Usuario(id, self.usuario_nome.clone())),
            Agrupamento::WorkItem => {
                let id = self.work_item_id.map(|id| WorkItemId::new(id.into())).transpose().map_err(Error::internal)?;
                id.map(|id| Chave::WorkItem(id, self.titulo.clone()))
            }
            Agrupamento::Dia => self.dia.map(Chave::Dia),
            Agrupamento::Semana => self.semana.map(Chave::Semana),
            Agrupamento::Mes => self.mes.map(Chave::Mes),
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
