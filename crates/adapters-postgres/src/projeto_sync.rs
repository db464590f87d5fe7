//! Synchronising projetos with Azure DevOps.

use std::collections::BTreeMap;

use domain::{AzureProjectId, Descricao, Error, RemoteProjeto, SyncSummary};
use sea_orm::{ConnectionTrait as _, DbErr, FromQueryResult, raw_sql};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{PostgresDatabase, db_error};

/// Creates, updates and marks projetos in one transaction, as [`domain::ProjetoRepository::synchronize`] describes.
pub(crate) async fn synchronize(
    database: &PostgresDatabase,
    remote: Vec<RemoteProjeto>,
    gone: Vec<AzureProjectId>,
    since: OffsetDateTime,
) -> Result<SyncSummary, Error> {
    // The map keeps the last one of several with the same id.
    let remote: BTreeMap<_, _> = remote.into_iter().map(|projeto| (projeto.id, projeto)).collect();
    let synced = remote.len();
    let remote: Vec<_> = remote.into_values().map(RemoteRow::from).collect();
    let remote = serde_json::to_value(remote).map_err(Error::internal)?;
    let gone: serde_json::Value = gone.into_iter().map(|id| id.to_string()).collect();
    let row = replace_all(database, remote, gone, since).await.map_err(|error| db_error::into_domain(&error))?;
    row.ok_or_else(|| Error::internal("a SELECT without FROM returned no row"))?.summary(synced)
}

/// Takes the lock in a statement of its own, because a statement reads the snapshot of its start: after the wait, the next
/// statement sees the changes of the previous synchronisation.
async fn replace_all(
    database: &PostgresDatabase,
    remote: serde_json::Value,
    gone: serde_json::Value,
    since: OffsetDateTime,
) -> Result<Option<SummaryRow>, DbErr> {
    let transaction = database.begin("projetos.synchronize", 2).await?;
    // The table's own number makes it the lock of one tenant.
    transaction.execute_unprepared("SELECT pg_advisory_xact_lock('projetos'::regclass::oid::bigint)").await?;
    let deleted = RemoteProjeto::DELETED;
    let latest = since + RemoteProjeto::MAX_CLOCK_SKEW;
    let row = SummaryRow::find_by_statement(raw_sql!(
        Postgres,
        r#"WITH remote AS MATERIALIZED (
               SELECT * FROM jsonb_to_recordset({remote}::jsonb) AS r (id uuid, nome text, descricao text, url text, estado text)
           ), created AS (
               INSERT INTO projetos
                   (id, azure_project_id, nome, descricao, url, estado, sincronizado_em, criado_em, atualizado_em)
               SELECT id, id::text, nome, descricao, url, estado, {since}::timestamptz, {since}::timestamptz, {since}::timestamptz FROM remote
               ON CONFLICT (id) DO NOTHING
               RETURNING id
           ), updated AS (
               UPDATE projetos p
               SET azure_project_id = r.id::text, nome = r.nome, descricao = r.descricao, url = r.url, estado = r.estado,
                   sincronizado_em = {since}, atualizado_em = GREATEST({since}, p.atualizado_em + interval '1 microsecond')
               FROM remote r
               WHERE p.id = r.id AND (p.sincronizado_em > {since} AND p.sincronizado_em <= {latest}) IS NOT TRUE
                 AND ((p.azure_project_id, p.nome, p.descricao, p.url, p.estado) IS DISTINCT FROM
                      (r.id::text, r.nome, r.descricao, r.url, r.estado)
                      OR p.sincronizado_em > {latest})
               RETURNING p.id
           ), removed AS (
               UPDATE projetos p
               SET estado = {deleted}::varchar, sincronizado_em = {since},
                   atualizado_em = GREATEST({since}, p.atualizado_em + interval '1 microsecond')
               WHERE p.id IN (SELECT id::uuid FROM jsonb_array_elements_text({gone}::jsonb) AS gone (id))
                 AND p.azure_project_id IS NOT NULL AND p.estado IS DISTINCT FROM {deleted}
                 AND (p.sincronizado_em > {since} AND p.sincronizado_em <= {latest}) IS NOT TRUE
                 AND NOT EXISTS (SELECT FROM remote r WHERE r.id = p.id)
               RETURNING p.id
           )
           SELECT (SELECT count(*) FROM created) AS created, (SELECT count(*) FROM updated) AS updated,
                  (SELECT count(*) FROM removed) AS removed"#
    ));
    let row = row.one(&transaction).await?;
    transaction.commit().await?;
    Ok(row)
}

#[derive(FromQueryResult)]
struct SummaryRow {
    created: i64,
    updated: i64,
    removed: i64,
}

/// The columns of a projeto that come from Azure DevOps.
#[derive(Serialize)]
pub(crate) struct RemoteRow {
    pub(crate) id: Uuid,
    pub(crate) nome: String,
    pub(crate) descricao: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) estado: Option<String>,
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
