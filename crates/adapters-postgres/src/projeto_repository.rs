//! Projetos in PostgreSQL. Columns are named wherever rows come out: a plan that was prepared before a migration added a
//! column would otherwise fail after it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::{
    AzureProjectId, Conflict, Descricao, Error, Idempotency, NomeProjeto, Projeto, ProjetoId, ProjetoPatch,
    ProjetoRecord, ProjetoRepository, RemoteProjeto, SyncSummary,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::connection::Value;
use crate::database::{FromRow, read_all};
use crate::db_error::DbError;
use crate::idempotency::{self, Beginning};
use crate::pool::Lease;
use crate::{PostgresDatabase, db_error};

const FIND: &str = "
    SELECT id, nome, descricao, azure_project_id, url, estado, sincronizado_em, criado_em, atualizado_em
    FROM projetos WHERE id = $1";

const LIST: &str = "
    SELECT id, nome, descricao, azure_project_id, url, estado, sincronizado_em, criado_em, atualizado_em
    FROM projetos";

const INSERT: &str = "
    INSERT INTO projetos (id, nome, descricao, criado_em, atualizado_em) VALUES ($1, $2, $3, $4, $4)
    RETURNING id, nome, descricao, azure_project_id, url, estado, sincronizado_em, criado_em, atualizado_em";

/// What the patch leaves out is NULL in `novo`; comparing with it gives NULL, which does not make a difference.
const UPDATE: &str = "
    UPDATE projetos p
    SET nome = COALESCE(novo.nome, p.nome),
        descricao = CASE WHEN novo.keep_descricao THEN p.descricao ELSE novo.descricao END,
        atualizado_em = GREATEST(novo.atualizado_em, p.atualizado_em + interval '1 microsecond')
    FROM (
        SELECT $2::varchar AS nome, $3::text AS descricao, $4::boolean AS keep_descricao,
               $5::timestamptz AS atualizado_em
    ) novo
    WHERE p.id = $1 AND p.azure_project_id IS NULL
      AND ($6::timestamptz IS NULL OR p.atualizado_em = $6)
      AND (p.nome <> novo.nome
           OR (NOT novo.keep_descricao AND p.descricao IS DISTINCT FROM novo.descricao))
    RETURNING p.id, p.nome, p.descricao, p.azure_project_id, p.url, p.estado, p.sincronizado_em, p.criado_em,
              p.atualizado_em";

/// Whether there is one, whether it is Azure's, and whether it was deleted.
const DELETE: &str = "
    WITH deleted AS (
        DELETE FROM projetos
        WHERE id = $1 AND azure_project_id IS NULL AND ($2::timestamptz IS NULL OR atualizado_em = $2)
        RETURNING id
    )
    SELECT azure_project_id IS NOT NULL, EXISTS (SELECT FROM deleted) FROM projetos WHERE id = $1";

const STORE_REMOTE: &str = "
    INSERT INTO projetos AS p
        (id, azure_project_id, nome, descricao, url, estado, sincronizado_em, criado_em, atualizado_em)
    VALUES ($1, $1::uuid::text, $2, $3, $4, $5, $6, $6, $6)
    ON CONFLICT (id) DO UPDATE
    SET azure_project_id = EXCLUDED.azure_project_id, nome = EXCLUDED.nome, descricao = EXCLUDED.descricao,
        url = EXCLUDED.url, estado = EXCLUDED.estado, sincronizado_em = EXCLUDED.sincronizado_em,
        atualizado_em = GREATEST(EXCLUDED.atualizado_em, p.atualizado_em + interval '1 microsecond')
    WHERE (p.azure_project_id, p.nome, p.descricao, p.url, p.estado) IS DISTINCT FROM
          (EXCLUDED.azure_project_id, EXCLUDED.nome, EXCLUDED.descricao, EXCLUDED.url, EXCLUDED.estado)
    RETURNING p.id, p.nome, p.descricao, p.azure_project_id, p.url, p.estado, p.sincronizado_em, p.criado_em,
              p.atualizado_em";

/// The table's own number makes it the lock of one tenant.
const LOCK: &str = "SELECT pg_advisory_xact_lock('projetos'::regclass::oid::bigint)";

