//! Statements that serve several concurrent calls.

use std::collections::HashMap;

use async_trait::async_trait;
use coalescer::Batch;
use domain::{AtividadeId, AtividadeRecord, Descricao};
use sea_orm::sea_query::extension::postgres::PgFunc;
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{ColumnTrait as _, DbErr, FromQueryResult, QueryFilter as _, raw_sql};

use crate::atividade_row::{AtividadeRow, select};
use crate::bulk::{self, OnUnknown};
use crate::entity::atividade::{Column, Entity};
use crate::{PostgresDatabase, db_error};

pub(crate) const FIND: &str = "atividades.find";
pub(crate) const INSERT: &str = "atividades.insert";

/// Reads by id. Each returns the row as of some moment after the call.
pub(crate) struct Find(pub(crate) PostgresDatabase);

#[async_trait]
impl Batch for Find {
    type Item = AtividadeId;
    type Output = Option<AtividadeRow>;
    type Error = DbErr;

    async fn run(&self, ids: &[AtividadeId]) -> Result<Vec<Option<AtividadeRow>>, DbErr> {
        let operation = self.0.read(FIND).untraced();
        if let [id] = ids {
            return select().filter(Column::Id.eq(id.0)).into_model().one(&operation).await.map(|row| vec![row]);
        }
        let keys: Vec<_> = ids.iter().map(|id| id.0).collect();
        let found = select().filter(Expr::col((Entity, Column::Id)).eq(PgFunc::any(keys)));
        let found: Vec<AtividadeRow> = found.into_model().all(&operation).await?;
        let found: HashMap<_, _> = found.into_iter().map(|row| (row.id, row)).collect();
        Ok(ids.iter().map(|id| found.get(&id.0).cloned()).collect())
    }

    fn is_caused_by_item(error: &DbErr) -> bool {
        !db_error::is_unavailable(error)
    }
}

/// Inserts. A record with a projeto that does not exist is omitted.
pub(crate) struct Insert(pub(crate) PostgresDatabase);

#[async_trait]
impl Batch for Insert {
    type Item = AtividadeRecord;
    type Output = Option<AtividadeRow>;
    type Error = DbErr;

    async fn run(&self, records: &[AtividadeRecord]) -> Result<Vec<Option<AtividadeRow>>, DbErr> {
        let operation = self.0.write(INSERT).untraced();
        let statement = match records {
            [] => return Ok(Vec::new()),
            [record] if record.projetos.others().is_empty() => {
                let AtividadeRecord { id, nome, descricao, ativo, projetos, criado_por, criado_em } = record;
                let (id, nome, projeto, criado_em) = (id.0, nome.as_str(), projetos.first().0, *criado_em);
                let (ativo, criado_por) = (*ativo, criado_por.as_str());
                let descricao = descricao.as_ref().map(Descricao::as_str);
                raw_sql!(
                    Postgres,
                    r#"INSERT INTO atividades
                           (id, nome, descricao, ativo, id_projeto, criado_por, criado_em, atualizado_em)
                       SELECT {id}, {nome}, {descricao}, {ativo}, p.id, {criado_por}, {criado_em}, {criado_em}
                       FROM projetos p WHERE p.id = {projeto}
                       RETURNING id, nome, descricao, ativo, id_projeto, criado_por, criado_em, atualizado_em,
                                 (SELECT p.nome FROM projetos p WHERE p.id = id_projeto) AS nome_projeto,
                                 NULL::jsonb AS outros_projetos"#
                )
            }
            [first, ..] => bulk::statement(records, first.criado_em, OnUnknown::Omit),
        };
        let rows = AtividadeRow::find_by_statement(statement).all(&operation).await?;
        let mut rows: HashMap<_, _> = rows.into_iter().map(|row| (row.id, row)).collect();
        Ok(records.iter().map(|record| rows.remove(&record.id.0)).collect())
    }

    fn is_caused_by_item(error: &DbErr) -> bool {
        !db_error::is_unavailable(error)
    }
}
