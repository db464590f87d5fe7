//! Projetos in PostgreSQL.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::{
    AzureProjectId, Batch, BatchBuilder, Conflict, Cursor, Descricao, Error, Idempotency, NomeProjeto, Projeto,
    ProjetoId, ProjetoPatch, ProjetoQuery, ProjetoRecord, ProjetoRepository, RemoteProjeto, SyncSummary,
};
use sea_orm::ActiveValue::Set;
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, FromQueryResult,
    QueryFilter as _, raw_sql,
};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::entity::projeto::{ActiveModel, Column, Entity, Model};
use crate::idempotency::{self, Reservation};
use crate::{PostgresDatabase, atividade_repository, db_error};

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
        const OPERATION: &str = "projetos.insert";
        let stored = match once {
            None => insert(&self.0.write(OPERATION), record).await.map(Ok),
            Some(once) => insert_once(&self.0, OPERATION, record, &once).await,
        };
        unavailable(stored)??.try_into()
    }

    async fn find(&self, id: ProjetoId) -> Result<Option<Projeto>, Error> {
        let found = Entity::find_by_id(id.0).one(&self.0.read("projetos.find")).await;
        unavailable(found)?.map(Projeto::try_from).transpose()
    }

    async fn list(&self, query: ProjetoQuery) -> Result<Batch<Projeto>, Error> {
        let ProjetoQuery { filtro: (), ordem, apos, ate, skip, limit } = query;
        let parts = |cursor: Cursor<NomeProjeto>| (cursor.key.into_string(), cursor.id);
        let ((after, after_id), (until, until_id)) = (apos.map(parts).unzip(), ate.map(parts).unzip());
        let (skip, limit) = (skip.get(), limit.get());
        let statement = raw_sql!(
            Postgres,
            r#"SELECT id, nome, descricao, azure_project_id, url, estado, sincronizado_em, criado_em, atualizado_em
               FROM projetos
               WHERE ({after}::text IS NULL
                      OR (nome_busca, nome COLLATE "C", id) > (sem_acentos({after}), {after}, {after_id}))
                 AND ({until}::text IS NULL
                      OR (nome_busca, nome COLLATE "C", id) <= (sem_acentos({until}), {until}, {until_id}))
               ORDER BY nome_busca, nome COLLATE "C", id LIMIT {limit} OFFSET {skip}"#
        );
        let page = self.0.read("projetos.list").fold(&statement, Page::default, Page::push).await;
        let (page, _) = unavailable(page)?;
        page.broken.map_or_else(|| Ok(page.rows.finish(ordem)), Err)
    }

    async fn update(&self, id: ProjetoId, patch: ProjetoPatch, now: OffsetDateTime) -> Result<Option<Projeto>, Error> {
        let ProjetoPatch { nome, descricao, expected } = patch;
        let nome = nome.map(NomeProjeto::into_string);
        let keep_descricao = descricao.is_absent();
        let descricao = descricao.into_value().map(Descricao::into_string);
        let key = id.0;
        // An absent field is NULL in `novo`; a comparison with it is NULL, which is no difference.
        let changed = Model::find_by_statement(raw_sql!(
            Postgres,
            r#"UPDATE projetos p
               SET nome = COALESCE(novo.nome, p.nome),
                   descricao = CASE WHEN novo.keep_descricao THEN p.descricao ELSE novo.descricao END,
                   atualizado_em = GREATEST(novo.atualizado_em, p.atualizado_em + interval '1 microsecond')
               FROM (
                   SELECT {nome}::varchar AS nome, {descricao}::text AS descricao,
                          {keep_descricao}::boolean AS keep_descricao, {now}::timestamptz AS atualizado_em,
                          {expected}::timestamptz AS expected
               ) novo
               WHERE p.id = {key} AND p.azure_project_id IS NULL
                 AND (novo.expected IS NULL OR p.atualizado_em = novo.expected)
                 AND (p.nome <> novo.nome
                      OR (NOT novo.keep_descricao AND p.descricao IS DISTINCT FROM novo.descricao))
               RETURNING p.id, p.nome, p.descricao, p.azure_project_id, p.url, p.estado, p.sincronizado_em, p.criado_em,
                         p.atualizado_em"#
        ));
        if let Some(row) = unavailable(changed.one(&self.0.write("projetos.update")).await)? {
            return row.try_into().map(Some);
        }
        // No row was updated: unchanged values, Azure's projeto, `expected` mismatch, or no such id.
        match self.find(id).await? {
            Some(Projeto { azure_project_id: Some(_), .. }) => Err(Error::Conflict(Conflict::ProjetoDoAzure)),
            Some(found) if expected.is_some_and(|expected| expected != found.atualizado_em) => {
                Err(Error::VersionMismatch)
            }
            found => Ok(found),
        }
    }

    async fn delete(&self, id: ProjetoId, expected: Option<OffsetDateTime>) -> Result<bool, Error> {
        let mut delete = Entity::delete_many().filter(Column::Id.eq(id.0)).filter(Column::AzureProjectId.is_null());
        if let Some(expected) = expected {
            delete = delete.filter(Column::AtualizadoEm.eq(expected));
        }
        let deleted = delete.exec(&self.0.write("projetos.delete")).await.map_err(|error| {
            let in_use = Error::Conflict(Conflict::ProjetoComAtividades);
            db_error::on_constraint(&error, atividade_repository::FOREIGN_KEY, in_use)
        })?;
        if 0 < deleted.rows_affected {
            return Ok(true);
        }
        match self.find(id).await? {
            Some(Projeto { azure_project_id: Some(_), .. }) => Err(Error::Conflict(Conflict::ProjetoDoAzure)),
            Some(_) if expected.is_some() => Err(Error::VersionMismatch),
            _ => Ok(false),
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
        let row = unavailable(replace_all(&self.0, remote, gone, since).await)?;
        row.ok_or_else(|| Error::internal("a SELECT without FROM returned no row"))?.summary(synced)
    }

    async fn store_remote(&self, remote: RemoteProjeto, now: OffsetDateTime) -> Result<Projeto, Error> {
        let key = ProjetoId(remote.id.get());
        let RemoteRow { id, nome, descricao, url, estado } = RemoteRow::from(remote);
        let stored = Model::find_by_statement(raw_sql!(
            Postgres,
            r#"INSERT INTO projetos AS p
               (id, azure_project_id, nome, descricao, url, estado, sincronizado_em, criado_em, atualizado_em)
           VALUES ({id}, {id}::text, {nome}, {descricao}, {url}, {estado}, {now}, {now}, {now})
           ON CONFLICT (id) DO UPDATE
           SET azure_project_id = EXCLUDED.azure_project_id, nome = EXCLUDED.nome, descricao = EXCLUDED.descricao,
               url = EXCLUDED.url, estado = EXCLUDED.estado, sincronizado_em = EXCLUDED.sincronizado_em,
               atualizado_em = GREATEST(EXCLUDED.atualizado_em, p.atualizado_em + interval '1 microsecond')
           WHERE (p.azure_project_id, p.nome, p.descricao, p.url, p.estado) IS DISTINCT FROM
                 (EXCLUDED.azure_project_id, EXCLUDED.nome, EXCLUDED.descricao, EXCLUDED.url, EXCLUDED.estado)
           RETURNING p.id, p.nome, p.descricao, p.azure_project_id, p.url, p.estado, p.sincronizado_em, p.criado_em,
                     p.atualizado_em"#
        ));
        if let Some(row) = unavailable(stored.one(&self.0.write("projetos.store_remote")).await)? {
            return row.try_into();
        }
        let found = self.find(key).await?;
        found.ok_or_else(|| Error::internal("a projeto of Azure DevOps was deleted, which nothing here does"))
    }
}

