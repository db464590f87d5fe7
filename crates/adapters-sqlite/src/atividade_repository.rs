//! The repository of atividades.

use async_trait::async_trait;
use domain::{
    Atividade, AtividadeId, AtividadePatch, AtividadeQuery, AtividadeRecord, AtividadeRepository, Batch, BatchBuilder,
    Conflict, Error, Idempotency, Page,
};
use sea_orm::{FromQueryResult, raw_sql};
use time::OffsetDateTime;

use crate::atividade_row::{self, AtividadeRow};
use crate::value::{id_text, microseconds};
use crate::{SqliteDatabase, atividade_update, bulk_insert, db_error, listing};

/// [`AtividadeRepository`] on SQLite.
#[derive(Debug, Clone)]
pub struct SqliteAtividadeRepository(SqliteDatabase);

impl SqliteAtividadeRepository {
    /// Builds the repository on `database`.
    #[must_use]
    pub fn new(database: &SqliteDatabase) -> Self {
        Self(database.clone())
    }
}

#[async_trait]
impl AtividadeRepository for SqliteAtividadeRepository {
    async fn insert(&self, record: AtividadeRecord) -> Result<Atividade, Error> {
        let stored = self.insert_all(vec![record], None).await.map_err(Error::without_item_index)?.pop();
        stored.ok_or_else(|| Error::internal("an INSERT returned no row"))
    }

    async fn insert_all(
        &self,
        records: Vec<AtividadeRecord>,
        idempotency: Option<Idempotency>,
    ) -> Result<Vec<Atividade>, Error> {
        let rows = bulk_insert::insert_all(&self.0, &records, idempotency.as_ref()).await?;
        rows.into_iter().map(Atividade::try_from).collect()
    }

    async fn find(&self, id: AtividadeId) -> Result<Option<Atividade>, Error> {
        let rows: Vec<AtividadeRow> = self.0.fetch_all(atividade_row::find(id)).await?;
        rows.into_iter().next().map(Atividade::try_from).transpose()
    }

    async fn list(&self, query: AtividadeQuery) -> Result<Page<Atividade>, Error> {
        let ordem = query.ordem;
        let (mut total, mut page) = (0, BatchBuilder::<Atividade>::default());
        let push = |row: ListRow| {
            total = row.total;
            row.atividade.map(Atividade::try_from).transpose().map(|row| row.into_iter().for_each(|row| page.push(row)))
        };
        self.0.for_each_row(listing::page_and_total(query), push).await?;
        let Batch { items, last } = page.finish(ordem);
        Ok(Page { items, total: u64::try_from(total).map_err(Error::internal)?, last })
    }

    async fn list_items(&self, query: AtividadeQuery) -> Result<Batch<Atividade>, Error> {
        let ordem = query.ordem;
        let mut page = BatchBuilder::<Atividade>::default();
        let push = |row: AtividadeRow| row.try_into().map(|row| page.push(row));
        self.0.for_each_row(listing::page(query), push).await?;
        Ok(page.finish(ordem))
    }

    async fn update(
        &self,
        id: AtividadeId,
        patch: AtividadePatch,
        now: OffsetDateTime,
    ) -> Result<Option<Atividade>, Error> {
        let projetos = patch.projetos.clone();
        match (atividade_update::update(&self.0, id, patch, now).await, projetos) {
            (Err(error), Some(projetos)) if db_error::is_foreign_key(&error) => {
                let unknown = bulk_insert::find_unknown(&self.0, projetos.iter()).await?;
                Err(Error::Invalid(projetos.unknown(|projeto| !unknown.contains(&id_text(projeto.0)))))
            }
            (updated, _) => updated.map_err(db_error::into_domain)??.map(Atividade::try_from).transpose(),
        }
    }

    async fn delete(&self, id: AtividadeId, expected: Option<OffsetDateTime>) -> Result<bool, Error> {
        let (key, version) = (id_text(id.0), expected.map(microseconds));
        let statement = raw_sql!(
            Sqlite,
            "DELETE FROM atividades WHERE id = {key} AND ({version} IS NULL OR atualizado_em = {version})"
        );
        let in_use = Error::Conflict(Conflict::AtividadeComApontamentos);
        let deleted = self.0.execute(statement).await.map_err(|error| db_error::on_foreign_key(error, in_use))?;
        let deleted = deleted.rows_affected() != 0;
        if !deleted && expected.is_some() && self.find(id).await?.is_some() {
            return Err(Error::VersionMismatch);
        }
        Ok(deleted)
    }
}

#[derive(FromQueryResult)]
struct ListRow {
    total: i64,
    #[sea_orm(nested)]
    atividade: Option<AtividadeRow>,
}
