//! Work items whose hours are to be written to Azure DevOps, as rows of `escritas`.

use async_trait::async_trait;
use domain::{
    BookedHours, BookedHoursFilter, Error, KnownHours, PendingWrite, WorkItemId, WriteAttempt, WriteBackQueue,
    WriteBackTotals, WriteEnd,
};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, raw_sql};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::operation::Transaction;
use crate::{PostgresDatabase, db_error};

/// The time from the first change of a work item to its write. Changes in between are part of it.
const DELAY: Duration = Duration::seconds(3);
/// How long a claim lasts that nobody ends.
const CLAIM: Duration = Duration::seconds(45);

/// [`WriteBackQueue`] of one organisation on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresWriteBackQueue {
    database: PostgresDatabase,
    organizacao: String,
}

impl PostgresWriteBackQueue {
    /// Creates the queue of the work items of `organizacao` in `database`.
    #[must_use]
    pub fn new(database: &PostgresDatabase, organizacao: impl Into<String>) -> Self {
        Self { database: database.clone(), organizacao: organizacao.into() }
    }

    async fn claim_rows(&self, now: OffsetDateTime, max: u32) -> Result<Vec<ClaimRow>, DbErr> {
        let (organizacao, until, claim, max) = (self.organizacao.as_str(), now + CLAIM, Uuid::now_v7(), i64::from(max));
        let rows = ClaimRow::find_by_statement(raw_sql!(
            Postgres,
            r#"WITH due AS MATERIALIZED (
                   SELECT s.organizacao, s.work_item_id FROM escritas s
                   JOIN (
                       SELECT organizacao, work_item_id,
                              row_number() OVER (PARTITION BY usuario_id ORDER BY proxima_em, work_item_id) AS vez
                       FROM escritas WHERE proxima_em <= {now} AND organizacao = {organizacao}
                   ) turns ON turns.organizacao = s.organizacao AND turns.work_item_id = s.work_item_id
                   WHERE s.proxima_em <= {now}
                   ORDER BY turns.vez, s.proxima_em, s.work_item_id LIMIT {max} FOR NO KEY UPDATE OF s SKIP LOCKED
               )
               UPDATE escritas s SET reserva = {claim}, proxima_em = {until} FROM due
               WHERE s.organizacao = due.organizacao AND s.work_item_id = due.work_item_id
               RETURNING s.work_item_id, s.reserva, s.versao, s.tentativas, s.rev, s.completed_work, s.manual, s.minutos,
                         s.tentativa_rev, s.tentativa_completed_work, s.tentativa_manual, s.tentativa_minutos"#
        ));
        rows.all(&self.database.write("write_back.claim")).await
    }

    /// The sums of the claimed work items. A statement of its own, whose snapshot has every change that `versao` counts.
    async fn sums(&self, rows: &[ClaimRow]) -> Result<Vec<SumRow>, DbErr> {
        let (organizacao, ids) =
            (self.organizacao.as_str(), rows.iter().map(|row| row.work_item_id).collect::<Value>());
        let sums = SumRow::find_by_statement(raw_sql!(
            Postgres,
            r#"SELECT work_item_id, sum(minutos)::bigint AS minutos FROM apontamentos
               WHERE organizacao = {organizacao} AND verificado
                 AND work_item_id IN (SELECT id::integer FROM jsonb_array_elements_text({ids}::jsonb) AS ids (id))
               GROUP BY work_item_id"#
        ));
        sums.all(&self.database.read("write_back.sums")).await
    }
}

/// A work item of which a person changed the sum of the entries.
pub(crate) struct Changed<'a> {
    pub(crate) usuario: &'a str,
    pub(crate) organizacao: &'a str,
    pub(crate) work_item: i32,
}

