//! Atividades in PostgreSQL: one statement for each method, or one for several concurrent [inserts](Insert) and
//! [reads by id](Find). An update or a delete that changed no row needs a second one to find out why.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    Atividade, AtividadeCampo, AtividadeId, AtividadePatch, AtividadeQuery, AtividadeRecord, AtividadeRepository,
    Batch, BatchBuilder, Descricao, Error, Idempotency, NomeAtividade, NomeProjeto, Ordem, ProjetoId, Violation,
};
use sea_orm::sea_query::extension::postgres::PgFunc;
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::{
    ColumnTrait as _, DbErr, EntityTrait as _, FromQueryResult, QueryFilter as _, QueryResult, QuerySelect as _,
    Select, Statement, raw_sql,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::coalescer::{self, Coalescer};
use crate::entity::atividade::{Column, Entity};
use crate::entity::projeto;
use crate::listing::{self, Form};
use crate::operation::{Operation, traced};
use crate::{PostgresDatabase, bulk, db_error};

/// The constraint that a projeto exists while atividades belong to it.
pub(crate) const FOREIGN_KEY: &str = "atividades_id_projeto_fkey";

const FIND: &str = "atividades.find";
const INSERT: &str = "atividades.insert";

/// [`AtividadeRepository`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresAtividadeRepository {
    database: PostgresDatabase,
    inserts: Arc<Coalescer<Insert>>,
    reads: Arc<Coalescer<Find>>,
}

impl PostgresAtividadeRepository {
    /// The atividades of `database`.
    #[must_use]
    pub fn new(database: &PostgresDatabase) -> Self {
        let (limits, runtime) = (database.coalescing_limits(), &database.runtime);
        Self {
            database: database.clone(),
            inserts: Coalescer::new(Insert(database.clone()), limits, runtime.clone()),
            reads: Coalescer::new(Find(database.clone()), limits, runtime.clone()),
        }
    }

    /// Reads a page, and once more if its texts turn out to be too large to be held at once.
    async fn read_page(
        &self,
        name: &'static str,
        query: &AtividadeQuery,
        statement: impl Fn(&AtividadeQuery, Form) -> Statement,
    ) -> Result<Page, Error> {
        let quick = statement(query, Form::Quick);
        let (quick, _) =
            unavailable(self.listing(name, query).fold(&quick, QuickPage::default, QuickPage::push).await)?;
        if let Some(page) = quick.into_page(query.ordem) {
            return Ok(page);
        }
        let bounded = statement(query, Form::Bounded);
        unavailable(self.listing(name, query).fold(&bounded, Page::default, Page::push).await).map(|(page, _)| page)
    }

    /// Lists may take long, and then they may use a share of the connections only.
    fn listing(&self, name: &'static str, query: &AtividadeQuery) -> Operation<'_> {
        if query.is_search() { self.database.search(name) } else { self.database.read(name) }
    }
}

#[async_trait]
impl AtividadeRepository for PostgresAtividadeRepository {
    async fn insert(&self, record: AtividadeRecord) -> Result<Atividade, Error> {
        let row = traced(INSERT, self.inserts.call(record)).await.map_err(|error| unknown_projeto(&error))?;
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
        let row = traced(FIND, self.reads.call(id)).await.map_err(|error| db_error::into_domain(&error))?;
        row.map(Atividade::try_from).transpose()
    }

    async fn list(&self, query: AtividadeQuery) -> Result<domain::Page<Atividade>, Error> {
        let page = self.read_page("atividades.list", &query, listing::page_and_total).await?;
        let total = page.total.ok_or_else(|| Error::internal("a page without a total"))?;
        let Batch { items, last } = page.finish(query.ordem)?;
        Ok(domain::Page { items, total: u64::try_from(total).map_err(Error::internal)?, last })
    }

