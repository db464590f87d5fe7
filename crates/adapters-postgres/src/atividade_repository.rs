//! Atividades in PostgreSQL: one statement for each method, or one for several concurrent [inserts](Insert) and
//! [reads by id](Find). An update or a delete that changed no row runs a second statement to find the reason.

use std::sync::Arc;

use async_trait::async_trait;
use coalescer::Coalescer;
use domain::{
    Atividade, AtividadeId, AtividadePatch, AtividadeQuery, AtividadeRecord, AtividadeRepository, Batch, Conflict,
    Descricao, Error, Idempotency, NomeAtividade, Violation,
};
use sea_orm::{ColumnTrait as _, DbErr, EntityTrait as _, FromQueryResult, QueryFilter as _, raw_sql};
use time::OffsetDateTime;

use crate::apontamento_repository::ATIVIDADE_KEY;
use crate::atividade_batches::{FIND, Find, INSERT, Insert};
use crate::atividade_page::Page;
use crate::atividade_row::{AtividadeRow, unknown_projeto};
use crate::entity::atividade::{Column, Entity};
use crate::listing::Total;
use crate::operation::traced;
use crate::{PostgresDatabase, bulk, db_error};

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
        Page::read(&operation, query, total).await
    }
}

#[async_trait]
impl AtividadeRepository for PostgresAtividadeRepository {
    async fn insert(&self, record: AtividadeRecord) -> Result<Atividade, Error> {
        let row = traced(INSERT, async { self.inserts.call(record).await.map_err(db_error::of_call) }).await;
        let row = row.map_err(|error| unknown_projeto(&error))?;
        row.ok_or_else(|| Error::invalid("id_projeto", Violation::UnknownProjeto))?.try_into()
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
        let AtividadePatch { nome, descricao, ativo, projeto, expected } = patch;
        let (nome, projeto) = (nome.map(NomeAtividade::into_string), projeto.map(|projeto| projeto.0));
        let keep_descricao = descricao.is_absent();
        let descricao = descricao.into_value().map(Descricao::into_string);
        let key = id.0;
        // An absent field is NULL in `novo`; a comparison with it is NULL, which is no difference.
        let changed = AtividadeRow::find_by_statement(raw_sql!(
            Postgres,
            r#"WITH changed AS (
                   UPDATE atividades a
                   SET nome = COALESCE(novo.nome, a.nome),
                       descricao = CASE WHEN novo.keep_descricao THEN a.descricao ELSE novo.descricao END,
                       ativo = COALESCE(novo.ativo, a.ativo),
                       id_projeto = COALESCE(novo.id_projeto, a.id_projeto),
                       atualizado_em = GREATEST(novo.atualizado_em, a.atualizado_em + interval '1 microsecond')
                   FROM (
                       SELECT {nome}::varchar AS nome, {descricao}::text AS descricao,
                              {keep_descricao}::boolean AS keep_descricao, {ativo}::boolean AS ativo,
                              {projeto}::uuid AS id_projeto, {now}::timestamptz AS atualizado_em,
                              {expected}::timestamptz AS expected
                   ) novo
                   WHERE a.id = {key} AND (novo.expected IS NULL OR a.atualizado_em = novo.expected)
                     AND (a.nome <> novo.nome
                          OR (NOT novo.keep_descricao AND a.descricao IS DISTINCT FROM novo.descricao)
                          OR a.ativo <> novo.ativo
                          OR a.id_projeto <> novo.id_projeto)
                   RETURNING a.*
               )
               SELECT a.id, a.nome, a.descricao, a.ativo, a.id_projeto, a.criado_por, a.criado_em, a.atualizado_em,
                      p.nome AS nome_projeto
               FROM changed a JOIN projetos p ON p.id = a.id_projeto"#
        ));
        let changed = changed.one(&self.database.write("atividades.update")).await;
        match changed.map_err(|error| unknown_projeto(&error))? {
            Some(row) => row.try_into().map(Some),
            // No row was updated: unchanged values, `expected` mismatch, or no such id. Or the projeto is so new that the
            // statement could refer to it and not yet read its name.
            None => match self.find(id).await? {
                Some(found) if expected.is_some_and(|expected| expected != found.atualizado_em) => {
                    Err(Error::VersionMismatch)
                }
                found => Ok(found),
            },
        }
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