/// Adds work items to the queue, in the transaction that changes the sums of their entries. The rows are locked in one order,
/// which excludes deadlocks.
pub(crate) async fn enqueue(
    transaction: &Transaction<'_>,
    changed: impl Iterator<Item = Changed<'_>>,
    now: OffsetDateTime,
) -> Result<(), DbErr> {
    let changed: Vec<_> = changed
        .map(|Changed { usuario, organizacao, work_item }| json!({"u": usuario, "o": organizacao, "i": work_item}))
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    let (changed, due) = (Value::from(changed), now + DELAY);
    let enqueue = raw_sql!(
        Postgres,
        r#"INSERT INTO escritas AS s (organizacao, work_item_id, usuario_id, pendente_desde, proxima_em)
           SELECT DISTINCT ON (o, i) o, i, u, {now}::timestamptz, {due}::timestamptz
           FROM jsonb_to_recordset({changed}::jsonb) AS changed (u text, o text, i integer)
           ORDER BY o, i
           ON CONFLICT ON CONSTRAINT escritas_pkey DO UPDATE
           SET versao = s.versao + 1,
               usuario_id = CASE WHEN s.proxima_em IS NULL THEN EXCLUDED.usuario_id ELSE s.usuario_id END,
               pendente_desde = COALESCE(s.pendente_desde, EXCLUDED.pendente_desde),
               proxima_em = COALESCE(s.proxima_em, EXCLUDED.proxima_em),
               tentativas = CASE WHEN s.motivo IS NULL THEN s.tentativas ELSE 0 END,
               motivo = NULL"#
    );
    transaction.execute_raw(enqueue).await.map(drop)
}

#[async_trait]
impl WriteBackQueue for PostgresWriteBackQueue {
    async fn claim(&self, now: OffsetDateTime, max: u32) -> Result<Vec<PendingWrite>, Error> {
        let rows = unavailable(self.claim_rows(now, max).await)?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let sums = unavailable(self.sums(&rows).await)?;
        let sum = |id| sums.iter().find(|row| row.work_item_id == id).map_or(0, |row| row.minutos);
        rows.into_iter().map(|row| row.with_sum(sum)).collect()
    }