    async fn list_items(&self, query: AtividadeQuery) -> Result<Batch<Atividade>, Error> {
        self.read_page("atividades.rows", &query, listing::page).await?.finish(query.ordem)
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
        let key = id.0;
        // An absent field is NULL in `novo`; a comparison with it is NULL, which is no difference.
        let changed = AtividadeRow::find_by_statement(raw_sql!(
            Postgres,
            r#"WITH changed AS (
                   UPDATE atividades a
                   SET nome = COALESCE(novo.nome, a.nome),
                       descricao = CASE WHEN novo.keep_descricao THEN a.descricao ELSE novo.descricao END,
                       ativo = COALESCE(novo.ativo, a.ativo),
                       id_projeto = COALESCE(novo.id_projeto, a.id_projeto),
                       atualizado_em = GREATEST(novo.atualizado_em, a.atualizado_em + interval '1 microsecond')
                   FROM (
                       SELECT {nome}::varchar AS nome, {descricao}::text AS descricao,
                              {keep_descricao}::boolean AS keep_descricao, {ativo}::boolean AS ativo,
                              {projeto}::uuid AS id_projeto, {now}::timestamptz AS atualizado_em,
                              {expected}::timestamptz AS expected
                   ) novo
                   WHERE a.id = {key} AND (novo.expected IS NULL OR a.atualizado_em = novo.expected)
                     AND (a.nome <> novo.nome
                          OR (NOT novo.keep_descricao AND a.descricao IS DISTINCT FROM novo.descricao)
                          OR a.ativo <> novo.ativo
                          OR a.id_projeto <> novo.id_projeto)
                   RETURNING a.*
               )
               SELECT a.id, a.nome, a.descricao, a.ativo, a.id_projeto, a.criado_por, a.criado_em, a.atualizado_em,
                      p.nome AS nome_projeto
               FROM changed a JOIN projetos p ON p.id = a.id_projeto"#
        ));
        let changed = changed.one(&self.database.write("atividades.update")).await;
        match changed.map_err(|error| unknown_projeto(&error))? {
            Some(row) => row.try_into().map(Some),
            // No row was updated: unchanged values, `expected` mismatch, or no such id. Or the projeto is so new that the
            // statement could refer to it and not yet read its name.
            None => match self.find(id).await? {
                Some(found) if expected.is_some_and(|expected| expected != found.atualizado_em) => {
                    Err(Error::VersionMismatch)
                }
                found => Ok(found),
            },
        }
    }

    async fn delete(&self, id: AtividadeId, expected: Option<OffsetDateTime>) -> Result<bool, Error> {
        let mut delete = Entity::delete_many().filter(Column::Id.eq(id.0));
        if let Some(expected) = expected {
            delete = delete.filter(Column::AtualizadoEm.eq(expected));
        }
        let deleted = unavailable(delete.exec(&self.database.write("atividades.delete")).await)?;
        let is_deleted = 0 < deleted.rows_affected;
        if !is_deleted && expected.is_some() && self.find(id).await?.is_some() {
            return Err(Error::VersionMismatch);
        }
        Ok(is_deleted)
    }
}

/// Reads by id, each as it is at some moment after it was called.
struct Find(PostgresDatabase);

#[async_trait]
impl coalescer::Batch for Find {
    type Item = AtividadeId;
    type Output = Option<AtividadeRow>;

    async fn run(&self, ids: &[AtividadeId]) -> Result<Vec<Option<AtividadeRow>>, DbErr> {
        let operation = self.0.read(FIND).untraced();
        if let [id] = ids {
            return select().filter(Column::Id.eq(id.0)).into_model().one(&operation).await.map(|row| vec![row]);
        }
        let keys: Vec<_> = ids.iter().map(|id| id.0).collect();
        let found = select().filter(Expr::col((Entity, Column::Id)).eq(PgFunc::any(keys)));
        let found: Vec<AtividadeRow> = found.into_model().all(&operation).await?;
        let found: HashMap<_, _> = found.into_iter().map(|row| (row.id, row)).collect();
        Ok(ids.iter().map(|id| found.get(&id.0).cloned()).collect())
    }
}

/// Inserts. A record whose projeto does not exist is omitted.
struct Insert(PostgresDatabase);

