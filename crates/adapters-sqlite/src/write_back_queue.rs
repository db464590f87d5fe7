//! Work items whose hours are to be written to Azure DevOps, as rows of `escritas`.

use async_trait::async_trait;
use domain::{
    BookedHours, BookedHoursFilter, Error, KnownHours, PendingWrite, WorkItemId, WriteAttempt, WriteBackQueue,
    WriteBackTotals, WriteEnd,
};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbErr, FromQueryResult, raw_sql};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::value::{id_text, instant, microseconds, parse_id};
use crate::{SqliteDatabase, db_error};

/// The time from the first change of a work item to its write. Changes in between are part of it.
const DELAY: Duration = Duration::seconds(3);
/// How long a claim lasts that nobody ends.
const CLAIM: Duration = Duration::seconds(45);

/// [`WriteBackQueue`] of one organisation on SQLite.
#[derive(Debug, Clone)]
pub struct SqliteWriteBackQueue {
    database: SqliteDatabase,
    organizacao: String,
}

impl SqliteWriteBackQueue {
    /// Builds the queue of the work items of `organizacao` on `database`.
    #[must_use]
    pub fn new(database: &SqliteDatabase, organizacao: impl Into<String>) -> Self {
        Self { database: database.clone(), organizacao: organizacao.into() }
    }

    /// Returns a queue for each organisation with work items to write: a database without a configured organisation has
    /// entries of any.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn of_each_organisation(database: &SqliteDatabase) -> Result<Vec<Self>, Error> {
        let pending = raw_sql!(Sqlite, "SELECT DISTINCT organizacao FROM escritas WHERE proxima_em IS NOT NULL");
        let rows: Vec<OrganisationRow> = database.fetch_all(pending).await?;
        Ok(rows.into_iter().map(|row| Self::new(database, row.organizacao)).collect())
    }
}

/// Adds work items to the queue, in the transaction in which `usuario` changes the sums of their entries.
pub(crate) async fn enqueue(
    transaction: &DatabaseTransaction,
    usuario: &str,
    work_items: impl Iterator<Item = (&str, i32)>,
    now: OffsetDateTime,
) -> Result<(), DbErr> {
    let work_items: Value = work_items.map(|(organizacao, id)| json!({"o": organizacao, "i": id})).collect();
    let (work_items, now, due) = (work_items.to_string(), microseconds(now), microseconds(now + DELAY));
    let enqueue = raw_sql!(
        Sqlite,
        r#"
        INSERT INTO escritas (organizacao, work_item_id, usuario_id, pendente_desde, proxima_em)
        SELECT DISTINCT value ->> 'o', value ->> 'i', {usuario}, {now}, {due} FROM json_each({work_items}) WHERE true
        ON CONFLICT (organizacao, work_item_id) DO UPDATE
        SET versao = versao + 1,
            usuario_id = CASE WHEN proxima_em IS NULL THEN excluded.usuario_id ELSE usuario_id END,
            pendente_desde = coalesce(pendente_desde, excluded.pendente_desde),
            proxima_em = coalesce(proxima_em, excluded.proxima_em),
            tentativas = CASE WHEN motivo IS NULL THEN tentativas ELSE 0 END,
            motivo = NULL
        "#
    );
    transaction.execute_raw(enqueue).await.map(drop)
}

#[async_trait]
impl WriteBackQueue for SqliteWriteBackQueue {
    async fn claim(&self, now: OffsetDateTime, max: u32) -> Result<Vec<PendingWrite>, Error> {
        let (organizacao, claim, max) = (self.organizacao.as_str(), id_text(Uuid::now_v7()), i64::from(max));
        let (now, until) = (microseconds(now), microseconds(now + CLAIM));
        // The transaction holds the write lock of the file, so the sums have every change that `versao` counts.
        let transaction = self.database.begin_immediate().await.map_err(db_error::into_domain)?;
        let reserve = raw_sql!(
            Sqlite,
            r#"
            UPDATE escritas SET reserva = {claim}, proxima_em = {until}
            WHERE organizacao = {organizacao} AND work_item_id IN (
                SELECT work_item_id FROM escritas WHERE proxima_em <= {now} AND organizacao = {organizacao}
                ORDER BY row_number() OVER (PARTITION BY usuario_id ORDER BY proxima_em, work_item_id), proxima_em, work_item_id
                LIMIT {max}
            )
            "#
        );
        transaction.execute_raw(reserve).await.map_err(db_error::into_domain)?;
        let rows = ClaimRow::find_by_statement(raw_sql!(
            Sqlite,
            r#"
            SELECT s.*, (SELECT coalesce(sum(e.minutos), 0) FROM apontamentos e
                         WHERE e.organizacao = s.organizacao AND e.work_item_id = s.work_item_id
                           AND e.verificado) AS soma
            FROM escritas s WHERE s.reserva = {claim} ORDER BY s.work_item_id
            "#
        ));
        let rows = rows.all(&transaction).await.map_err(db_error::into_domain)?;
        transaction.commit().await.map_err(db_error::into_domain)?;
        rows.into_iter().map(PendingWrite::try_from).collect()
    }