    async fn entries(
        &self,
        work_item: WorkItemId,
        filter: BookedHoursFilter,
        max: u32,
    ) -> Result<Vec<BookedHours>, Error> {
        let (organizacao, id, max) = (self.organizacao.as_str(), work_item.get(), i64::from(max));
        let BookedHoursFilter { usuarios, de, ate } = filter;
        let usuarios: Value = usuarios.into_iter().collect();
        let rows = EntryRow::find_by_statement(raw_sql!(
            Postgres,
            r#"SELECT usuario_id, minutos, criado_em FROM (
                   SELECT usuario_id, minutos, criado_em, id FROM apontamentos
                   WHERE organizacao = {organizacao} AND work_item_id = {id} AND criado_em BETWEEN {de} AND {ate}
                     AND usuario_id IN (SELECT usuario FROM jsonb_array_elements_text({usuarios}::jsonb) AS u (usuario))
                   ORDER BY criado_em DESC, id DESC LIMIT {max}
               ) newest ORDER BY criado_em, id"#
        ));
        let rows = unavailable(rows.all(&self.database.read("write_back.entries")).await)?;
        rows.into_iter()
            .map(|row| {
                let minutos = u16::try_from(row.minutos).map_err(Error::internal)?;
                Ok(BookedHours { usuario: row.usuario_id, minutos, criado_em: row.criado_em })
            })
            .collect()
    }

    async fn save_attempt(
        &self,
        pending: &PendingWrite,
        known: KnownHours,
        attempt: WriteAttempt,
    ) -> Result<bool, Error> {
        let (organizacao, id, claim) = (self.organizacao.as_str(), pending.work_item.get(), pending.claim);
        let KnownHours { rev, completed_work, manual, minutos } = known;
        let (minutos, next_minutos) = (i64::from(minutos), i64::from(attempt.minutos));
        let WriteAttempt { rev: next_rev, completed_work: next_completed_work, manual: next_manual, .. } = attempt;
        let save = raw_sql!(
            Postgres,
            r#"UPDATE escritas
               SET rev = {rev}, completed_work = {completed_work}, manual = {manual}, minutos = {minutos},
                   tentativa_rev = {next_rev}, tentativa_completed_work = {next_completed_work},
                   tentativa_manual = {next_manual}, tentativa_minutos = {next_minutos}
               WHERE organizacao = {organizacao} AND work_item_id = {id} AND reserva = {claim}"#
        );
        let saved = self.database.write("write_back.save_attempt").execute_raw(save).await;
        Ok(unavailable(saved)?.rows_affected() != 0)
    }

    async fn end(&self, pending: &PendingWrite, end: WriteEnd, now: OffsetDateTime) -> Result<(), Error> {
        let (organizacao, id, claim) = (self.organizacao.as_str(), pending.work_item.get(), pending.claim);
        let versao = pending.versao;
        // Changes after `versao` stay pending.
        let end = match end {
            WriteEnd::Written(KnownHours { rev, completed_work, manual, minutos }) => {
                let minutos = i64::from(minutos);
                raw_sql!(
                    Postgres,
                    r#"UPDATE escritas
                       SET reserva = NULL, tentativas = 0, motivo = NULL,
                           usuario_id = CASE WHEN versao <> {versao} THEN usuario_id END,
                           proxima_em = CASE WHEN versao <> {versao} THEN {now}::timestamptz END,
                           pendente_desde = CASE WHEN versao <> {versao} THEN {now}::timestamptz END,
                           rev = {rev}, completed_work = {completed_work}, manual = {manual}, minutos = {minutos},
                           tentativa_rev = NULL, tentativa_completed_work = NULL, tentativa_manual = NULL,
                           tentativa_minutos = NULL
                       WHERE organizacao = {organizacao} AND work_item_id = {id} AND reserva = {claim}"#
                )
            }
            WriteEnd::Failed { motivo, is_attempt_void } => {
                let motivo = motivo.code();
                raw_sql!(
                    Postgres,
                    r#"UPDATE escritas
                       SET reserva = NULL, tentativas = 0,
                           motivo = CASE WHEN versao = {versao} THEN {motivo} END,
                           falhou_em = {now}, usuario_id = CASE WHEN versao <> {versao} THEN usuario_id END,
                           proxima_em = CASE WHEN versao <> {versao} THEN {now}::timestamptz END,
                           pendente_desde = CASE WHEN versao <> {versao} THEN pendente_desde END,
                           tentativa_rev = CASE WHEN NOT {is_attempt_void} THEN tentativa_rev END,
                           tentativa_completed_work = CASE WHEN NOT {is_attempt_void} THEN tentativa_completed_work END,
                           tentativa_manual = CASE WHEN NOT {is_attempt_void} THEN tentativa_manual END,
                           tentativa_minutos = CASE WHEN NOT {is_attempt_void} THEN tentativa_minutos END
                       WHERE organizacao = {organizacao} AND work_item_id = {id} AND reserva = {claim}"#
                )
            }
            WriteEnd::Retry { em, is_attempt_void } => raw_sql!(
                Postgres,
                r#"UPDATE escritas
                   SET reserva = NULL, tentativas = tentativas + 1, proxima_em = {em},
                       tentativa_rev = CASE WHEN NOT {is_attempt_void} THEN tentativa_rev END,
                       tentativa_completed_work = CASE WHEN NOT {is_attempt_void} THEN tentativa_completed_work END,
                       tentativa_manual = CASE WHEN NOT {is_attempt_void} THEN tentativa_manual END,
                       tentativa_minutos = CASE WHEN NOT {is_attempt_void} THEN tentativa_minutos END
                   WHERE organizacao = {organizacao} AND work_item_id = {id} AND reserva = {claim}"#
            ),
        };
        unavailable(self.database.write("write_back.end").execute_raw(end).await).map(drop)
    }

    async fn retry_failed(
        &self,
        usuario: &str,
        failed_until: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<u64, Error> {
        let organizacao = self.organizacao.as_str();
        let retry = raw_sql!(
            Postgres,
            r#"UPDATE escritas
               SET motivo = NULL, tentativas = 0, proxima_em = {now}, pendente_desde = {now}, usuario_id = {usuario}
               WHERE motivo IS NOT NULL AND organizacao = {organizacao}
                 AND (falhou_em IS NULL OR falhou_em <= {failed_until})"#
        );
        let retried = self.database.write("write_back.retry_failed").execute_raw(retry).await;
        Ok(unavailable(retried)?.rows_affected())
    }

    async fn totals(&self) -> Result<WriteBackTotals, Error> {
        let organizacao = self.organizacao.as_str();
        let row = TotalsRow::find_by_statement(raw_sql!(
            Postgres,
            r#"SELECT p.pendentes, p.desde, e.erros
               FROM (SELECT count(*) AS pendentes, min(pendente_desde) AS desde FROM escritas
                     WHERE proxima_em IS NOT NULL AND organizacao = {organizacao}) p,
                    (SELECT count(*) AS erros FROM escritas
                     WHERE motivo IS NOT NULL AND organizacao = {organizacao}) e"#
        ));
        let row = unavailable(row.one(&self.database.read("write_back.totals")).await)?;
        let TotalsRow { pendentes, desde, erros } = row.ok_or_else(|| Error::internal("an aggregate has no row"))?;
        let count = |count: i64| u64::try_from(count).map_err(Error::internal);
        Ok(WriteBackTotals { pendentes: count(pendentes)?, erros: count(erros)?, desde })
    }
}

