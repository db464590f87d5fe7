//! Time entries in PostgreSQL. Changes that add hours to a day run in a transaction that holds the lock of the day.

use std::sync::Arc;

use async_trait::async_trait;
use coalescer::Coalescer;
use domain::{
    Agrupamento, Apontamento, ApontamentoFiltro, ApontamentoId, ApontamentoPatch, ApontamentoQuery, ApontamentoRecord,
    ApontamentoRepository, AtividadeId, Batch, BatchBuilder, Comentario, Error, Idempotency, LinhaDeHoras, Minutos,
    NomeProjeto, ProjetoRef, RefusalReason, ReportBuilder, Totais, WorkItemId, date_text,
};
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Statement, raw_sql};
use serde_json::Value;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use crate::apontamento_insert::{FOREIGN_KEY_VIOLATION, INSERT, Insert, lock_days};
use crate::apontamento_query::{columns, joins};
use crate::apontamento_report_row::{ReportRow, TotalsRow};
use crate::apontamento_row::ApontamentoRow;
use crate::operation::{Transaction, traced};
use crate::write_back_queue::Changed;
use crate::{PostgresDatabase, apontamento_insert, apontamento_query, db_error, idempotency, write_back_queue};

/// The foreign key of time entries to their projeto.
pub(crate) const PROJETO_KEY: &str = "apontamentos_id_projeto_fkey";
/// The foreign key of time entries to their atividade.
pub(crate) const ATIVIDADE_KEY: &str = "apontamentos_id_atividade_fkey";
/// The statements of an update: read, check the atividade, lock the day, sum it, write, add the work item to write, read.
const UPDATE_STATEMENTS: u32 = 7;
/// The statements that mark entries: mark, add the work items to write.
const MARK_STATEMENTS: u32 = 2;
/// The statements of a deletion: delete, add the work item to write.
const DELETE_STATEMENTS: u32 = 2;

/// [`ApontamentoRepository`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresApontamentoRepository {
    database: PostgresDatabase,
    inserts: Arc<Coalescer<Insert>>,
    writes_back: bool,
}

impl PostgresApontamentoRepository {
    /// Creates the repository of `database`.
    #[must_use]
    pub fn new(database: &PostgresDatabase) -> Self {
        Self::build(database, false)
    }

    /// Adds the work items of changed entries to the [queue](crate::PostgresWriteBackQueue) of those to write.
    #[must_use]
    pub fn with_write_back(self) -> Self {
        Self::build(&self.database, true)
    }

    fn build(database: &PostgresDatabase, writes_back: bool) -> Self {
        let insert = Insert { database: database.clone(), writes_back };
        let inserts = Coalescer::new(insert, database.coalescing_limits(), database.runtime.clone());
        Self { database: database.clone(), inserts, writes_back }
    }

    /// Inserts one record, possibly together with those of other calls. Returns `None` if it has to be inserted alone, to learn
    /// why it is refused.
    async fn insert(&self, record: &ApontamentoRecord) -> Result<Option<ApontamentoRow>, Error> {
        let row = traced(INSERT, async { self.inserts.call(record.clone()).await.map_err(db_error::of_call) }).await;
        match row {
            Err(error) if db_error::code(&error) == Some(FOREIGN_KEY_VIOLATION) => Ok(None),
            row => row.map_err(|error| db_error::into_domain(&error)),
        }
    }

    async fn delete_and_enqueue(
        &self,
        id: ApontamentoId,
        usuario: &str,
        expected: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<Option<DeletedRow>, DbErr> {
        let transaction = self.database.begin("apontamentos.delete", DELETE_STATEMENTS).await?;
        let deleted = delete(&transaction, id, usuario, expected).await?;
        if let Some(DeletedRow { organizacao, work_item_id, verificado: true }) = &deleted {
            let changed = Changed { usuario, organizacao, work_item: *work_item_id };
            write_back_queue::enqueue(&transaction, std::iter::once(changed), now).await?;
        }
        transaction.commit().await?;
        Ok(deleted)
    }
}

#[async_trait]
impl ApontamentoRepository for PostgresApontamentoRepository {
    async fn insert_all(
        &self,
        records: Vec<ApontamentoRecord>,
        idempotency: Option<Idempotency>,
    ) -> Result<Vec<Apontamento>, Error> {
        if let ([record], None) = (records.as_slice(), &idempotency)
            && let Some(row) = self.insert(record).await?
        {
            return Ok(vec![row.try_into()?]);
        }
        let rows = apontamento_insert::insert(&self.database, &records, idempotency.as_ref(), self.writes_back).await?;
        rows.into_iter().map(Apontamento::try_from).collect()
    }