    async fn entries(
        &self,
        work_item: WorkItemId,
        filter: BookedHoursFilter,
        max: u32,
    ) -> Result<Vec<BookedHours>, Error> {
        let (organizacao, id, max) = (self.organizacao.as_str(), work_item.get(), i64::from(max));
        let BookedHoursFilter { usuarios, de, ate } = filter;
        let usuarios = usuarios.into_iter().collect::<Value>().to_string();
        let (de, ate) = (microseconds(de), microseconds(ate));
        let entries = raw_sql!(
            Sqlite,
            r#"
            SELECT usuario_id, minutos, criado_em FROM (
                SELECT usuario_id, minutos, criado_em, id FROM apontamentos
                WHERE organizacao = {organizacao} AND work_item_id = {id} AND criado_em BETWEEN {de} AND {ate}
                  AND usuario_id IN (SELECT value FROM json_each({usuarios}))
                ORDER BY criado_em DESC, id DESC LIMIT {max}
            ) ORDER BY criado_em, id
            "#
        );
        let rows: Vec<EntryRow> = self.database.fetch_all(entries).await?;
        rows.into_iter().map(BookedHours::try_from).collect()
    }

    async fn save_attempt(
        &self,
        pending: &PendingWrite,
        known: KnownHours,
        attempt: WriteAttempt,
    ) -> Result<bool, Error> {
        let (organizacao, id, claim) = (self.organizacao.as_str(), pending.work_item.get(), id_text(pending.claim));
        let KnownHours { rev, completed_work, manual, minutos } = known;
        let (minutos, next_minutos) = (i64::from(minutos), i64::from(attempt.minutos));
        let WriteAttempt { rev: next_rev, completed_work: next_completed_work, manual: next_manual, .. } = attempt;
        let save = raw_sql!(
            Sqlite,
            r#"
            UPDATE escritas
            SET rev = {rev}, completed_work = {completed_work}, manual = {manual}, minutos = {minutos},
                tentativa_rev = {next_rev}, tentativa_completed_work = {next_completed_work},
                tentativa_manual = {next_manual}, tentativa_minutos = {next_minutos}
            WHERE organizacao = {organizacao} AND work_item_id = {id} AND reserva = {claim}
            "#
        );
        Ok(self.database.execute(save).await.map_err(db_error::into_domain)?.rows_affected() != 0)
    }

    async fn end(&self, pending: &PendingWrite, end: WriteEnd, now: OffsetDateTime) -> Result<(), Error> {
        let (organizacao, id, claim) = (self.organizacao.as_str(), pending.work_item.get(), id_text(pending.claim));
        let (versao, now) = (pending.versao, microseconds(now));
        // Changes after `versao` stay pending.
        let end = match end {
            WriteEnd::Written(KnownHours { rev, completed_work, manual, minutos }) => {
                let minutos = i64::from(minutos);
                raw_sql!(
                    Sqlite,
                    r#"
                    UPDATE escritas
                    SET reserva = NULL, tentativas = 0, motivo = NULL, proxima_em = iif(versao <> {versao}, {now}, NULL),
                        usuario_id = iif(versao <> {versao}, usuario_id, NULL),
                        pendente_desde = iif(versao <> {versao}, {now}, NULL),
                        rev = {rev}, completed_work = {completed_work}, manual = {manual}, minutos = {minutos},
                        tentativa_rev = NULL, tentativa_completed_work = NULL, tentativa_manual = NULL,
                        tentativa_minutos = NULL
                    WHERE organizacao = {organizacao} AND work_item_id = {id} AND reserva = {claim}
                    "#
                )
            }
            WriteEnd::Failed { motivo, is_attempt_void } => {
                let motivo = motivo.code();
                raw_sql!(
                    Sqlite,
                    r#"
                    UPDATE escritas
                    SET reserva = NULL, tentativas = 0, motivo = iif(versao = {versao}, {motivo}, NULL),
                        falhou_em = {now}, usuario_id = iif(versao <> {versao}, usuario_id, NULL),
                        proxima_em = iif(versao <> {versao}, {now}, NULL),
                        pendente_desde = iif(versao <> {versao}, pendente_desde, NULL),
                        tentativa_rev = iif({is_attempt_void}, NULL, tentativa_rev),
                        tentativa_completed_work = iif({is_attempt_void}, NULL, tentativa_completed_work),
                        tentativa_manual = iif({is_attempt_void}, NULL, tentativa_manual),
                        tentativa_minutos = iif({is_attempt_void}, NULL, tentativa_minutos)
                    WHERE organizacao = {organizacao} AND work_item_id = {id} AND reserva = {claim}
                    "#
                )
            }
            WriteEnd::Retry { em, is_attempt_void } => {
                let em = microseconds(em);
                raw_sql!(
                    Sqlite,
                    r#"
                    UPDATE escritas
                    SET reserva = NULL, tentativas = tentativas + 1, proxima_em = {em},
                        tentativa_rev = iif({is_attempt_void}, NULL, tentativa_rev),
                        tentativa_completed_work = iif({is_attempt_void}, NULL, tentativa_completed_work),
                        tentativa_manual = iif({is_attempt_void}, NULL, tentativa_manual),
                        tentativa_minutos = iif({is_attempt_void}, NULL, tentativa_minutos)
                    WHERE organizacao = {organizacao} AND work_item_id = {id} AND reserva = {claim}
                    "#
                )
            }
        };
        self.database.execute(end).await.map(drop).map_err(db_error::into_domain)
    }