#[async_trait]
impl coalescer::Batch for Insert {
    type Item = AtividadeRecord;
    type Output = Option<AtividadeRow>;

    async fn run(&self, records: &[AtividadeRecord]) -> Result<Vec<Option<AtividadeRow>>, DbErr> {
        let operation = self.0.write(INSERT).untraced();
        let statement = match records {
            [] => return Ok(Vec::new()),
            [AtividadeRecord { id, nome, descricao, ativo, projeto, criado_por, criado_em }] => {
                let (id, nome, projeto, criado_em) = (id.0, nome.as_str(), projeto.0, *criado_em);
                let (ativo, criado_por) = (*ativo, criado_por.as_str());
                let descricao = descricao.as_ref().map(Descricao::as_str);
                raw_sql!(
                    Postgres,
                    r#"INSERT INTO atividades
                           (id, nome, descricao, ativo, id_projeto, criado_por, criado_em, atualizado_em)
                       SELECT {id}, {nome}, {descricao}, {ativo}, p.id, {criado_por}, {criado_em}, {criado_em}
                       FROM projetos p WHERE p.id = {projeto}
                       RETURNING id, nome, descricao, ativo, id_projeto, criado_por, criado_em, atualizado_em,
                                 (SELECT p.nome FROM projetos p WHERE p.id = id_projeto) AS nome_projeto"#
                )
            }
            [first, ..] => {
                let now = first.criado_em;
                let records = bulk::to_json(records, now);
                raw_sql!(
                    Postgres,
                    r#"INSERT INTO atividades
                           (id, nome, descricao, ativo, id_projeto, criado_por, criado_em, atualizado_em)
                       SELECT n.id, n.nome, n.descricao, n.ativo, p.id, n.criado_por, n.em, n.em
                       FROM (
                           SELECT *, {now}::timestamptz + depois * interval '1 microsecond' AS em
                           FROM jsonb_to_recordset({records}::jsonb) AS r (
                               id uuid, nome text, descricao text, ativo boolean, id_projeto uuid, criado_por text,
                               depois bigint
                           )
                       ) n JOIN projetos p ON p.id = n.id_projeto
                       RETURNING id, nome, descricao, ativo, id_projeto, criado_por, criado_em, atualizado_em,
                                 (SELECT p.nome FROM projetos p WHERE p.id = id_projeto) AS nome_projeto"#
                )
            }
        };
        let rows = AtividadeRow::find_by_statement(statement).all(&operation).await?;
        let mut rows: HashMap<_, _> = rows.into_iter().map(|row| (row.id, row)).collect();
        Ok(records.iter().map(|record| rows.remove(&record.id.0)).collect())
    }
}

/// Atividades with the name of their projeto.
fn select() -> Select<Entity> {
    Entity::find().inner_join(projeto::Entity).column_as(projeto::Column::Nome, "nome_projeto")
}

/// A page as its rows come.
#[derive(Default)]
struct Page {
    rows: BatchBuilder<Atividade>,
    /// The number of all matches, which comes in a row of its own.
    total: Option<i64>,
    /// What is wrong with the first row that is no atividade.
    broken: Option<Error>,
}

impl Page {
    fn push(&mut self, row: PgRow) {
        match PageRow::read(&row.into()) {
            Ok(PageRow::Total(total)) => self.total = Some(total),
            Ok(PageRow::Item { row, fits }) => match row.try_into() {
                Ok(item) if fits => self.rows.push(item),
                Ok(item) => self.rows.cut_at(item),
                Err(error) => self.broken = self.broken.take().or(Some(error)),
            },
            Err(error) => self.broken = self.broken.take().or_else(|| Some(db_error::into_domain(&error))),
        }
    }

    fn finish(self, ordem: Ordem<AtividadeCampo>) -> Result<Batch<Atividade>, Error> {
        self.broken.map_or_else(|| Ok(self.rows.finish(ordem)), Err)
    }
}

/// A row of [`listing`].
enum PageRow {
    Total(i64),
    Item { row: AtividadeRow, fits: bool },
}

