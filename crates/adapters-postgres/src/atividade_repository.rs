//! Atividades in PostgreSQL: one statement for each method, and a second one only to tell what an update that wrote
//! nothing has found.

use async_trait::async_trait;
use domain::{
    Atividade, AtividadeId, AtividadePatch, AtividadeQuery, AtividadeRecord, AtividadeRepository, Descricao, Error,
    Idempotency, NomeAtividade, NomeProjeto, Pagina, ProjetoId, Violation,
};
use sea_orm::sqlx::postgres::{PgRow, Postgres};
use sea_orm::sqlx::{Decode, Row};
use sea_orm::{DbErr, FromQueryResult, QueryResult, RuntimeErr, raw_sql};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{PostgresDatabase, bulk, db_error, listing};

/// [`AtividadeRepository`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresAtividadeRepository(PostgresDatabase);

impl PostgresAtividadeRepository {
    /// The atividades of `database`.
    #[must_use]
    pub fn new(database: &PostgresDatabase) -> Self {
        Self(database.clone())
    }
}

#[async_trait]
impl AtividadeRepository for PostgresAtividadeRepository {
    async fn insert(&self, record: AtividadeRecord) -> Result<Atividade, Error> {
        let AtividadeRecord { id, nome, descricao, ativo, projeto, criado_por, criado_em } = record;
        let (id, nome, projeto) = (id.0, nome.into_string(), projeto.0);
        let descricao = descricao.map(Descricao::into_string);
        let row: Option<AtividadeRow> = self
            .0
            .write(
                "atividades.insert",
                raw_sql!(
                    Postgres,
                    r#"
                INSERT INTO atividades (id, nome, descricao, ativo, id_projeto, criado_por, criado_em, atualizado_em)
                SELECT {id}, {nome}, {descricao}, {ativo}, p.id, {criado_por}, {criado_em}, {criado_em}
                FROM projetos p WHERE p.id = {projeto}
                RETURNING id, nome, descricao, ativo, id_projeto, criado_por, criado_em, atualizado_em,
                          (SELECT p.nome FROM projetos p WHERE p.id = id_projeto) AS nome_projeto
                "#
                ),
            )
            .await
            .map_err(unknown_projeto)?;
        row.ok_or_else(|| Error::invalid("id_projeto", Violation::UnknownProjeto))?.try_into()
    }

    async fn insert_all(
        &self,
        records: Vec<AtividadeRecord>,
        once: Option<Idempotency>,
    ) -> Result<Vec<Atividade>, Error> {
        let rows = bulk::insert(&self.0, &records, once.as_ref()).await?;
        rows.into_iter().map(Atividade::try_from).collect()
    }

    async fn find(&self, id: AtividadeId) -> Result<Option<Atividade>, Error> {
        let id = id.0;
        let rows: Vec<AtividadeRow> = self
            .0
            .read(
                "atividades.find",
                raw_sql!(
                    Postgres,
                    r#"
                SELECT a.id, a.nome, a.descricao, a.ativo, a.id_projeto, a.criado_por, a.criado_em, a.atualizado_em,
                       p.nome AS nome_projeto
                FROM atividades a JOIN projetos p ON p.id = a.id_projeto
                WHERE a.id = {id}
                "#
                ),
            )
            .await?;
        rows.into_iter().next().map(Atividade::try_from).transpose()
    }

    async fn list(&self, query: AtividadeQuery) -> Result<Pagina<Atividade>, Error> {
        let rows: Vec<ListRow> = self.0.read("atividades.list", listing::page_and_total(query)).await?;
        let total = rows.first().map_or(0, |row| row.total);
        let items = rows.into_iter().filter_map(|row| row.atividade).map(Atividade::try_from);
        Ok(Pagina { items: items.collect::<Result<_, _>>()?, total: u64::try_from(total).map_err(Error::internal)? })
    }

    async fn rows(&self, query: AtividadeQuery) -> Result<Vec<Atividade>, Error> {
        let rows: Vec<AtividadeRow> = self.0.read("atividades.rows", listing::page(query)).await?;
        rows.into_iter().map(Atividade::try_from).collect()
    }

