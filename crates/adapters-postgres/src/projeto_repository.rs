//! Projetos in PostgreSQL. Columns are named wherever rows come out: a plan that was prepared before a migration added a
//! column would otherwise fail after it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::{
    AzureProjectId, Conflict, Descricao, Error, Idempotency, NomeProjeto, Projeto, ProjetoId, ProjetoPatch,
    ProjetoRecord, ProjetoRepository, RemoteProjeto, SyncSummary,
};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, TransactionTrait, raw_sql};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::idempotency::{self, Beginning};
use crate::{PostgresDatabase, db_error};

/// [`ProjetoRepository`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresProjetoRepository(PostgresDatabase);

impl PostgresProjetoRepository {
    /// The projetos of `database`.
    #[must_use]
    pub fn new(database: &PostgresDatabase) -> Self {
        Self(database.clone())
    }
}

#[async_trait]
impl ProjetoRepository for PostgresProjetoRepository {
    async fn insert(&self, record: ProjetoRecord, once: Option<Idempotency>) -> Result<Projeto, Error> {
        let stored = self.0.within("projetos.insert", self.0.limit(5), self.store(record, once.as_ref())).await;
        stored.map_err(db_error::from)?.ok_or(Error::KeyReused)?.try_into()
    }

    async fn find(&self, id: ProjetoId) -> Result<Option<Projeto>, Error> {
        let id = id.0;
        let rows: Vec<ProjetoRow> = self
            .0
            .read(
                "projetos.find",
                raw_sql!(
                    Postgres,
                    r#"
                SELECT id, nome, descricao, azure_project_id, url, estado, sincronizado_em, criado_em, atualizado_em
                FROM projetos WHERE id = {id}
                "#
                ),
            )
            .await?;
        rows.into_iter().next().map(Projeto::try_from).transpose()
    }

    async fn list(&self) -> Result<Vec<Projeto>, Error> {
        let rows: Vec<ProjetoRow> = self
            .0
            .read(
                "projetos.list",
                raw_sql!(
                    Postgres,
                    r#"
                SELECT id, nome, descricao, azure_project_id, url, estado, sincronizado_em, criado_em, atualizado_em
                FROM projetos
                "#
                ),
            )
            .await?;
        rows.into_iter().map(Projeto::try_from).collect()
    }

    async fn update(&self, id: ProjetoId, patch: ProjetoPatch, now: OffsetDateTime) -> Result<Option<Projeto>, Error> {
        let ProjetoPatch { nome, descricao, expected } = patch;
        let (key, nome) = (id.0, nome.map(NomeProjeto::into_string));
        let keep_descricao = descricao.is_absent();
        let descricao = descricao.into_value().map(Descricao::into_string);
        // What the patch leaves out is NULL in `novo`; comparing with it gives NULL, which does not make a difference.
        let changed: Option<ProjetoRow> = self
            .0
            .write(
                "projetos.update",
                raw_sql!(
                    Postgres,
                    r#"
                UPDATE projetos p
                SET nome = COALESCE(novo.nome, p.nome),
                    descricao = CASE WHEN novo.keep_descricao THEN p.descricao ELSE novo.descricao END,
                    atualizado_em = GREATEST(novo.atualizado_em, p.atualizado_em + interval '1 microsecond')
                FROM (
                    SELECT {nome} AS nome, {descricao} AS descricao, {keep_descricao} AS keep_descricao,
                           {now} AS atualizado_em
                ) novo
                WHERE p.id = {key} AND p.azure_project_id IS NULL
                  AND ({expected} IS NULL OR p.atualizado_em = {expected})
                  AND (p.nome <> novo.nome
                       OR (NOT novo.keep_descricao AND p.descricao IS DISTINCT FROM novo.descricao))
                RETURNING p.id, p.nome, p.descricao, p.azure_project_id, p.url, p.estado, p.sincronizado_em,
                          p.criado_em, p.atualizado_em
                "#
                ),
            )
            .await
            .map_err(db_error::from)?;
        if let Some(row) = changed {
            return row.try_into().map(Some);
        }
        // Nothing differs, or it is Azure's, or somebody else was faster, or there is none.
        match self.find(id).await? {
            Some(Projeto { azure_project_id: Some(_), .. }) => Err(Error::Conflict(Conflict::ProjetoDoAzure)),
            Some(found) if expected.is_some_and(|expected| expected != found.atualizado_em) => Err(Error::Changed),
            found => Ok(found),
        }
    }

