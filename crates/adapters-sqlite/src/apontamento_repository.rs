//! The repository of time entries.

use async_trait::async_trait;
use domain::{
    Agrupamento, Apontamento, ApontamentoFiltro, ApontamentoId, ApontamentoPatch, ApontamentoQuery, ApontamentoRecord,
    ApontamentoRepository, Batch, BatchBuilder, Comentario, Error, Idempotency, LinhaDeHoras, Minutos, NomeProjeto,
    ProjetoRef, RefusalReason, ReportBuilder, Totais, WorkItemId, date_text,
};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, FromQueryResult, Statement, raw_sql};
use serde_json::Value;
use time::OffsetDateTime;

use crate::apontamento_report_row::{ReportRow, TotalsRow};
use crate::apontamento_row::{ApontamentoRow, columns, joins};
use crate::value::{id_text, microseconds, parse_id};
use crate::{SqliteDatabase, apontamento_insert, apontamento_query, db_error, idempotency, write_back_queue};

/// [`ApontamentoRepository`] on SQLite.
#[derive(Debug, Clone)]
pub struct SqliteApontamentoRepository {
    database: SqliteDatabase,
    writes_back: bool,
}

impl SqliteApontamentoRepository {
    /// Builds the repository on `database`.
    #[must_use]
    pub fn new(database: &SqliteDatabase) -> Self {
        Self { database: database.clone(), writes_back: false }
    }

    /// Adds the work items of changed entries to the [queue](crate::SqliteWriteBackQueue) of those to write.
    #[must_use]
    pub fn with_write_back(self) -> Self {
        Self { writes_back: true, ..self }
    }
}

#[async_trait]
impl ApontamentoRepository for SqliteApontamentoRepository {
    async fn insert_all(
        &self,
        records: Vec<ApontamentoRecord>,
        idempotency: Option<Idempotency>,
    ) -> Result<Vec<Apontamento>, Error> {
        let rows =
            apontamento_insert::insert_all(&self.database, &records, idempotency.as_ref(), self.writes_back).await;
        rows.map_err(db_error::into_domain)??.into_iter().map(Apontamento::try_from).collect()
    }

    async fn replay(&self, once: Idempotency, now: OffsetDateTime) -> Result<Option<Vec<Apontamento>>, Error> {
        let rows = idempotency::replay::<Vec<ApontamentoRow>>(&self.database, &once, now).await?;
        rows.map(|rows| rows.into_iter().map(Apontamento::try_from).collect()).transpose()
    }

    async fn find(&self, id: ApontamentoId) -> Result<Option<Apontamento>, Error> {
        let rows: Vec<ApontamentoRow> = self.database.fetch_all(by_id(id, self.writes_back)).await?;
        rows.into_iter().next().map(Apontamento::try_from).transpose()
    }

    async fn list(&self, query: ApontamentoQuery) -> Result<Batch<Apontamento>, Error> {
        let mut page = BatchBuilder::<Apontamento>::default();
        let push = |row: ApontamentoRow| row.try_into().map(|row| page.push(row));
        self.database.for_each_row(apontamento_query::page(&query, self.writes_back), push).await?;
        Ok(page.finish(()))
    }

    async fn totals(&self, filtro: ApontamentoFiltro) -> Result<Totais, Error> {
        let rows: Vec<TotalsRow> =
            self.database.fetch_all(apontamento_query::totals(&filtro, self.writes_back)).await?;
        let row = rows.into_iter().next().ok_or_else(|| Error::internal("an aggregate returned no row"))?;
        row.try_into()
    }

    async fn report(
        &self,
        filtro: ApontamentoFiltro,
        agrupar: Vec<Agrupamento>,
        max: usize,
    ) -> Result<Vec<LinhaDeHoras>, Error> {
        let limit = i64::try_from(max).map_err(Error::internal)?.saturating_add(1);
        let rows: Vec<ReportRow> =
            self.database.fetch_all(apontamento_query::report(&filtro, &agrupar, limit, self.writes_back)).await?;
        let mut report = ReportBuilder::new(max);
        for row in rows {
            report.push(row.into_line(&agrupar));
        }
        report.finish()
    }

