//! The repository of atividades.

use async_trait::async_trait;
use domain::{
    Atividade, AtividadeId, AtividadePatch, AtividadeQuery, AtividadeRecord, AtividadeRepository, Batch, BatchBuilder,
    Conflict, Descricao, Error, Idempotency, NomeAtividade, Page, Violation, search_key,
};
use sea_orm::{DbErr, FromQueryResult, raw_sql};
use time::OffsetDateTime;

use crate::atividade_row::AtividadeRow;
use crate::value::{id_text, microseconds};
use crate::{SqliteDatabase, bulk_insert, db_error, listing};

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
        let AtividadeRecord { id, nome, descricao, ativo, projeto, criado_por, criado_em } = record;
        let nome_busca = search_key(nome.as_str());
        let (id, nome, projeto) = (id_text(id.0), nome.into_string(), id_text(projeto.0));
        let (descricao, now) = (descricao.map(Descricao::into_string), microseconds(criado_em));
        let row: Option<AtividadeRow> = self
            .0
            .fetch_optional(raw_sql!(
                Sqlite,
                r#"
                INSERT INTO atividades
                    (id, nome, nome_busca, descricao, ativo, id_projeto, criado_por, criado_em, atualizado_em)
                VALUES ({id}, {nome}, {nome_busca}, {descricao}, {ativo}, {projeto}, {criado_por}, {now}, {now})
                RETURNING id, nome, descricao, ativo, id_projeto, criado_por, criado_em, atualizado_em,
                          (SELECT p.nome FROM projetos p WHERE p.id = id_projeto) AS nome_projeto
                "#
            ))
            .await
            .map_err(unknown_projeto)?;
        row.ok_or_else(|| Error::internal("an INSERT returned no row"))?.try_into()
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
        let id = id_text(id.0);
        let rows: Vec<AtividadeRow> = self
            .0
            .fetch_all(raw_sql!(
                Sqlite,
                r#"
                SELECT a.id, a.nome, a.descricao, a.ativo, a.id_projeto, a.criado_por, a.criado_em, a.atualizado_em,
                       p.nome AS nome_projeto
                FROM atividades a JOIN projetos p ON p.id = a.id_projeto
                WHERE a.id = {id}
                "#
            ))
            .await?;
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
        let AtividadePatch { nome, descricao, ativo, projeto, expected } = patch;
        let version = expected.map(microseconds);
        let (key, now) = (id_text(id.0), microseconds(now));
        let nome_busca = nome.as_ref().map(|nome| search_key(nome.as_str()));
        let (nome, projeto) = (nome.map(NomeAtividade::into_string), projeto.map(|projeto| id_text(projeto.0)));
        let keep_descricao = descricao.is_absent();
        let descricao = descricao.into_value().map(Descricao::into_string);
        // An absent field is NULL. A comparison with NULL is NULL, which does not count as a difference.
        let changed: Option<AtividadeRow> = self
            .0
            .fetch_optional(raw_sql!(
                Sqlite,
                r#"
                UPDATE atividades
                SET nome = coalesce({nome}, nome), nome_busca = coalesce({nome_busca}, nome_busca),
                    descricao = CASE WHEN {keep_descricao} THEN descricao ELSE {descricao} END,
                    ativo = coalesce({ativo}, ativo),
                    id_projeto = coalesce({projeto}, id_projeto),
                    atualizado_em = max({now}, atualizado_em + 1)
                WHERE id = {key} AND ({version} IS NULL OR atualizado_em = {version})
                  AND (nome <> {nome} OR (NOT {keep_descricao} AND descricao IS NOT {descricao})
                       OR ativo <> {ativo} OR id_projeto <> {projeto})
                RETURNING id, nome, descricao, ativo, id_projeto, criado_por, criado_em, atualizado_em,
                          (SELECT p.nome FROM projetos p WHERE p.id = id_projeto) AS nome_projeto
                "#
            ))
            .await
            .map_err(unknown_projeto)?;
        match changed {
            Some(row) => row.try_into().map(Some),
            // No row was updated: unchanged values, `expected` mismatch, or no such id.
            None => match self.find(id).await? {
                Some(found) if expected.is_some_and(|expected| expected != found.atualizado_em) => {
                    Err(Error::VersionMismatch)
                }
                found => Ok(found),
            },
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

fn unknown_projeto(error: DbErr) -> Error {
    db_error::on_foreign_key(error, Error::invalid("id_projeto", Violation::UnknownProjeto))
}

#[derive(FromQueryResult)]
struct ListRow {
    total: i64,
    #[sea_orm(nested)]
    atividade: Option<AtividadeRow>,
}
