//! The repository of projetos.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::{
    AzureProjectId, Batch, BatchBuilder, Conflict, Descricao, Error, Idempotency, NomeProjeto, Projeto, ProjetoId,
    ProjetoPatch, ProjetoQuery, ProjetoRecord, ProjetoRepository, RemoteProjeto, SyncSummary, search_key,
};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, raw_sql};
use serde_json::json;
use time::OffsetDateTime;

use crate::idempotency::{self, Reservation};
use crate::projeto_row::ProjetoRow;
use crate::value::{id_text, microseconds};
use crate::{SqliteDatabase, db_error};

/// [`ProjetoRepository`] on SQLite.
#[derive(Debug, Clone)]
pub struct SqliteProjetoRepository(SqliteDatabase);

impl SqliteProjetoRepository {
    /// Builds the repository on `database`.
    #[must_use]
    pub fn new(database: &SqliteDatabase) -> Self {
        Self(database.clone())
    }

    /// Returns what a projeto that cannot be deleted has.
    async fn in_use(&self, id: ProjetoId) -> Result<Conflict, Error> {
        let key = id_text(id.0);
        let atividades = raw_sql!(
            Sqlite,
            "SELECT id, nome FROM atividades WHERE id_projeto = {key}
             OR id IN (SELECT id_atividade FROM atividade_projetos WHERE id_projeto = {key}) LIMIT 1"
        );
        let is_any = !self.0.fetch_all::<NomeRow>(atividades).await?.is_empty();
        Ok(if is_any { Conflict::ProjetoComAtividades } else { Conflict::ProjetoComApontamentos })
    }

    async fn store(
        &self,
        record: ProjetoRecord,
        idempotency: Option<&Idempotency>,
    ) -> Result<Result<Option<ProjetoRow>, Error>, DbErr> {
        let ProjetoRecord { id, nome, descricao, criado_em } = record;
        let transaction = match idempotency::reserve(&self.0, idempotency, criado_em).await? {
            Reservation::Acquired(transaction) => transaction,
            Reservation::Replay(row) => return Ok(Ok(Some(row))),
            Reservation::Rejected(error) => return Ok(Err(error)),
        };
        let (id, nome, now) = (id_text(id.0), nome.into_string(), microseconds(criado_em));
        let descricao = descricao.map(Descricao::into_string);
        let stored = ProjetoRow::find_by_statement(raw_sql!(
            Sqlite,
            r#"
            INSERT INTO projetos (id, nome, descricao, criado_em, atualizado_em)
            VALUES ({id}, {nome}, {descricao}, {now}, {now})
            RETURNING id, nome, descricao, azure_project_id, url, estado, sincronizado_em, criado_em, atualizado_em
            "#
        ));
        let row = stored.one(&transaction).await?;
        idempotency::complete(transaction, idempotency, criado_em, &row).await?;
        Ok(Ok(row))
    }

    /// Stores `remote` and marks `deleted`, both JSON arrays. Returns the number of updated, created and marked rows.
    async fn store_all(&self, remote: String, deleted: String, since: i64) -> Result<[u64; 3], DbErr> {
        let skew = i64::try_from(RemoteProjeto::MAX_CLOCK_SKEW.whole_microseconds()).unwrap_or(i64::MAX);
        let latest = since.saturating_add(skew);
        let deleted_state = RemoteProjeto::DELETED;
        let transaction = self.0.begin_immediate().await?;
        let updated = transaction
            .execute_raw(raw_sql!(
                Sqlite,
                r#"
                UPDATE projetos
                SET azure_project_id = r.id, nome = r.nome, descricao = r.descricao, url = r.url, estado = r.estado,
                    sincronizado_em = {since}, atualizado_em = max({since}, atualizado_em + 1)
                FROM (SELECT value ->> 'id' AS id, value ->> 'nome' AS nome, value ->> 'descricao' AS descricao,
                             value ->> 'url' AS url, value ->> 'estado' AS estado
                      FROM json_each({remote})) r
                WHERE projetos.id = r.id AND (sincronizado_em > {since} AND sincronizado_em <= {latest}) IS NOT TRUE
                  AND (azure_project_id IS NOT r.id OR projetos.nome IS NOT r.nome
                       OR projetos.descricao IS NOT r.descricao OR projetos.url IS NOT r.url
                       OR projetos.estado IS NOT r.estado OR sincronizado_em > {latest})
                "#
            ))
            .await?;
        let created = transaction
            .execute_raw(raw_sql!(
                Sqlite,
                r#"
                INSERT INTO projetos
                    (id, azure_project_id, nome, descricao, url, estado, sincronizado_em, criado_em, atualizado_em)
                SELECT value ->> 'id', value ->> 'id', value ->> 'nome', value ->> 'descricao', value ->> 'url',
                       value ->> 'estado', {since}, {since}, {since}
                FROM json_each({remote})
                WHERE true
                ON CONFLICT (id) DO NOTHING
                "#
            ))
            .await?;
        let removed = transaction
            .execute_raw(raw_sql!(
                Sqlite,
                r#"
                UPDATE projetos
                SET estado = {deleted_state}, sincronizado_em = {since}, atualizado_em = max({since}, atualizado_em + 1)
                WHERE id IN (SELECT value FROM json_each({deleted}))
                  AND azure_project_id IS NOT NULL AND estado IS NOT {deleted_state}
                  AND (sincronizado_em > {since} AND sincronizado_em <= {latest}) IS NOT TRUE
                  AND id NOT IN (SELECT value ->> 'id' FROM json_each({remote}))
                "#
            ))
            .await?;
        transaction.commit().await?;
        Ok([updated, created, removed].map(|result| result.rows_affected()))
    }
}