    async fn replay(&self, once: Idempotency, now: OffsetDateTime) -> Result<Option<Vec<Apontamento>>, Error> {
        let rows =
            idempotency::replay::<Vec<ApontamentoRow>>(&self.database.read("apontamentos.replay"), &once, now).await;
        unavailable(rows)??.map(|rows| rows.into_iter().map(Apontamento::try_from).collect()).transpose()
    }

    async fn find(&self, id: ApontamentoId) -> Result<Option<Apontamento>, Error> {
        find(&self.database.read("apontamentos.find"), id, self.writes_back).await
    }

    async fn list(&self, query: ApontamentoQuery) -> Result<Batch<Apontamento>, Error> {
        let name = "apontamentos.list";
        let operation = if query.is_search() { self.database.search(name) } else { self.database.read(name) };
        let statement = apontamento_query::page(&query, self.writes_back);
        let page = operation.on_replica().fold(&statement, Page::default, Page::push).await;
        let (page, _) = unavailable(page)?;
        page.error.map_or_else(|| Ok(page.rows.finish(())), Err)
    }

    async fn totals(&self, filtro: ApontamentoFiltro) -> Result<Totais, Error> {
        let row = TotalsRow::find_by_statement(apontamento_query::totals(&filtro, self.writes_back));
        let row = unavailable(row.one(&self.database.search("apontamentos.totals").on_replica()).await)?;
        row.ok_or_else(|| Error::internal("an aggregate returned no row"))?.try_into()
    }

    async fn report(
        &self,
        filtro: ApontamentoFiltro,
        agrupar: Vec<Agrupamento>,
        max: usize,
    ) -> Result<Vec<LinhaDeHoras>, Error> {
        let limit = i64::try_from(max).map_err(Error::internal)?.saturating_add(1);
        let statement = apontamento_query::report(&filtro, &agrupar, limit, self.writes_back);
        let push = |report: &mut ReportBuilder, row: PgRow| {
            let row = ReportRow::from_query_result(&row.into(), "").map_err(|error| db_error::into_domain(&error));
            report.push(row.and_then(|row| row.into_line(&agrupar)));
        };
        let operation = self.database.search("apontamentos.report").on_replica();
        let (report, _) = unavailable(operation.fold(&statement, || ReportBuilder::new(max), push).await)?;
        report.finish()
    }

    async fn update(
        &self,
        id: ApontamentoId,
        usuario: &str,
        patch: ApontamentoPatch,
        now: OffsetDateTime,
    ) -> Result<Option<Apontamento>, Error> {
        let transaction = unavailable(self.database.begin("apontamentos.update", UPDATE_STATEMENTS).await)?;
        let updated = update_in(&transaction, id, usuario, patch, now, self.writes_back).await;
        let ended =
            if matches!(updated, Ok(Some(_))) { transaction.commit().await } else { transaction.rollback().await };
        unavailable(ended)?;
        updated
    }