    async fn update(
        &self,
        id: ApontamentoId,
        usuario: &str,
        patch: ApontamentoPatch,
        now: OffsetDateTime,
    ) -> Result<Option<Apontamento>, Error> {
        // The transaction holds the write lock of the file, so nothing changes between the checks and the update.
        let transaction = self.database.begin_immediate().await.map_err(db_error::into_domain)?;
        let Some(current) = find(&transaction, id, self.writes_back).await? else { return Ok(None) };
        if current.usuario.id != usuario {
            return Err(RefusalReason::NotOwner.into());
        }
        if patch.expected.is_some_and(|expected| expected != current.atualizado_em) {
            return Err(Error::VersionMismatch);
        }
        check_atividade(&transaction, &current, &patch).await?;
        check_day(&transaction, &current, &patch).await?;
        let changes_sum = patch.minutos.is_some_and(|minutos| minutos != current.minutos)
            && is_verified(&transaction, id).await.map_err(db_error::into_domain)?;
        write(&transaction, id, patch, now).await.map_err(db_error::into_domain)?;
        if self.writes_back && changes_sum {
            let work_item = std::iter::once((current.organizacao.as_str(), current.work_item.get()));
            write_back_queue::enqueue(&transaction, usuario, work_item, now).await.map_err(db_error::into_domain)?;
        }
        let updated = find(&transaction, id, self.writes_back).await?;
        transaction.commit().await.map_err(db_error::into_domain)?;
        Ok(updated)
    }