    async fn delete(&self, id: ProjetoId, expected: Option<OffsetDateTime>) -> Result<bool, Error> {
        let id = id.0;
        let found: Option<DeleteRow> = self
            .0
            .write(
                "projetos.delete",
                raw_sql!(
                    Postgres,
                    r#"
                WITH deleted AS (
                    DELETE FROM projetos
                    WHERE id = {id} AND azure_project_id IS NULL
                      AND ({expected} IS NULL OR atualizado_em = {expected})
                    RETURNING id
                )
                SELECT azure_project_id IS NOT NULL AS do_azure, EXISTS (SELECT FROM deleted) AS deleted
                FROM projetos WHERE id = {id}
                "#
                ),
            )
            .await
            .map_err(|error| {
                let in_use = Error::Conflict(Conflict::ProjetoComAtividades);
                db_error::on(error, "atividades_id_projeto_fkey", in_use)
            })?;
        match found {
            Some(DeleteRow { do_azure: true, .. }) => Err(Error::Conflict(Conflict::ProjetoDoAzure)),
            Some(DeleteRow { deleted: false, .. }) if expected.is_some() => Err(Error::Changed),
            Some(DeleteRow { deleted, .. }) => Ok(deleted),
            None => Ok(false),
        }
    }

    async fn synchronize(&self, remote: Vec<RemoteProjeto>, now: OffsetDateTime) -> Result<SyncSummary, Error> {
        // Of an id that comes twice the map keeps the last.
        let remote: BTreeMap<_, _> = remote.into_iter().map(|projeto| (projeto.id, projeto)).collect();
        let synced = remote.len();
        let remote: Vec<_> = remote.into_values().map(RemoteRow::from).collect();
        let remote = serde_json::to_value(remote).map_err(Error::internal)?;
        let row = self
            .0
            .within("projetos.synchronize", self.0.limit(2), self.replace_all(remote, now))
            .await
            .map_err(db_error::from)?;
        row.ok_or_else(|| Error::internal("a SELECT without FROM answered no row"))?.summary(synced)
    }

    async fn store_remote(&self, remote: RemoteProjeto, now: OffsetDateTime) -> Result<Projeto, Error> {
        let key = ProjetoId(remote.id.get());
        let RemoteRow { id, nome, descricao, url, estado } = RemoteRow::from(remote);
        let written: Option<ProjetoRow> = self
            .0
            .write(
                "projetos.store_remote",
                raw_sql!(
                    Postgres,
                    r#"
                INSERT INTO projetos AS p
                    (id, azure_project_id, nome, descricao, url, estado, sincronizado_em, criado_em, atualizado_em)
                VALUES ({id}, {id}::text, {nome}, {descricao}, {url}, {estado}, {now}, {now}, {now})
                ON CONFLICT (id) DO UPDATE
                SET azure_project_id = EXCLUDED.azure_project_id, nome = EXCLUDED.nome, descricao = EXCLUDED.descricao,
                    url = EXCLUDED.url, estado = EXCLUDED.estado, sincronizado_em = EXCLUDED.sincronizado_em,
                    atualizado_em = GREATEST(EXCLUDED.atualizado_em, p.atualizado_em + interval '1 microsecond')
                WHERE (p.azure_project_id, p.nome, p.descricao, p.url, p.estado) IS DISTINCT FROM
                      (EXCLUDED.azure_project_id, EXCLUDED.nome, EXCLUDED.descricao, EXCLUDED.url, EXCLUDED.estado)
                RETURNING p.id, p.nome, p.descricao, p.azure_project_id, p.url, p.estado, p.sincronizado_em,
                          p.criado_em, p.atualizado_em
                "#
                ),
            )
            .await
            .map_err(db_error::from)?;
        if let Some(row) = written {
            return row.try_into();
        }
        let found = self.find(key).await?;
        found.ok_or_else(|| Error::internal("a projeto of Azure DevOps was deleted, which nothing here does"))
    }
}

impl PostgresProjetoRepository {
    /// Nothing when the key of `once` stands for another request.
    async fn store(&self, record: ProjetoRecord, once: Option<&Idempotency>) -> Result<Option<ProjetoRow>, DbErr> {
        let ProjetoRecord { id, nome, descricao, criado_em } = record;
        let transaction = match idempotency::begin(&self.0, once, criado_em).await? {
            Beginning::New(transaction) => transaction,
            Beginning::Known(row) => return Ok(Some(row)),
            Beginning::Reused => return Ok(None),
        };
        let (id, nome, descricao) = (id.0, nome.into_string(), descricao.map(Descricao::into_string));
        let stored = ProjetoRow::find_by_statement(raw_sql!(
            Postgres,
            r#"
            INSERT INTO projetos (id, nome, descricao, criado_em, atualizado_em)
            VALUES ({id}, {nome}, {descricao}, {criado_em}, {criado_em})
            RETURNING id, nome, descricao, azure_project_id, url, estado, sincronizado_em, criado_em, atualizado_em
            "#
        ));
        let row = stored.one(&transaction).await?;
        idempotency::end(transaction, once, &row).await?;
        Ok(row)
    }

