//! Atividades in PostgreSQL: one statement for each method, or for several that [insert](Insertions), and a second one
//! only to tell what an update that wrote nothing has found.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    Atividade, AtividadeId, AtividadePatch, AtividadeQuery, AtividadeRecord, AtividadeRepository, Descricao, Error,
    Idempotency, NomeAtividade, NomeProjeto, Pagina, ProjetoId, Violation,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::database::FromRow;
use crate::db_error::DbError;
use crate::insertions::Insertions;
use crate::{PostgresDatabase, bulk, db_error, listing};

const FIND: &str = "
    SELECT a.id, a.nome, a.descricao, a.ativo, a.id_projeto, a.criado_por, a.criado_em, a.atualizado_em, p.nome
    FROM atividades a JOIN projetos p ON p.id = a.id_projeto
    WHERE a.id = $1";

/// What the patch leaves out is NULL in `novo`; comparing with it gives NULL, which does not make a difference.
const UPDATE: &str = "
    WITH changed AS (
        UPDATE atividades a
        SET nome = COALESCE(novo.nome, a.nome),
            descricao = CASE WHEN novo.keep_descricao THEN a.descricao ELSE novo.descricao END,
            ativo = COALESCE(novo.ativo, a.ativo),
            id_projeto = COALESCE(novo.id_projeto, a.id_projeto),
            atualizado_em = GREATEST(novo.atualizado_em, a.atualizado_em + interval '1 microsecond')
        FROM (
            SELECT $2::varchar AS nome, $3::text AS descricao, $4::boolean AS keep_descricao, $5::boolean AS ativo,
                   $6::uuid AS id_projeto, $7::timestamptz AS atualizado_em
        ) novo
        WHERE a.id = $1 AND ($8::timestamptz IS NULL OR a.atualizado_em = $8)
          AND (a.nome <> novo.nome
               OR (NOT novo.keep_descricao AND a.descricao IS DISTINCT FROM novo.descricao)
               OR a.ativo <> novo.ativo
               OR a.id_projeto <> novo.id_projeto)
        RETURNING a.*
    )
    SELECT a.id, a.nome, a.descricao, a.ativo, a.id_projeto, a.criado_por, a.criado_em, a.atualizado_em, p.nome
    FROM changed a JOIN projetos p ON p.id = a.id_projeto";

const DELETE: &str = "
    DELETE FROM atividades WHERE id = $1 AND ($2::timestamptz IS NULL OR atualizado_em = $2) RETURNING id";

/// [`AtividadeRepository`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresAtividadeRepository {
    database: PostgresDatabase,
    insertions: Arc<Insertions>,
}

impl PostgresAtividadeRepository {
    /// The atividades of `database`.
    #[must_use]
    pub fn new(database: &PostgresDatabase) -> Self {
        Self { database: database.clone(), insertions: Insertions::new(database) }
    }
}

#[async_trait]
impl AtividadeRepository for PostgresAtividadeRepository {
    async fn insert(&self, record: AtividadeRecord) -> Result<Atividade, Error> {
        let row = self.insertions.insert(record).await.map_err(unknown_projeto)?;
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
        let rows: Vec<AtividadeRow> = self.database.read("atividades.find", FIND, &[&id.0]).await?;
        rows.into_iter().next().map(Atividade::try_from).transpose()
    }

    async fn list(&self, query: AtividadeQuery) -> Result<Pagina<Atividade>, Error> {
        let ordem = query.ordem;
        let mut rows = self.read("atividades.list", &listing::page_and_total(query)).await?;
        let counted = rows.iter().position(|row| matches!(row.try_get::<_, Option<Uuid>>(0), Ok(None)));
        let counted =
            counted.map(|place| rows.remove(place)).ok_or_else(|| Error::internal("a page without its total"))?;
        let total: i64 = counted.try_get(9).map_err(unreadable)?;
        let items = listing::in_order(atividades(rows)?, ordem);
        Ok(Pagina { items, total: u64::try_from(total).map_err(Error::internal)? })
    }

    async fn rows(&self, query: AtividadeQuery) -> Result<Vec<Atividade>, Error> {
        let ordem = query.ordem;
        let rows = self.read("atividades.rows", &listing::page(query)).await?;
        Ok(listing::in_order(atividades(rows)?, ordem))
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
        let changed = self
            .database
            .write::<AtividadeRow>(
                "atividades.update",
                UPDATE,
                &[&id.0, &nome, &descricao, &keep_descricao, &ativo, &projeto, &now, &expected],
            )
            .await
            .map_err(unknown_projeto)?;
        match changed.into_iter().next() {
            Some(row) => row.try_into().map(Some),
            // Nothing differs, or somebody else was faster, or there is none. Or its projeto is so new that the statement
            // could refer to it and not yet read its name.
            None => match self.find(id).await? {
                Some(found) if expected.is_some_and(|expected| expected != found.atualizado_em) => Err(Error::Changed),
                found => Ok(found),
            },
        }
    }

    async fn delete(&self, id: AtividadeId, expected: Option<OffsetDateTime>) -> Result<bool, Error> {
        let deleted = self.database.write::<IdRow>("atividades.delete", DELETE, &[&id.0, &expected]).await;
        let is_deleted = !deleted.map_err(db_error::from)?.is_empty();
        if !is_deleted && expected.is_some() && self.find(id).await?.is_some() {
            return Err(Error::Changed);
        }
        Ok(is_deleted)
    }
}

impl PostgresAtividadeRepository {
    async fn read(&self, operation: &'static str, statement: &listing::Statement) -> Result<Vec<Row>, Error> {
        let (sql, values) = (&statement.sql, statement.values());
        if statement.is_slow {
            self.database.search(operation, sql, &values).await
        } else {
            self.database.read(operation, sql, &values).await
        }
    }
}

/// The atividades in `rows`.
fn atividades(rows: Vec<Row>) -> Result<Vec<Atividade>, Error> {
    rows.into_iter().map(|row| AtividadeRow::from_row(row).map_err(unreadable)?.try_into()).collect()
}

fn unreadable(error: tokio_postgres::Error) -> Error {
    db_error::from(error.into())
}

/// The projeto was there when the statement began, or nobody had looked, and at its end it is not.
fn unknown_projeto(error: DbError) -> Error {
    let unknown = Error::invalid("id_projeto", Violation::UnknownProjeto);
    db_error::on(error, "atividades_id_projeto_fkey", unknown)
}

/// An atividade as it is read, and as it is kept with the key of a request that made it. All statements answer its
/// columns in this order, and first: looking each up by its name for each row would take longer than reading it.
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

impl FromRow for AtividadeRow {
    fn from_row(row: Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            id: row.try_get(0)?,
            nome: row.try_get(1)?,
            descricao: row.try_get(2)?,
            ativo: row.try_get(3)?,
            id_projeto: row.try_get(4)?,
            criado_por: row.try_get(5)?,
            criado_em: row.try_get(6)?,
            atualizado_em: row.try_get(7)?,
            nome_projeto: row.try_get(8)?,
        })
    }
}

/// An id alone.
pub(crate) struct IdRow(pub(crate) Uuid);

impl FromRow for IdRow {
    fn from_row(row: Row) -> Result<Self, tokio_postgres::Error> {
        row.try_get(0).map(Self)
    }
}

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
