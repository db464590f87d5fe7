//! Projetos in SQLite.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::{
    AzureProjectId, Batch, BatchBuilder, Conflict, Descricao, Error, Idempotency, NomeProjeto, Projeto, ProjetoId,
    ProjetoPatch, ProjetoQuery, ProjetoRecord, ProjetoRepository, RemoteProjeto, SyncSummary, search_key,
};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, raw_sql};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;

use crate::idempotency::{self, Beginning};
use crate::value::{id_text, instant, microseconds, parse_id};
use crate::{SqliteDatabase, db_error};

/// [`ProjetoRepository`] on SQLite.
#[derive(Debug, Clone)]
pub struct SqliteProjetoRepository(SqliteDatabase);

impl SqliteProjetoRepository {
    /// The projetos of `database`.
    #[must_use]
    pub fn new(database: &SqliteDatabase) -> Self {
        Self(database.clone())
    }

    async fn store(
        &self,
        record: ProjetoRecord,
        once: Option<&Idempotency>,
    ) -> Result<Result<Option<ProjetoRow>, Error>, DbErr> {
        let ProjetoRecord { id, nome, descricao, criado_em } = record;
        let transaction = match idempotency::begin(&self.0, once, criado_em).await? {
            Beginning::New(transaction) => transaction,
            Beginning::Known(row) => return Ok(Ok(Some(row))),
            Beginning::Refused(error) => return Ok(Err(error)),
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
        idempotency::end(transaction, once, criado_em, &row).await?;
        Ok(Ok(row))
    }

    /// Takes over `remote`, marks `gone`, both JSON arrays, and answers how many were updated, created and removed.
    async fn replace_all(&self, remote: String, gone: String, since: i64) -> Result<[u64; 3], DbErr> {
        let deleted = RemoteProjeto::DELETED;
        let transaction = self.0.begin().await?;
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
                WHERE projetos.id = r.id AND (sincronizado_em IS NULL OR sincronizado_em <= {since})
                  AND (azure_project_id IS NOT r.id OR projetos.nome IS NOT r.nome
                       OR projetos.descricao IS NOT r.descricao OR projetos.url IS NOT r.url
                       OR projetos.estado IS NOT r.estado)
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
                SET estado = {deleted}, sincronizado_em = {since}, atualizado_em = max({since}, atualizado_em + 1)
                WHERE id IN (SELECT value FROM json_each({gone}))
                  AND azure_project_id IS NOT NULL AND estado IS NOT {deleted}
                  AND (sincronizado_em IS NULL OR sincronizado_em <= {since})
                  AND id NOT IN (SELECT value ->> 'id' FROM json_each({remote}))
                "#
            ))
            .await?;
        transaction.commit().await?;
        Ok([updated, created, removed].map(|done| done.rows_affected()))
    }
}

#[async_trait]
impl ProjetoRepository for SqliteProjetoRepository {
    async fn insert(&self, record: ProjetoRecord, once: Option<Idempotency>) -> Result<Projeto, Error> {
        let stored = self.store(record, once.as_ref()).await;
        let row = stored.map_err(db_error::from)??;
        row.ok_or_else(|| Error::internal("an INSERT returned no row"))?.try_into()
    }

    async fn find(&self, id: ProjetoId) -> Result<Option<Projeto>, Error> {
        let id = id_text(id.0);
        let rows: Vec<ProjetoRow> = self
            .0
            .rows(raw_sql!(
                Sqlite,
                r#"
                SELECT id, nome, descricao, azure_project_id, url, estado, sincronizado_em, criado_em, atualizado_em
                FROM projetos WHERE id = {id}
                "#
            ))
            .await?;
        rows.into_iter().next().map(Projeto::try_from).transpose()
    }

    /// The names are put in order here: SQLite knows no Unicode.
    async fn list(&self, query: ProjetoQuery) -> Result<Batch<Projeto>, Error> {
        let key = |nome: String, id: String| (search_key(&nome), nome, id);
        let ProjetoQuery { filtro: (), ordem, apos, ate, skip, limit } = query;
        let [apos, ate] = [apos, ate].map(|cursor| cursor.map(|at| key(at.key.into_string(), id_text(at.id))));
        let all: Vec<NomeRow> = self.0.rows(raw_sql!(Sqlite, "SELECT id, nome FROM projetos")).await?;
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
        self.0.each(rows, |row: ProjetoRow| row.try_into().map(|row| page.push(row))).await?;
        Ok(page.finish(ordem))
    }