#[async_trait]
impl ProjetoRepository for SqliteProjetoRepository {
    async fn insert(&self, record: ProjetoRecord, idempotency: Option<Idempotency>) -> Result<Projeto, Error> {
        let stored = self.store(record, idempotency.as_ref()).await;
        let row = stored.map_err(db_error::into_domain)??;
        row.ok_or_else(|| Error::internal("an INSERT returned no row"))?.try_into()
    }

    async fn find(&self, id: ProjetoId) -> Result<Option<Projeto>, Error> {
        let id = id_text(id.0);
        let rows: Vec<ProjetoRow> = self
            .0
            .fetch_all(raw_sql!(
                Sqlite,
                r#"
                SELECT id, nome, descricao, azure_project_id, url, estado, sincronizado_em, criado_em, atualizado_em
                FROM projetos WHERE id = {id}
                "#
            ))
            .await?;
        rows.into_iter().next().map(Projeto::try_from).transpose()
    }

    /// The names are sorted in memory, because SQLite has no collation for Unicode.
    async fn list(&self, query: ProjetoQuery) -> Result<Batch<Projeto>, Error> {
        let key = |nome: String, id: String| (search_key(&nome), nome, id);
        let ProjetoQuery { filtro: (), ordem, apos, ate, skip, limit } = query;
        let [apos, ate] = [apos, ate].map(|cursor| cursor.map(|at| key(at.key.into_string(), id_text(at.id))));
        let all: Vec<NomeRow> = self.0.fetch_all(raw_sql!(Sqlite, "SELECT id, nome FROM projetos")).await?;
        let mut keys: Vec<_> = all.into_iter().map(|row| key(row.nome, row.id)).collect();
        keys.retain(|key| apos.as_ref().is_none_or(|apos| apos < key) && ate.as_ref().is_none_or(|ate| key <= ate));
        keys.sort_unstable();
        let skip = usize::try_from(skip.get()).unwrap_or(usize::MAX);
        let limit = usize::try_from(limit.get()).map_err(Error::internal)?;
        let ids: serde_json::Value = keys.into_iter().skip(skip).take(limit).map(|(_, _, id)| id).collect();
        let ids = ids.to_string();
        let rows = raw_sql!(
            Sqlite,
            r#"
            SELECT p.id, p.nome, p.descricao, p.azure_project_id, p.url, p.estado, p.sincronizado_em, p.criado_em,
                   p.atualizado_em
            FROM json_each({ids}) r CROSS JOIN projetos p ON p.id = r.value
            ORDER BY r.key
            "#
        );
        let mut page = BatchBuilder::<Projeto>::default();
        self.0.for_each_row(rows, |row: ProjetoRow| row.try_into().map(|row| page.push(row))).await?;
        Ok(page.finish(ordem))
    }

    async fn update(&self, id: ProjetoId, patch: ProjetoPatch, now: OffsetDateTime) -> Result<Option<Projeto>, Error> {
        let ProjetoPatch { nome, descricao, expected } = patch;
        let version = expected.map(microseconds);
        let (key, nome, now) = (id_text(id.0), nome.map(NomeProjeto::into_string), microseconds(now));
        let keep_descricao = descricao.is_absent();
        let descricao = descricao.into_value().map(Descricao::into_string);
        // An absent field is NULL. A comparison with NULL is NULL, which does not count as a difference.
        let changed: Option<ProjetoRow> = self
            .0
            .fetch_optional(raw_sql!(
                Sqlite,
                r#"
                UPDATE projetos
                SET nome = coalesce({nome}, nome),
                    descricao = CASE WHEN {keep_descricao} THEN descricao ELSE {descricao} END,
                    atualizado_em = max({now}, atualizado_em + 1)
                WHERE id = {key} AND azure_project_id IS NULL
                  AND ({version} IS NULL OR atualizado_em = {version})
                  AND (nome <> {nome} OR (NOT {keep_descricao} AND descricao IS NOT {descricao}))
                RETURNING id, nome, descricao, azure_project_id, url, estado, sincronizado_em, criado_em, atualizado_em
                "#
            ))
            .await
            .map_err(db_error::into_domain)?;
        if let Some(row) = changed {
            return row.try_into().map(Some);
        }
        // No row was updated: unchanged values, a project of Azure DevOps, `expected` mismatch, or no such id.
        match self.find(id).await? {
            Some(Projeto { azure_project_id: Some(_), .. }) => Err(Error::Conflict(Conflict::ProjetoDoAzure)),
            Some(found) if expected.is_some_and(|expected| expected != found.atualizado_em) => {
                Err(Error::VersionMismatch)
            }
            found => Ok(found),
        }
    }