    async fn delete(
        &self,
        id: ApontamentoId,
        usuario: &str,
        expected: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<bool, Error> {
        // The transaction holds the write lock of the file, so nothing changes between the checks and the deletion.
        let transaction = self.database.begin_immediate().await.map_err(db_error::into_domain)?;
        let Some(current) = find(&transaction, id, self.writes_back).await? else { return Ok(false) };
        if current.usuario.id != usuario {
            return Err(RefusalReason::NotOwner.into());
        }
        if expected.is_some_and(|expected| expected != current.atualizado_em) {
            return Err(Error::VersionMismatch);
        }
        let changes_sum = is_verified(&transaction, id).await.map_err(db_error::into_domain)?;
        let key = id_text(id.0);
        let delete = raw_sql!(Sqlite, "DELETE FROM apontamentos WHERE id = {key}");
        transaction.execute_raw(delete).await.map_err(db_error::into_domain)?;
        if self.writes_back && changes_sum {
            let work_item = std::iter::once((current.organizacao.as_str(), current.work_item.get()));
            write_back_queue::enqueue(&transaction, usuario, work_item, now).await.map_err(db_error::into_domain)?;
        }
        transaction.commit().await.map_err(db_error::into_domain)?;
        Ok(true)
    }

    async fn mark_verified(
        &self,
        usuario: &str,
        work_items: Vec<WorkItemId>,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let transaction = self.database.begin_immediate().await.map_err(db_error::into_domain)?;
        let ids = work_items.into_iter().map(WorkItemId::get).collect::<Value>().to_string();
        let marked = MarkedRow::find_by_statement(raw_sql!(
            Sqlite,
            r#"
            UPDATE apontamentos SET verificado = true
            WHERE usuario_id = {usuario} AND NOT verificado AND work_item_id IN (SELECT value FROM json_each({ids}))
            RETURNING organizacao, work_item_id
            "#
        ));
        let marked = marked.all(&transaction).await.map_err(db_error::into_domain)?;
        if self.writes_back && !marked.is_empty() {
            let work_items = marked.iter().map(|row| (row.organizacao.as_str(), row.work_item_id));
            write_back_queue::enqueue(&transaction, usuario, work_items, now).await.map_err(db_error::into_domain)?;
        }
        transaction.commit().await.map_err(db_error::into_domain)
    }

    /// Names are compared in memory, because SQLite has no case folding for Unicode.
    async fn find_projeto(&self, nome: NomeProjeto) -> Result<Option<ProjetoRef>, Error> {
        let rows: Vec<ProjetoNameRow> = self
            .database
            .fetch_all(raw_sql!(
                Sqlite,
                "SELECT id, nome FROM projetos ORDER BY azure_project_id IS NULL, criado_em, id"
            ))
            .await?;
        let wanted = nome.as_str().to_lowercase();
        let found = rows.into_iter().find(|row| row.nome.to_lowercase() == wanted);
        found.map(|row| parse_id(&row.id).map(ProjetoRef)).transpose()
    }
}

fn by_id(id: ApontamentoId, writes_back: bool) -> Statement {
    let sql = format!("SELECT {} FROM apontamentos e {} WHERE e.id = ?1", columns(writes_back), joins(writes_back));
    Statement::from_sql_and_values(DbBackend::Sqlite, sql, [id_text(id.0).into()])
}

async fn find(
    transaction: &DatabaseTransaction,
    id: ApontamentoId,
    writes_back: bool,
) -> Result<Option<Apontamento>, Error> {
    let row = ApontamentoRow::find_by_statement(by_id(id, writes_back))
        .one(transaction)
        .await
        .map_err(db_error::into_domain)?;
    row.map(Apontamento::try_from).transpose()
}

/// Returns whether the person who made the entry saw its work item.
async fn is_verified(transaction: &DatabaseTransaction, id: ApontamentoId) -> Result<bool, DbErr> {
    let key = id_text(id.0);
    let row = VerifiedRow::find_by_statement(raw_sql!(Sqlite, "SELECT verificado FROM apontamentos WHERE id = {key}"));
    Ok(row.one(transaction).await?.is_some_and(|row| row.verificado))
}

/// Checks the new atividade.
async fn check_atividade(
    transaction: &DatabaseTransaction,
    current: &Apontamento,
    patch: &ApontamentoPatch,
) -> Result<(), Error> {
    let Some(atividade) = patch.atividade.filter(|atividade| *atividade != current.id_atividade) else { return Ok(()) };
    let key = id_text(atividade.0);
    let row = AtivoRow::find_by_statement(raw_sql!(Sqlite, "SELECT ativo FROM atividades WHERE id = {key}"));
    match row.one(transaction).await.map_err(db_error::into_domain)? {
        None => Err(RefusalReason::UnknownAtividade(atividade).into()),
        Some(AtivoRow { ativo: false }) => Err(RefusalReason::InactiveAtividade.into()),
        Some(AtivoRow { ativo: true }) => Ok(()),
    }
}

/// Checks the limit of the day if the entry gets longer or moves to another day.
async fn check_day(
    transaction: &DatabaseTransaction,
    current: &Apontamento,
    patch: &ApontamentoPatch,
) -> Result<(), Error> {
    let (minutos, data) = (patch.minutos.unwrap_or(current.minutos), patch.data.unwrap_or(current.data));
    if data == current.data && minutos <= current.minutos {
        return Ok(());
    }
    let (usuario, key, dia) = (current.usuario.id.as_str(), id_text(current.id.0), date_text(data));
    let sum = SumRow::find_by_statement(raw_sql!(
        Sqlite,
        "SELECT COALESCE(sum(minutos), 0) AS minutos FROM apontamentos
         WHERE usuario_id = {usuario} AND data = {dia} AND id <> {key}"
    ));
    let others = sum.one(transaction).await.map_err(db_error::into_domain)?.map_or(0, |row| row.minutos);
    let left = u16::try_from(i64::from(Minutos::MAX) - others).unwrap_or_default();
    if left < minutos.get() { Err(RefusalReason::DayFull { data, restantes: left }.into()) } else { Ok(()) }
}

/// Changes the fields that `patch` has. Equal values change nothing.
async fn write(
    transaction: &DatabaseTransaction,
    id: ApontamentoId,
    patch: ApontamentoPatch,
    now: OffsetDateTime,
) -> Result<(), DbErr> {
    let ApontamentoPatch { minutos, data, comentario, atividade, expected: _ } = patch;
    let (key, atividade) = (id_text(id.0), atividade.map(|atividade| id_text(atividade.0)));
    let (minutos, data, now) =
        (minutos.map(|minutos| i32::from(minutos.get())), data.map(date_text), microseconds(now));
    let keep_comentario = comentario.is_absent();
    let comentario = comentario.into_value().map(Comentario::into_string);
    // An absent field is NULL. A comparison with NULL is NULL, which does not count as a difference.
    let update = raw_sql!(
        Sqlite,
        r#"
        UPDATE apontamentos
        SET minutos = coalesce({minutos}, minutos), data = coalesce({data}, data),
            comentario = CASE WHEN {keep_comentario} THEN comentario ELSE {comentario} END,
            id_atividade = coalesce({atividade}, id_atividade), atualizado_em = max({now}, atualizado_em + 1)
        WHERE id = {key}
          AND (minutos <> {minutos} OR data <> {data} OR id_atividade <> {atividade}
               OR (NOT {keep_comentario} AND comentario IS NOT {comentario}))
        "#
    );
    transaction.execute_raw(update).await.map(drop)
}

#[derive(FromQueryResult)]
struct MarkedRow {
    organizacao: String,
    work_item_id: i32,
}

#[derive(FromQueryResult)]
struct VerifiedRow {
    verificado: bool,
}

#[derive(FromQueryResult)]
struct AtivoRow {
    ativo: bool,
}

#[derive(FromQueryResult)]
struct SumRow {
    minutos: i64,
}

#[derive(FromQueryResult)]
struct ProjetoNameRow {
    id: String,
    nome: String,
}