    async fn delete(
        &self,
        id: ApontamentoId,
        usuario: &str,
        expected: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<bool, Error> {
        let deleted = if self.writes_back {
            self.delete_and_enqueue(id, usuario, expected, now).await
        } else {
            delete(&self.database.write("apontamentos.delete"), id, usuario, expected).await
        };
        if unavailable(deleted)?.is_some() {
            return Ok(true);
        }
        // No row was deleted: another owner, `expected` mismatch, or no such id.
        match self.find(id).await? {
            Some(found) if found.usuario.id != usuario => Err(RefusalReason::NotOwner.into()),
            Some(_) if expected.is_some() => Err(Error::VersionMismatch),
            _ => Ok(false),
        }
    }

    async fn mark_verified(
        &self,
        usuario: &str,
        work_items: Vec<WorkItemId>,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        unavailable(mark_verified(&self.database, usuario, work_items, now, self.writes_back).await)
    }

    async fn find_projeto(&self, nome: NomeProjeto) -> Result<Option<ProjetoRef>, Error> {
        let nome = nome.as_str();
        let row = IdRow::find_by_statement(raw_sql!(
            Postgres,
            r#"SELECT id FROM projetos WHERE nome_busca = sem_acentos({nome}) AND lower(nome) = lower({nome})
               ORDER BY azure_project_id IS NULL, criado_em, id LIMIT 1"#
        ));
        let row = unavailable(row.one(&self.database.read("apontamentos.find_projeto")).await)?;
        Ok(row.map(|row| ProjetoRef(row.id)))
    }
}

async fn mark_verified(
    database: &PostgresDatabase,
    usuario: &str,
    work_items: Vec<WorkItemId>,
    now: OffsetDateTime,
    writes_back: bool,
) -> Result<(), DbErr> {
    let ids: Value = work_items.into_iter().map(WorkItemId::get).collect();
    let transaction = database.begin("apontamentos.mark_verified", MARK_STATEMENTS).await?;
    let marked = MarkedRow::find_by_statement(raw_sql!(
        Postgres,
        r#"UPDATE apontamentos SET verificado = true
           WHERE usuario_id = {usuario} AND NOT verificado
             AND work_item_id IN (SELECT id::integer FROM jsonb_array_elements_text({ids}::jsonb) AS ids (id))
           RETURNING organizacao, work_item_id"#
    ));
    let marked = marked.all(&transaction).await?;
    if writes_back {
        let changed =
            marked.iter().map(|row| Changed { usuario, organizacao: &row.organizacao, work_item: row.work_item_id });
        write_back_queue::enqueue(&transaction, changed, now).await?;
    }
    transaction.commit().await
}

#[derive(FromQueryResult)]
struct MarkedRow {
    organizacao: String,
    work_item_id: i32,
}

async fn update_in(
    transaction: &Transaction<'_>,
    id: ApontamentoId,
    usuario: &str,
    patch: ApontamentoPatch,
    now: OffsetDateTime,
    writes_back: bool,
) -> Result<Option<Apontamento>, Error> {
    let Some(current) = unavailable(read_locked(transaction, id).await)? else { return Ok(None) };
    current.check(usuario, patch.expected)?;
    check_atividade(transaction, &current, patch.atividade).await?;
    check_day(transaction, &current, id, &patch).await?;
    let changes_sum = patch.minutos.is_some_and(|minutos| i64::from(minutos.get()) != i64::from(current.minutos));
    unavailable(write(transaction, id, patch, now).await)?;
    if writes_back && changes_sum && current.verificado {
        let changed = Changed { usuario, organizacao: &current.organizacao, work_item: current.work_item_id };
        unavailable(write_back_queue::enqueue(transaction, std::iter::once(changed), now).await)?;
    }
    find(transaction, id, writes_back).await
}

#[derive(FromQueryResult)]
struct DeletedRow {
    organizacao: String,
    work_item_id: i32,
    verificado: bool,
}

async fn delete(
    connection: &impl ConnectionTrait,
    id: ApontamentoId,
    usuario: &str,
    expected: Option<OffsetDateTime>,
) -> Result<Option<DeletedRow>, DbErr> {
    let key = id.0;
    let deleted = DeletedRow::find_by_statement(raw_sql!(
        Postgres,
        r#"DELETE FROM apontamentos
           WHERE id = {key} AND usuario_id = {usuario}
             AND ({expected}::timestamptz IS NULL OR atualizado_em = {expected})
           RETURNING organizacao, work_item_id, verificado"#
    ));
    deleted.one(connection).await
}

/// The fields of an entry on which an update depends.
#[derive(FromQueryResult)]
struct CurrentRow {
    organizacao: String,
    work_item_id: i32,
    usuario_id: String,
    data: Date,
    minutos: i16,
    id_atividade: Uuid,
    verificado: bool,
    atualizado_em: OffsetDateTime,
}

impl CurrentRow {
    fn check(&self, usuario: &str, expected: Option<OffsetDateTime>) -> Result<(), Error> {
        if self.usuario_id != usuario {
            return Err(RefusalReason::NotOwner.into());
        }
        let is_expected = expected.is_none_or(|expected| expected == self.atualizado_em);
        if is_expected { Ok(()) } else { Err(Error::VersionMismatch) }
    }
}

/// Reads an entry and keeps others from changing it until the end of the transaction.
async fn read_locked(transaction: &Transaction<'_>, id: ApontamentoId) -> Result<Option<CurrentRow>, DbErr> {
    let key = id.0;
    let current = CurrentRow::find_by_statement(raw_sql!(
        Postgres,
        r#"SELECT organizacao, work_item_id, usuario_id, data, minutos, id_atividade, verificado, atualizado_em
           FROM apontamentos WHERE id = {key} FOR NO KEY UPDATE"#
    ));
    current.one(transaction).await
}

#[derive(FromQueryResult)]
struct AtivoRow {
    ativo: bool,
}

/// Checks the new atividade. The lock keeps it from being deleted until the end of the transaction.
async fn check_atividade(
    transaction: &Transaction<'_>,
    current: &CurrentRow,
    atividade: Option<AtividadeId>,
) -> Result<(), Error> {
    let Some(atividade) = atividade.filter(|atividade| atividade.0 != current.id_atividade) else { return Ok(()) };
    let key = atividade.0;
    let row =
        AtivoRow::find_by_statement(raw_sql!(Postgres, "SELECT ativo FROM atividades WHERE id = {key} FOR KEY SHARE"));
    match unavailable(row.one(transaction).await)? {
        None => Err(RefusalReason::UnknownAtividade(atividade).into()),
        Some(AtivoRow { ativo: false }) => Err(RefusalReason::InactiveAtividade.into()),
        Some(AtivoRow { ativo: true }) => Ok(()),
    }
}

#[derive(FromQueryResult)]
struct SumRow {
    minutos: i64,
}

/// Checks the limit of the day if the entry gets longer or moves to another day.
async fn check_day(
    transaction: &Transaction<'_>,
    current: &CurrentRow,
    id: ApontamentoId,
    patch: &ApontamentoPatch,
) -> Result<(), Error> {
    let before = i64::from(current.minutos);
    let minutos = patch.minutos.map_or(before, |minutos| minutos.get().into());
    let data = patch.data.unwrap_or(current.data);
    if data == current.data && minutos <= before {
        return Ok(());
    }
    let (usuario, key) = (current.usuario_id.as_str(), id.0);
    unavailable(lock_days(transaction, std::iter::once((usuario, date_text(data)))).await)?;
    let sum = SumRow::find_by_statement(raw_sql!(
        Postgres,
        r#"SELECT COALESCE(sum(minutos), 0)::bigint AS minutos FROM apontamentos
           WHERE usuario_id = {usuario} AND data = {data} AND id <> {key}"#
    ));
    let others = unavailable(sum.one(transaction).await)?.map_or(0, |row| row.minutos);
    let left = u16::try_from(i64::from(Minutos::MAX) - others).unwrap_or_default();
    if i64::from(left) < minutos { Err(RefusalReason::DayFull { data, restantes: left }.into()) } else { Ok(()) }
}

/// Changes the fields that `patch` has. Equal values change nothing.
async fn write(
    transaction: &Transaction<'_>,
    id: ApontamentoId,
    patch: ApontamentoPatch,
    now: OffsetDateTime,
) -> Result<(), DbErr> {
    let ApontamentoPatch { minutos, data, comentario, atividade, expected: _ } = patch;
    let (key, atividade) = (id.0, atividade.map(|atividade| atividade.0));
    let minutos = minutos.map(|minutos| i32::from(minutos.get()));
    let keep_comentario = comentario.is_absent();
    let comentario = comentario.into_value().map(Comentario::into_string);
    // An absent field is NULL in `novo`; a comparison with it is NULL, which is no difference.
    let update = raw_sql!(
        Postgres,
        r#"UPDATE apontamentos e
           SET minutos = COALESCE(novo.minutos, e.minutos), data = COALESCE(novo.data, e.data),
               comentario = CASE WHEN novo.keep_comentario THEN e.comentario ELSE novo.comentario END,
               id_atividade = COALESCE(novo.id_atividade, e.id_atividade),
               atualizado_em = GREATEST(novo.atualizado_em, e.atualizado_em + interval '1 microsecond')
           FROM (
               SELECT {minutos}::integer AS minutos, {data}::date AS data, {comentario}::text AS comentario,
                      {keep_comentario}::boolean AS keep_comentario, {atividade}::uuid AS id_atividade,
                      {now}::timestamptz AS atualizado_em
           ) novo
           WHERE e.id = {key}
             AND (e.minutos <> novo.minutos OR e.data <> novo.data OR e.id_atividade <> novo.id_atividade
                  OR (NOT novo.keep_comentario AND e.comentario IS DISTINCT FROM novo.comentario))"#
    );
    transaction.execute_raw(update).await.map(drop)
}

async fn find(
    connection: &impl ConnectionTrait,
    id: ApontamentoId,
    writes_back: bool,
) -> Result<Option<Apontamento>, Error> {
    let sql = format!("SELECT {} FROM apontamentos e {} WHERE e.id = $1", columns(writes_back), joins(writes_back));
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, [id.0.into()]);
    let row = unavailable(ApontamentoRow::find_by_statement(statement).one(connection).await)?;
    row.map(Apontamento::try_from).transpose()
}

/// A page, built from its rows as they arrive.
#[derive(Default)]
struct Page {
    rows: BatchBuilder<Apontamento>,
    /// The error of the first row that cannot be read.
    error: Option<Error>,
}

impl Page {
    fn push(&mut self, row: PgRow) {
        let row = ApontamentoRow::from_query_result(&row.into(), "").map_err(|error| db_error::into_domain(&error));
        match row.and_then(Apontamento::try_from) {
            Ok(item) => self.rows.push(item),
            Err(error) => self.error = self.error.take().or(Some(error)),
        }
    }
}

#[derive(FromQueryResult)]
struct IdRow {
    id: Uuid,
}

fn unavailable<T>(result: Result<T, DbErr>) -> Result<T, Error> {
    result.map_err(|error| db_error::into_domain(&error))
}