    async fn retry_failed(
        &self,
        usuario: &str,
        failed_until: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<u64, Error> {
        let organizacao = self.organizacao.as_str();
        let (failed_until, now) = (microseconds(failed_until), microseconds(now));
        let retry = raw_sql!(
            Sqlite,
            r#"
            UPDATE escritas
            SET motivo = NULL, tentativas = 0, proxima_em = {now}, pendente_desde = {now}, usuario_id = {usuario}
            WHERE motivo IS NOT NULL AND organizacao = {organizacao}
              AND (falhou_em IS NULL OR falhou_em <= {failed_until})
            "#
        );
        Ok(self.database.execute(retry).await.map_err(db_error::into_domain)?.rows_affected())
    }

    async fn totals(&self) -> Result<WriteBackTotals, Error> {
        let organizacao = self.organizacao.as_str();
        let totals = raw_sql!(
            Sqlite,
            r#"
            SELECT count(proxima_em) AS pendentes, count(motivo) AS erros, min(pendente_desde) AS desde FROM escritas
            WHERE organizacao = {organizacao}
            "#
        );
        let row: Option<TotalsRow> = self.database.fetch_all(totals).await?.into_iter().next();
        let TotalsRow { pendentes, erros, desde } = row.ok_or_else(|| Error::internal("an aggregate has no row"))?;
        let count = |count: i64| u64::try_from(count).map_err(Error::internal);
        Ok(WriteBackTotals {
            pendentes: count(pendentes)?,
            erros: count(erros)?,
            desde: desde.map(instant).transpose()?,
        })
    }
}

#[derive(FromQueryResult)]
struct ClaimRow {
    work_item_id: i64,
    reserva: String,
    versao: i64,
    tentativas: i64,
    soma: i64,
    rev: Option<i64>,
    completed_work: Option<f64>,
    manual: Option<f64>,
    minutos: Option<i64>,
    tentativa_rev: Option<i64>,
    tentativa_completed_work: Option<f64>,
    tentativa_manual: Option<f64>,
    tentativa_minutos: Option<i64>,
}

impl TryFrom<ClaimRow> for PendingWrite {
    type Error = Error;

    fn try_from(row: ClaimRow) -> Result<Self, Error> {
        let number = |number: i64| u32::try_from(number).map_err(Error::internal);
        let known = match (row.rev, row.completed_work, row.manual, row.minutos) {
            (Some(rev), Some(completed_work), Some(manual), Some(minutos)) => {
                Some(KnownHours { rev, completed_work, manual, minutos: number(minutos)? })
            }
            _ => None,
        };
        let attempt = (row.tentativa_rev, row.tentativa_completed_work, row.tentativa_manual, row.tentativa_minutos);
        let attempt = match attempt {
            (Some(rev), Some(completed_work), Some(manual), Some(minutos)) => {
                Some(WriteAttempt { rev, completed_work, manual, minutos: number(minutos)? })
            }
            _ => None,
        };
        Ok(Self {
            work_item: WorkItemId::new(row.work_item_id).map_err(Error::internal)?,
            claim: parse_id(&row.reserva)?,
            versao: row.versao,
            minutos: number(row.soma)?,
            tentativas: number(row.tentativas)?,
            known,
            attempt,
        })
    }
}

#[derive(FromQueryResult)]
struct EntryRow {
    usuario_id: String,
    minutos: i64,
    criado_em: i64,
}

impl TryFrom<EntryRow> for BookedHours {
    type Error = Error;

    fn try_from(row: EntryRow) -> Result<Self, Error> {
        let minutos = u16::try_from(row.minutos).map_err(Error::internal)?;
        Ok(Self { usuario: row.usuario_id, minutos, criado_em: instant(row.criado_em)? })
    }
}

#[derive(FromQueryResult)]
struct OrganisationRow {
    organizacao: String,
}

#[derive(FromQueryResult)]
struct TotalsRow {
    pendentes: i64,
    erros: i64,
    desde: Option<i64>,
}
