//! Projetos in PostgreSQL.

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
use time::OffsetDateTime;

use crate::entity::projeto::{ActiveModel, Column, Entity, Model};
use crate::idempotency::{self, Reservation};
use crate::projeto_sync::{self, RemoteRow};
use crate::{PostgresDatabase, apontamento_repository, atividade_row, db_error};

/// [`ProjetoRepository`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresProjetoRepository(PostgresDatabase);

impl PostgresProjetoRepository {
    /// Creates the repository of `database`.
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
        let page = self.0.read("projetos.list").on_replica().fold(&statement, Page::default, Page::push).await;
        let (page, _) = unavailable(page)?;
        page.error.map_or_else(|| Ok(page.rows.finish(ordem)), Err)
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
            let meanings = [
                (atividade_row::FOREIGN_KEY, Conflict::ProjetoComAtividades),
                (atividade_row::LINK_FOREIGN_KEY, Conflict::ProjetoComAtividades),
                (apontamento_repository::PROJETO_KEY, Conflict::ProjetoComApontamentos),
            ];
            db_error::on_constraints(&error, meanings)
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
        projeto_sync::synchronize(&self.0, remote, gone, since).await
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

/// Inserts `record` once for the idempotency key `once`.
async fn insert_once(
    database: &PostgresDatabase,
    operation: &'static str,
    record: ProjetoRecord,
    once: &Idempotency,
) -> Result<Result<Model, Error>, DbErr> {
    let transaction = match idempotency::reserve(database, operation, once, record.criado_em).await? {
        Reservation::Acquired(transaction) => *transaction,
        Reservation::Ended(result) => return Ok(result),
    };
    let row = insert(&transaction, record).await?;
    idempotency::commit(transaction, once, &row).await?;
    Ok(Ok(row))
}

fn unavailable<T>(result: Result<T, DbErr>) -> Result<T, Error> {
    result.map_err(|error| db_error::into_domain(&error))
}

/// The rows of a page that fit into a batch.
#[derive(Default)]
struct Page {
    rows: BatchBuilder<Projeto>,
    error: Option<Error>,
}

impl Page {
    fn push(&mut self, row: PgRow) {
        let row = Model::from_query_result(&row.into(), "").map_err(|error| db_error::into_domain(&error));
        match row.and_then(Projeto::try_from) {
            Ok(item) => self.rows.push(item),
            Err(error) => {
                self.error.get_or_insert(error);
            }
        }
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