    async fn delete(&self, id: ProjetoId, expected: Option<OffsetDateTime>) -> Result<bool, Error> {
        let (key, version) = (id_text(id.0), expected.map(microseconds));
        let deleted = self
            .0
            .execute(raw_sql!(
                Sqlite,
                r#"
                DELETE FROM projetos
                WHERE id = {key} AND azure_project_id IS NULL AND ({version} IS NULL OR atualizado_em = {version})
                "#
            ))
            .await;
        let deleted = match deleted {
            // SQLite does not name the violated foreign key.
            Err(error) if db_error::is_foreign_key(&error) => return Err(Error::Conflict(self.in_use(id).await?)),
            deleted => deleted.map_err(db_error::into_domain)?,
        };
        if deleted.rows_affected() != 0 {
            return Ok(true);
        }
        match self.find(id).await? {
            Some(Projeto { azure_project_id: Some(_), .. }) => Err(Error::Conflict(Conflict::ProjetoDoAzure)),
            Some(_) => Err(Error::VersionMismatch),
            None => Ok(false),
        }
    }

    async fn synchronize(
        &self,
        remote: Vec<RemoteProjeto>,
        deleted: Vec<AzureProjectId>,
        since: OffsetDateTime,
    ) -> Result<SyncSummary, Error> {
        // Of an id that occurs twice, the map keeps the last occurrence.
        let remote: BTreeMap<_, _> = remote.into_iter().map(|projeto| (projeto.id, projeto)).collect();
        let synced = u64::try_from(remote.len()).map_err(Error::internal)?;
        let remote: Vec<_> = remote.into_values().map(to_json).collect();
        let remote = serde_json::Value::from(remote).to_string();
        let deleted: Vec<_> = deleted.into_iter().map(|id| id_text(id.get())).collect();
        let deleted = serde_json::Value::from(deleted).to_string();
        let counts = self.store_all(remote, deleted, microseconds(since)).await.map_err(db_error::into_domain)?;
        let [updated, created, removed] = counts;
        Ok(SyncSummary { synced, created, updated, removed })
    }

    async fn store_remote(&self, remote: RemoteProjeto, since: OffsetDateTime) -> Result<Projeto, Error> {
        let key = ProjetoId(remote.id.get());
        let RemoteProjeto { id, nome, descricao, url, estado } = remote;
        let (id, nome, now) = (id_text(id.get()), nome.into_string(), microseconds(since));
        let descricao = descricao.map(Descricao::into_string);
        let written: Option<ProjetoRow> = self
            .0
            .fetch_optional(raw_sql!(
                Sqlite,
                r#"
                INSERT INTO projetos
                    (id, azure_project_id, nome, descricao, url, estado, sincronizado_em, criado_em, atualizado_em)
                VALUES ({id}, {id}, {nome}, {descricao}, {url}, {estado}, {now}, {now}, {now})
                ON CONFLICT (id) DO UPDATE
                SET azure_project_id = excluded.azure_project_id, nome = excluded.nome,
                    descricao = excluded.descricao, url = excluded.url, estado = excluded.estado,
                    sincronizado_em = excluded.sincronizado_em, atualizado_em = max({now}, atualizado_em + 1)
                WHERE azure_project_id IS NOT excluded.azure_project_id OR nome IS NOT excluded.nome
                   OR descricao IS NOT excluded.descricao OR url IS NOT excluded.url
                   OR estado IS NOT excluded.estado
                RETURNING id, nome, descricao, azure_project_id, url, estado, sincronizado_em, criado_em, atualizado_em
                "#
            ))
            .await
            .map_err(db_error::into_domain)?;
        if let Some(row) = written {
            return row.try_into();
        }
        let found = self.find(key).await?;
        found.ok_or_else(|| Error::internal("a projeto of Azure DevOps is missing although it is never deleted"))
    }
}

fn to_json(remote: RemoteProjeto) -> serde_json::Value {
    let RemoteProjeto { id, nome, descricao, url, estado } = remote;
    let (nome, descricao) = (nome.into_string(), descricao.map(Descricao::into_string));
    json!({"id": id_text(id.get()), "nome": nome, "descricao": descricao, "url": url, "estado": estado})
}

#[derive(FromQueryResult)]
struct NomeRow {
    id: String,
    nome: String,
}