impl PageRow {
    /// Reads a row by the positions of its columns: to find each by its name takes longer than to read it.
    fn read(row: &QueryResult) -> Result<Self, DbErr> {
        let Some(id) = row.try_get_by_index::<Option<Uuid>>(0)? else {
            return Ok(Self::Total(row.try_get_by_index(11)?));
        };
        let fits = row.try_get_by_index(9)?;
        let row = AtividadeRow {
            id,
            nome: row.try_get_by_index(1)?,
            descricao: row.try_get_by_index(2)?,
            ativo: row.try_get_by_index(3)?,
            id_projeto: row.try_get_by_index(4)?,
            criado_por: row.try_get_by_index(5)?,
            criado_em: row.try_get_by_index(6)?,
            atualizado_em: row.try_get_by_index(7)?,
            nome_projeto: row.try_get_by_index(8)?,
        };
        Ok(Self::Item { row, fits })
    }
}

/// A page of [`Form::Quick`] as its rows come, in any order.
#[derive(Default)]
struct QuickPage {
    items: Vec<Atividade>,
    total: Option<i64>,
    broken: Option<Error>,
    is_cut: bool,
}

impl QuickPage {
    fn push(&mut self, row: PgRow) {
        match PageRow::read(&row.into()) {
            Ok(PageRow::Total(total)) => self.total = Some(total),
            Ok(PageRow::Item { row, fits: true }) if !self.is_cut => match row.try_into() {
                Ok(item) => self.items.push(item),
                Err(error) => self.broken = self.broken.take().or(Some(error)),
            },
            Ok(PageRow::Item { .. }) => {
                self.is_cut = true;
                self.items = Vec::new();
            }
            Err(error) => self.broken = self.broken.take().or_else(|| Some(db_error::into_domain(&error))),
        }
    }

    /// The page, if all of it is there. Its rows mostly come in order, so this costs a look at each.
    fn into_page(self, Ordem { campo, decrescente }: Ordem<AtividadeCampo>) -> Option<Page> {
        let Self { mut items, total, broken, is_cut } = self;
        let key: Option<fn(&Atividade) -> OffsetDateTime> = match campo {
            AtividadeCampo::CriadoEm => Some(|atividade| atividade.criado_em),
            AtividadeCampo::AtualizadoEm => Some(|atividade| atividade.atualizado_em),
            AtividadeCampo::Nome => None,
        };
        if let Some(key) = key {
            items.sort_by(|a, b| {
                let ascending = (key(a), a.id).cmp(&(key(b), b.id));
                if decrescente { ascending.reverse() } else { ascending }
            });
        }
        (!is_cut).then(|| Page { rows: BatchBuilder::from(items), total, broken })
    }
}

fn unavailable<T>(result: Result<T, DbErr>) -> Result<T, Error> {
    result.map_err(|error| db_error::into_domain(&error))
}

/// The projeto existed when the statement began, or was not looked up, and at its end it does not exist.
fn unknown_projeto(error: &DbErr) -> Error {
    db_error::on_constraint(error, FOREIGN_KEY, Error::invalid("id_projeto", Violation::UnknownProjeto))
}

/// An atividade as it is read, and as it is kept with the key of a request that created it.
#[derive(Debug, Clone, FromQueryResult, Serialize, Deserialize)]
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

impl TryFrom<AtividadeRow> for Atividade {
    type Error = Error;

    fn try_from(row: AtividadeRow) -> Result<Self, Error> {
        let AtividadeRow { id, nome, descricao, ativo, id_projeto, nome_projeto, criado_por, criado_em, atualizado_em } =
            row;
        Ok(Self {
            id: AtividadeId(id),
            nome: NomeAtividade::from_stored(nome).map_err(Error::internal)?,
            descricao: descricao.map(Descricao::from_stored).transpose().map_err(Error::internal)?,
            ativo,
            id_projeto: ProjetoId(id_projeto),
            nome_projeto: NomeProjeto::from_stored(nome_projeto).map_err(Error::internal)?,
            criado_por,
            criado_em,
            atualizado_em,
        })
    }
}