async fn insert(connection: &impl ConnectionTrait, record: ProjetoRecord) -> Result<Model, DbErr> {
    let ProjetoRecord { id, nome, descricao, criado_em } = record;
    let row = ActiveModel {
        id: Set(id.0),
        nome: Set(nome.into_string()),
        descricao: Set(descricao.map(Descricao::into_string)),
        criado_em: Set(criado_em),
        atualizado_em: Set(criado_em),
        ..Default::default()
    };
    row.insert(connection).await
}

/// The same for a request that counts once, unless its key is refused.
async fn insert_once(
    database: &PostgresDatabase,
    operation: &'static str,
    record: ProjetoRecord,
    once: &Idempotency,
) -> Result<Result<Model, Error>, DbErr> {
    let transaction = database.begin(operation, 5).await?;
    let row = match idempotency::reserve(&transaction, once, record.criado_em).await? {
        Reservation::Acquired => insert(&transaction, record).await?,
        Reservation::Replay(row) => return transaction.rollback().await.map(|()| Ok(row)),
        Reservation::Refused(error) => return transaction.rollback().await.map(|()| Err(error)),
    };
    idempotency::keep(&transaction, once, &row).await?;
    transaction.commit().await?;
    Ok(Ok(row))
}

/// The transaction of `synchronize`. The lock comes first and by itself, because a statement sees the world as it was
/// when it began: a call that waited here then sees what the one before has done.
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

fn unavailable<T>(result: Result<T, DbErr>) -> Result<T, Error> {
    result.map_err(|error| db_error::into_domain(&error))
}

/// A page as its rows come.
#[derive(Default)]
struct Page {
    rows: BatchBuilder<Projeto>,
    /// What is wrong with the first row that is no projeto.
    broken: Option<Error>,
}

impl Page {
    fn push(&mut self, row: PgRow) {
        let row = Model::from_query_result(&row.into(), "").map_err(|error| db_error::into_domain(&error));
        match row.and_then(Projeto::try_from) {
            Ok(item) => self.rows.push(item),
            Err(error) => self.broken = self.broken.take().or(Some(error)),
        }
    }
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

impl TryFrom<Model> for Projeto {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self, Error> {
        let Model { id, nome, descricao, azure_project_id, url, estado, sincronizado_em, criado_em, atualizado_em } =
            row;
        let azure_project_id = azure_project_id.map(|id| AzureProjectId::parse(&id)).transpose();
        Ok(Self {
            id: ProjetoId(id),
            nome: NomeProjeto::from_stored(nome).map_err(Error::internal)?,
            descricao: descricao.map(Descricao::from_stored).transpose().map_err(Error::internal)?,
            azure_project_id: azure_project_id.map_err(Error::internal)?,
            url,
            estado,
            sincronizado_em,
            criado_em,
            atualizado_em,
        })
    }
}