/// `$1` is the list of Azure DevOps, `$2` the time of the question, `$3` the state of what is gone, `$4` the ids of that.
const REPLACE_ALL: &str = "
    WITH remote AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset($1::jsonb) AS r (id uuid, nome text, descricao text, url text, estado text)
    ), created AS (
        INSERT INTO projetos
            (id, azure_project_id, nome, descricao, url, estado, sincronizado_em, criado_em, atualizado_em)
        SELECT id, id::text, nome, descricao, url, estado, $2::timestamptz, $2, $2 FROM remote
        ON CONFLICT (id) DO NOTHING
        RETURNING id
    ), updated AS (
        UPDATE projetos p
        SET azure_project_id = r.id::text, nome = r.nome, descricao = r.descricao, url = r.url, estado = r.estado,
            sincronizado_em = $2, atualizado_em = GREATEST($2, p.atualizado_em + interval '1 microsecond')
        FROM remote r
        WHERE p.id = r.id AND (p.sincronizado_em IS NULL OR p.sincronizado_em <= $2)
          AND (p.azure_project_id, p.nome, p.descricao, p.url, p.estado) IS DISTINCT FROM
              (r.id::text, r.nome, r.descricao, r.url, r.estado)
        RETURNING p.id
    ), removed AS (
        UPDATE projetos p
        SET estado = $3::varchar, sincronizado_em = $2,
            atualizado_em = GREATEST($2, p.atualizado_em + interval '1 microsecond')
        WHERE p.id IN (SELECT id::uuid FROM jsonb_array_elements_text($4::jsonb) AS gone (id))
          AND p.azure_project_id IS NOT NULL AND p.estado IS DISTINCT FROM $3
          AND (p.sincronizado_em IS NULL OR p.sincronizado_em <= $2)
          AND NOT EXISTS (SELECT FROM remote r WHERE r.id = p.id)
        RETURNING p.id
    )
    SELECT (SELECT count(*) FROM created), (SELECT count(*) FROM updated), (SELECT count(*) FROM removed)";

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
        let stored = self.0.alone("projetos.insert", 5, |lease| store(lease, record, once.as_ref())).await;
        stored.map_err(db_error::from)?.ok_or(Error::KeyReused)?.try_into()
    }

    async fn find(&self, id: ProjetoId) -> Result<Option<Projeto>, Error> {
        let rows: Vec<ProjetoRow> = self.0.read("projetos.find", FIND, &[&id.0]).await?;
        rows.into_iter().next().map(Projeto::try_from).transpose()
    }

    async fn list(&self) -> Result<Vec<Projeto>, Error> {
        let rows: Vec<ProjetoRow> = self.0.search("projetos.list", LIST, &[]).await?;
        rows.into_iter().map(Projeto::try_from).collect()
    }

    async fn update(&self, id: ProjetoId, patch: ProjetoPatch, now: OffsetDateTime) -> Result<Option<Projeto>, Error> {
        let ProjetoPatch { nome, descricao, expected } = patch;
        let nome = nome.map(NomeProjeto::into_string);
        let keep_descricao = descricao.is_absent();
        let descricao = descricao.into_value().map(Descricao::into_string);
        let values: [Value<'_>; 6] = [&id.0, &nome, &descricao, &keep_descricao, &now, &expected];
        let changed = self.0.write::<ProjetoRow>("projetos.update", UPDATE, &values).await;
        if let Some(row) = changed.map_err(db_error::from)?.into_iter().next() {
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
        let found =
            self.0.write::<DeleteRow>("projetos.delete", DELETE, &[&id.0, &expected]).await.map_err(|error| {
                let in_use = Error::Conflict(Conflict::ProjetoComAtividades);
                db_error::on(error, "atividades_id_projeto_fkey", in_use)
            })?;
        match found.into_iter().next() {
            Some(DeleteRow { do_azure: true, .. }) => Err(Error::Conflict(Conflict::ProjetoDoAzure)),
            Some(DeleteRow { deleted: false, .. }) if expected.is_some() => Err(Error::Changed),
            Some(DeleteRow { deleted, .. }) => Ok(deleted),
            None => Ok(false),
        }
    }

    async fn synchronize(
        &self,
        remote: Vec<RemoteProjeto>,
        gone: Vec<AzureProjectId>,
        since: OffsetDateTime,
    ) -> Result<SyncSummary, Error> {
        // Of an id that comes twice the map keeps the last.
        let remote: BTreeMap<_, _> = remote.into_iter().map(|projeto| (projeto.id, projeto)).collect();
        let synced = remote.len();
        let remote: Vec<_> = remote.into_values().map(RemoteRow::from).collect();
        let remote = serde_json::to_value(remote).map_err(Error::internal)?;
        let gone: serde_json::Value = gone.into_iter().map(|id| id.to_string()).collect();
        let row = self.0.alone("projetos.synchronize", 2, |lease| replace_all(lease, remote, gone, since)).await;
        let row = row.map_err(db_error::from)?;
        row.ok_or_else(|| Error::internal("a SELECT without FROM answered no row"))?.summary(synced)
    }

    async fn store_remote(&self, remote: RemoteProjeto, now: OffsetDateTime) -> Result<Projeto, Error> {
        let key = ProjetoId(remote.id.get());
        let RemoteRow { id, nome, descricao, url, estado } = RemoteRow::from(remote);
        let values: [Value<'_>; 6] = [&id, &nome, &descricao, &url, &estado, &now];
        let written = self.0.write::<ProjetoRow>("projetos.store_remote", STORE_REMOTE, &values).await;
        if let Some(row) = written.map_err(db_error::from)?.into_iter().next() {
            return row.try_into();
        }
        let found = self.find(key).await?;
        found.ok_or_else(|| Error::internal("a projeto of Azure DevOps was deleted, which nothing here does"))
    }
}

/// Nothing when the key of `once` stands for another request.
async fn store(lease: Lease, record: ProjetoRecord, once: Option<&Idempotency>) -> Result<Option<ProjetoRow>, DbError> {
    let ProjetoRecord { id, nome, descricao, criado_em } = record;
    let mut transaction = match idempotency::begin(lease, once, criado_em).await? {
        Beginning::New(transaction) => transaction,
        Beginning::Known(row) => return Ok(Some(row)),
        Beginning::Reused => return Ok(None),
    };
    let (nome, descricao) = (nome.as_str(), descricao.as_ref().map(Descricao::as_str));
    let rows = transaction.query(INSERT, &[&id.0, &nome, &descricao, &criado_em]).await?;
    let row = read_all::<ProjetoRow>(rows)?.into_iter().next();
    idempotency::end(transaction, once, &row).await?;
    Ok(row)
}

/// The transaction of `synchronize`. The lock comes first and by itself, because a statement sees the world as it was
/// when it began: whoever waited here then sees what the one before has done.
async fn replace_all(
    mut lease: Lease,
    remote: serde_json::Value,
    gone: serde_json::Value,
    since: OffsetDateTime,
) -> Result<Option<SummaryRow>, DbError> {
    lease.begin().await?;
    lease.query(LOCK, &[]).await?;
    let rows = lease.query(REPLACE_ALL, &[&remote, &since, &RemoteProjeto::DELETED, &gone]).await?;
    let row = read_all::<SummaryRow>(rows)?.into_iter().next();
    lease.commit().await?;
    Ok(row)
}

/// A projeto as it is read, and as it is kept with the key of a request that made it.
#[derive(Serialize, Deserialize)]
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

impl FromRow for ProjetoRow {
    fn from_row(row: Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            id: row.try_get(0)?,
            nome: row.try_get(1)?,
            descricao: row.try_get(2)?,
            azure_project_id: row.try_get(3)?,
            url: row.try_get(4)?,
            estado: row.try_get(5)?,
            sincronizado_em: row.try_get(6)?,
            criado_em: row.try_get(7)?,
            atualizado_em: row.try_get(8)?,
        })
    }
}

struct DeleteRow {
    do_azure: bool,
    deleted: bool,
}

impl FromRow for DeleteRow {
    fn from_row(row: Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self { do_azure: row.try_get(0)?, deleted: row.try_get(1)? })
    }
}

struct SummaryRow {
    created: i64,
    updated: i64,
    removed: i64,
}

impl FromRow for SummaryRow {
    fn from_row(row: Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self { created: row.try_get(0)?, updated: row.try_get(1)?, removed: row.try_get(2)? })
    }
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