    async fn update(
        &self,
        id: AtividadeId,
        patch: AtividadePatch,
        now: OffsetDateTime,
    ) -> Result<Option<Atividade>, Error> {
        let AtividadePatch { nome, descricao, ativo, projeto, expected } = patch;
        let (key, nome, projeto) = (id.0, nome.map(NomeAtividade::into_string), projeto.map(|projeto| projeto.0));
        let keep_descricao = descricao.is_absent();
        let descricao = descricao.into_value().map(Descricao::into_string);
        // What the patch leaves out is NULL in `novo`; comparing with it gives NULL, which does not make a difference.
        let changed: Option<AtividadeRow> = self
            .0
            .write(
                "atividades.update",
                raw_sql!(
                    Postgres,
                    r#"
                WITH changed AS (
                    UPDATE atividades a
                    SET nome = COALESCE(novo.nome, a.nome),
                        descricao = CASE WHEN novo.keep_descricao THEN a.descricao ELSE novo.descricao END,
                        ativo = COALESCE(novo.ativo, a.ativo),
                        id_projeto = COALESCE(novo.id_projeto, a.id_projeto),
                        atualizado_em = GREATEST(novo.atualizado_em, a.atualizado_em + interval '1 microsecond')
                    FROM (
                        SELECT {nome} AS nome, {descricao} AS descricao, {keep_descricao} AS keep_descricao,
                               {ativo} AS ativo, {projeto} AS id_projeto, {now} AS atualizado_em
                    ) novo
                    WHERE a.id = {key} AND ({expected} IS NULL OR a.atualizado_em = {expected})
                      AND (a.nome <> novo.nome
                           OR (NOT novo.keep_descricao AND a.descricao IS DISTINCT FROM novo.descricao)
                           OR a.ativo <> novo.ativo
                           OR a.id_projeto <> novo.id_projeto)
                    RETURNING a.*
                )
                SELECT a.id, a.nome, a.descricao, a.ativo, a.id_projeto, a.criado_por, a.criado_em, a.atualizado_em,
                       p.nome AS nome_projeto
                FROM changed a JOIN projetos p ON p.id = a.id_projeto
                "#
                ),
            )
            .await
            .map_err(unknown_projeto)?;
        match changed {
            Some(row) => row.try_into().map(Some),
            // Nothing differs, or somebody else was faster, or there is none. Or its projeto is so new that the statement could refer to it and not
            // yet read its name.
            None => match self.find(id).await? {
                Some(found) if expected.is_some_and(|expected| expected != found.atualizado_em) => Err(Error::Changed),
                found => Ok(found),
            },
        }
    }

    async fn delete(&self, id: AtividadeId, expected: Option<OffsetDateTime>) -> Result<bool, Error> {
        let key = id.0;
        let deleted: Option<DeletedRow> = self
            .0
            .write(
                "atividades.delete",
                raw_sql!(
                    Postgres,
                    r#"
                DELETE FROM atividades
                WHERE id = {key} AND ({expected} IS NULL OR atualizado_em = {expected}) RETURNING id
                "#
                ),
            )
            .await
            .map_err(db_error::from)?;
        if deleted.is_none() && expected.is_some() && self.find(id).await?.is_some() {
            return Err(Error::Changed);
        }
        Ok(deleted.is_some())
    }
}

/// The projeto was there when the statement began, or nobody had looked, and at its end it is not.
fn unknown_projeto(error: DbErr) -> Error {
    let unknown = Error::invalid("id_projeto", Violation::UnknownProjeto);
    db_error::on(error, "atividades_id_projeto_fkey", unknown)
}

/// An atividade as it is read, and as it is kept with the key of a request that made it. All statements answer its
/// columns in this order, and first: looking each up by its name for each row takes longer than reading it, and so does
/// asking of each whether its type is that of the table, which the tests show once.
#[derive(Serialize, Deserialize)]
pub(crate) struct AtividadeRow {
    pub(crate) id: Uuid,
    nome: String,
    descricao: Option<String>,
    ativo: bool,
    id_projeto: Uuid,
    criado_por: Option<String>,
    criado_em: OffsetDateTime,
    atualizado_em: OffsetDateTime,
    nome_projeto: String,
}

impl FromQueryResult for AtividadeRow {
    fn from_query_result(row: &QueryResult, _prefix: &str) -> Result<Self, DbErr> {
        let row = postgres(row)?;
        Ok(Self {
            id: column(row, 0)?,
            nome: column(row, 1)?,
            descricao: column(row, 2)?,
            ativo: column(row, 3)?,
            id_projeto: column(row, 4)?,
            criado_por: column(row, 5)?,
            criado_em: column(row, 6)?,
            atualizado_em: column(row, 7)?,
            nome_projeto: column(row, 8)?,
        })
    }
}

/// A row of a page, with the number of all matches. An empty page has one row without an atividade.
struct ListRow {
    total: i64,
    atividade: Option<AtividadeRow>,
}

impl FromQueryResult for ListRow {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, DbErr> {
        let is_empty = column::<Option<Uuid>>(postgres(row)?, 0)?.is_none();
        let atividade = if is_empty { None } else { Some(AtividadeRow::from_query_result(row, prefix)?) };
        Ok(Self { total: column(postgres(row)?, 9)?, atividade })
    }
}

fn postgres(row: &QueryResult) -> Result<&PgRow, DbErr> {
    row.try_as_pg_row().ok_or_else(|| DbErr::Type("a row of another database".to_owned()))
}

fn column<'r, T: Decode<'r, Postgres>>(row: &'r PgRow, index: usize) -> Result<T, DbErr> {
    row.try_get_unchecked(index).map_err(|error| DbErr::Query(RuntimeErr::SqlxError(error.into())))
}

#[derive(FromQueryResult)]
struct DeletedRow {}

impl TryFrom<AtividadeRow> for Atividade {
    type Error = Error;

    fn try_from(row: AtividadeRow) -> Result<Self, Error> {
        let AtividadeRow { id, nome, descricao, ativo, id_projeto, nome_projeto, criado_por, criado_em, atualizado_em } =
            row;
        Ok(Self {
            id: AtividadeId(id),
            nome: NomeAtividade::parse(nome).map_err(Error::internal)?,
            descricao: descricao.map(Descricao::parse).transpose().map_err(Error::internal)?,
            ativo,
            id_projeto: ProjetoId(id_projeto),
            nome_projeto: NomeProjeto::parse(nome_projeto).map_err(Error::internal)?,
            criado_por,
            criado_em,
            atualizado_em,
        })
    }
}