#[derive(FromQueryResult)]
struct ClaimRow {
    work_item_id: i32,
    reserva: Uuid,
    versao: i64,
    tentativas: i32,
    rev: Option<i64>,
    completed_work: Option<f64>,
    manual: Option<f64>,
    minutos: Option<i64>,
    tentativa_rev: Option<i64>,
    tentativa_completed_work: Option<f64>,
    tentativa_manual: Option<f64>,
    tentativa_minutos: Option<i64>,
}

impl ClaimRow {
    fn with_sum(self, sum: impl Fn(i32) -> i64) -> Result<PendingWrite, Error> {
        let minutos = |minutos: i64| u32::try_from(minutos).map_err(Error::internal);
        let known = match (self.rev, self.completed_work, self.manual, self.minutos) {
            (Some(rev), Some(completed_work), Some(manual), Some(sum)) => {
                Some(KnownHours { rev, completed_work, manual, minutos: minutos(sum)? })
            }
            _ => None,
        };
        let attempt =
            (self.tentativa_rev, self.tentativa_completed_work, self.tentativa_manual, self.tentativa_minutos);
        let attempt = match attempt {
            (Some(rev), Some(completed_work), Some(manual), Some(sum)) => {
                Some(WriteAttempt { rev, completed_work, manual, minutos: minutos(sum)? })
            }
            _ => None,
        };
        Ok(PendingWrite {
            work_item: WorkItemId::new(self.work_item_id.into()).map_err(Error::internal)?,
            claim: self.reserva,
            versao: self.versao,
            minutos: minutos(sum(self.work_item_id))?,
            tentativas: u32::try_from(self.tentativas).map_err(Error::internal)?,
            known,
            attempt,
        })
    }
}

#[derive(FromQueryResult)]
struct SumRow {
    work_item_id: i32,
    minutos: i64,
}

#[derive(FromQueryResult)]
struct EntryRow {
    usuario_id: String,
    minutos: i16,
    criado_em: OffsetDateTime,
}

#[derive(FromQueryResult)]
struct TotalsRow {
    pendentes: i64,
    desde: Option<OffsetDateTime>,
    erros: i64,
}

fn unavailable<T>(result: Result<T, DbErr>) -> Result<T, Error> {
    result.map_err(|error| db_error::into_domain(&error))
}
