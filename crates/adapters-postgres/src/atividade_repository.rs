//! Atividades in PostgreSQL: one statement for each method, or one for several concurrent [inserts](Insert) and
//! [reads by id](Find). An update of the projetos, or one that changes nothing, is a transaction. A delete that changed no row
//! runs a second statement to find the reason.

use std::sync::Arc;

use async_trait::async_trait;
use coalescer::Coalescer;
use domain::{
    Atividade, AtividadeId, AtividadePatch, AtividadeQuery, AtividadeRecord, AtividadeRepository, Batch, Conflict,
    Error, Idempotency,
};
use sea_orm::{ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _};
use time::OffsetDateTime;

use crate::apontamento_repository::ATIVIDADE_KEY;
use crate::atividade_batches::{FIND, Find, INSERT, Insert};
use crate::atividade_page::Page;
use crate::atividade_row::is_unknown_projeto;
use crate::entity::atividade::{Column, Entity};
use crate::listing::Total;
use crate::operation::traced;
use crate::{PostgresDatabase, atividade_update, bulk, db_error};

/// [`AtividadeRepository`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresAtividadeRepository {
    database: PostgresDatabase,
    inserts: Arc<Coalescer<Insert>>,
    reads: Arc<Coalescer<Find>>,
}

impl PostgresAtividadeRepository {
    /// Creates the repository of `database`.
    #[must_use]
    pub fn new(database: &PostgresDatabase) -> Self {
        let (limits, runtime) = (database.coalescing_limits(), &database.runtime);
        Self {
            database: database.clone(),
            inserts: Coalescer::new(Insert(database.clone()), limits, runtime.clone()),
            reads: Coalescer::new(Find(database.clone()), limits, runtime.clone()),
        }
    }

    async fn page(&self, name: &'static str, query: &AtividadeQuery, total: Total) -> Result<Page, Error> {
        let operation = if query.is_search() { self.database.search(name) } else { self.database.read(name) };
        Page::read(&operation.on_replica(), query, total).await
    }
}

#[async_trait]
impl AtividadeRepository for PostgresAtividadeRepository {
    async fn insert(&self, record: AtividadeRecord) -> Result<Atividade, Error> {
        let row = traced(INSERT, async { self.inserts.call(record.clone()).await.map_err(db_error::of_call) }).await;
        match row {
            Ok(Some(row)) => row.try_into(),
            Err(error) if !is_unknown_projeto(&error) => Err(db_error::into_domain(&error)),
            // Insert it alone, to learn which projetos do not exist.
            Ok(None) | Err(_) => {
                let stored = self.insert_all(vec![record], None).await.map_err(Error::without_item_index)?.pop();
                stored.ok_or_else(|| Error::internal("an INSERT returned no row"))
            }
        }
    }

    async fn insert_all(
        &self,
        records: Vec<AtividadeRecord>,
        once: Option<Idempotency>,
    ) -> Result<Vec<Atividade>, Error> {
        let rows = bulk::insert(&self.database, &records, once.as_ref()).await?;
        rows.into_iter().map(Atividade::try_from).collect()
    }

    async fn find(&self, id: AtividadeId) -> Result<Option<Atividade>, Error> {
        let row = traced(FIND, async { self.reads.call(id).await.map_err(db_error::of_call) }).await;
        unavailable(row)?.map(Atividade::try_from).transpose()
    }

    async fn list(&self, query: AtividadeQuery) -> Result<domain::Page<Atividade>, Error> {
        let page = self.page("atividades.list", &query, Total::Counted).await?;
        let total = page.total.ok_or_else(|| Error::internal("a page without a total"))?;
        let Batch { items, last } = page.into_batch(query.ordem);
        Ok(domain::Page { items, total: u64::try_from(total).map_err(Error::internal)?, last })
    }

    async fn list_items(&self, query: AtividadeQuery) -> Result<Batch<Atividade>, Error> {
        Ok(self.page("atividades.rows", &query, Total::Omitted).await?.into_batch(query.ordem))
    }

    async fn update(
        &self,
        id: AtividadeId,
        patch: AtividadePatch,
        now: OffsetDateTime,
    ) -> Result<Option<Atividade>, Error> {
        atividade_update::update(&self.database, id, patch, now).await?.map(Atividade::try_from).transpose()
    }

    async fn delete(&self, id: AtividadeId, expected: Option<OffsetDateTime>) -> Result<bool, Error> {
        let mut delete = Entity::delete_many().filter(Column::Id.eq(id.0));
        if let Some(expected) = expected {
            delete = delete.filter(Column::AtualizadoEm.eq(expected));
        }
        let deleted = delete
            .exec(&self.database.write("atividades.delete"))
            .await
            .map_err(|error| db_error::on_constraints(&error, [(ATIVIDADE_KEY, Conflict::AtividadeComApontamentos)]))?;
        let is_deleted = 0 < deleted.rows_affected;
        if !is_deleted && expected.is_some() && self.find(id).await?.is_some() {
            return Err(Error::VersionMismatch);
        }
        Ok(is_deleted)
    }
}

fn unavailable<T>(result: Result<T, DbErr>) -> Result<T, Error> {
    result.map_err(|error| db_error::into_domain(&error))
}