    /// The statement of `synchronize`. The lock comes first and by itself, because a statement sees the world as it was
    /// when it began: whoever waited here then sees what the one before has done.
    async fn replace_all(&self, remote: serde_json::Value, now: OffsetDateTime) -> Result<Option<SummaryRow>, DbErr> {
        let deleted = RemoteProjeto::DELETED;
        let transaction = self.0.connection().begin().await?;
        // The table's own number makes it the lock of one tenant.
        let lock = raw_sql!(Postgres, "SELECT pg_advisory_xact_lock('projetos'::regclass::oid::bigint)");
        transaction.query_one_raw(lock).await?;
        let row = SummaryRow::find_by_statement(raw_sql!(
            Postgres,
            r#"
            WITH remote AS MATERIALIZED (
                SELECT * FROM jsonb_to_recordset({remote})
                    AS r (id uuid, nome text, descricao text, url text, estado text)
            ), created AS (
                INSERT INTO projetos
                    (id, azure_project_id, nome, descricao, url, estado, sincronizado_em, criado_em, atualizado_em)
                SELECT id, id::text, nome, descricao, url, estado, {now}, {now}, {now} FROM remote
                ON CONFLICT (id) DO NOTHING
                RETURNING id
            ), updated AS (
                UPDATE projetos p
                SET azure_project_id = r.id::text, nome = r.nome, descricao = r.descricao, url = r.url,
                    estado = r.estado, sincronizado_em = {now},
                    atualizado_em = GREATEST({now}, p.atualizado_em + interval '1 microsecond')
                FROM remote r
                WHERE p.id = r.id
                  AND (p.azure_project_id, p.nome, p.descricao, p.url, p.estado) IS DISTINCT FROM
                      (r.id::text, r.nome, r.descricao, r.url, r.estado)
                RETURNING p.id
            ), removed AS (
                UPDATE projetos p
                SET estado = {deleted}, sincronizado_em = {now},
                    atualizado_em = GREATEST({now}, p.atualizado_em + interval '1 microsecond')
                WHERE p.azure_project_id IS NOT NULL AND p.estado IS DISTINCT FROM {deleted}
                  AND NOT EXISTS (SELECT FROM remote r WHERE r.id = p.id)
                RETURNING p.id
            )
            SELECT (SELECT count(*) FROM created) AS created, (SELECT count(*) FROM updated) AS updated,
                   (SELECT count(*) FROM removed) AS removed
            "#
        ))
        .one(&transaction)
        .await?;
        transaction.commit().await?;
        Ok(row)
    }
}

/// A projeto as it is read, and as it is kept with the key of a request that made it.
#[derive(FromQueryResult, Serialize, Deserialize)]
struct ProjetoRow {
    id: Uuid,
    nome: String,
    descricao: Option<String>,
    azure_project_id: Option<String>,
    url: Option<String>,
    estado: Option<String>,
    sincronizado_em: Option<OffsetDateTime>,
    criado_em: OffsetDateTime,
    atualizado_em: OffsetDateTime,
}

#[derive(FromQueryResult)]
struct DeleteRow {
    do_azure: bool,
    deleted: bool,
}

#[derive(FromQueryResult)]
struct SummaryRow {
    created: i64,
    updated: i64,
    removed: i64,
}

/// A projeto of Azure DevOps on its way into the database.
#[derive(Serialize)]
struct RemoteRow {
    id: Uuid,
    nome: String,
    descricao: Option<String>,
    url: Option<String>,
    estado: Option<String>,
}

impl SummaryRow {
    fn summary(self, synced: usize) -> Result<SyncSummary, Error> {
        let Self { created, updated, removed } = self;
        let count = |n: i64| u64::try_from(n).map_err(Error::internal);
        let synced = u64::try_from(synced).map_err(Error::internal)?;
        Ok(SyncSummary { synced, created: count(created)?, updated: count(updated)?, removed: count(removed)? })
    }
}

impl From<RemoteProjeto> for RemoteRow {
    fn from(remote: RemoteProjeto) -> Self {
        let RemoteProjeto { id, nome, descricao, url, estado } = remote;
        let descricao = descricao.map(Descricao::into_string);
        Self { id: id.get(), nome: nome.into_string(), descricao, url, estado }
    }
}

impl TryFrom<ProjetoRow> for Projeto {
    type Error = Error;

    fn try_from(row: ProjetoRow) -> Result<Self, Error> {
        let ProjetoRow {
            id,
            nome,
            descricao,
            azure_project_id,
            url,
            estado,
            sincronizado_em,
            criado_em,
            atualizado_em,
        } = row;
        let azure_project_id = azure_project_id.map(|id| AzureProjectId::parse(&id)).transpose();
        Ok(Self {
            id: ProjetoId(id),
            nome: NomeProjeto::parse(nome).map_err(Error::internal)?,
            descricao: descricao.map(Descricao::parse).transpose().map_err(Error::internal)?,
            azure_project_id: azure_project_id.map_err(Error::internal)?,
            url,
            estado,
            sincronizado_em,
            criado_em,
            atualizado_em,
        })
    }
}