    async fn update(&self, id: ProjetoId, patch: ProjetoPatch, now: OffsetDateTime) -> Result<Option<Projeto>, Error> {
        let ProjetoPatch { nome, descricao, expected } = patch;
        let version = expected.map(microseconds);
        let (key, nome, now) = (id_text(id.0), nome.map(NomeProjeto::into_string), microseconds(now));
        let keep_descricao = descricao.is_absent();
        let descricao = descricao.into_value().map(Descricao::into_string);
        // What the patch leaves out is NULL; comparing with it gives NULL, which does not make a difference.
        let changed: Option<ProjetoRow> = self
            .0
            .row(raw_sql!(
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
            .map_err(db_error::from)?;
        if let Some(row) = changed {
            return row.try_into().map(Some);
        }
        // Nothing differs, or it is Azure's, or somebody else was faster, or there is none.
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
            .run(raw_sql!(
                Sqlite,
                r#"
                DELETE FROM projetos
                WHERE id = {key} AND azure_project_id IS NULL AND ({version} IS NULL OR atualizado_em = {version})
                "#
            ))
            .await;
        let in_use = Error::Conflict(Conflict::ProjetoComAtividades);
        if deleted.map_err(|error| db_error::on_foreign_key(error, in_use))?.rows_affected() != 0 {
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
        gone: Vec<AzureProjectId>,
        since: OffsetDateTime,
    ) -> Result<SyncSummary, Error> {
        // Of an id that comes twice the map keeps the last.
        let remote: BTreeMap<_, _> = remote.into_iter().map(|projeto| (projeto.id, projeto)).collect();
        let synced = u64::try_from(remote.len()).map_err(Error::internal)?;
        let remote: Vec<_> = remote.into_values().map(to_json).collect();
        let remote = serde_json::Value::from(remote).to_string();
        let gone: Vec<_> = gone.into_iter().map(|id| id_text(id.get())).collect();
        let gone = serde_json::Value::from(gone).to_string();
        let done = self.replace_all(remote, gone, microseconds(since)).await.map_err(db_error::from)?;
        let [updated, created, removed] = done;
        Ok(SyncSummary { synced, created, updated, removed })
    }

    async fn store_remote(&self, remote: RemoteProjeto, since: OffsetDateTime) -> Result<Projeto, Error> {
        let key = ProjetoId(remote.id.get());
        let RemoteProjeto { id, nome, descricao, url, estado } = remote;
        let (id, nome, now) = (id_text(id.get()), nome.into_string(), microseconds(since));
        let descricao = descricao.map(Descricao::into_string);
        let written: Option<ProjetoRow> = self
            .0
            .row(raw_sql!(
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
            .map_err(db_error::from)?;
        if let Some(row) = written {
            return row.try_into();
        }
        let found = self.find(key).await?;
        found.ok_or_else(|| Error::internal("a projeto of Azure DevOps was deleted, which nothing here does"))
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

/// A projeto as it is read, and as it is kept with the key of a request that made it.
#[derive(FromQueryResult, Serialize, Deserialize)]
struct ProjetoRow {
    id: String,
    nome: String,
    descricao: Option<String>,
    azure_project_id: Option<String>,
    url: Option<String>,
    estado: Option<String>,
    sincronizado_em: Option<i64>,
    criado_em: i64,
    atualizado_em: i64,
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
            id: ProjetoId(parse_id(&id)?),
            nome: NomeProjeto::from_stored(nome).map_err(Error::internal)?,
            descricao: descricao.map(Descricao::from_stored).transpose().map_err(Error::internal)?,
            azure_project_id: azure_project_id.map_err(Error::internal)?,
            url,
            estado,
            sincronizado_em: sincronizado_em.map(instant).transpose()?,
            criado_em: instant(criado_em)?,
            atualizado_em: instant(atualizado_em)?,
        })
    }
}
