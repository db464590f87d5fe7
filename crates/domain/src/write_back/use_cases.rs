//! Carrying out the pending writes, and trying failed ones again.

use std::collections::HashMap;
use std::sync::Arc;

use time::Duration;

use super::manual::{are_equal, completed_work, from_history, without_history};
use super::{
    BookedHoursFilter, HoursWrite, KnownHours, MotivoDoErro, PendingWrite, WorkItemHours, WorkItemType, WorkItemWriter,
    WriteAttempt, WriteBackQueue, WriteEnd, WriteResult,
};
use crate::{Caller, Clock, Conflict, Error, Service, StateCategory};

/// How many work items are claimed and read at once.
const BATCH: u32 = 20;
/// How many entries of a work item are read to recognise those of the form. Azure DevOps keeps as many revisions.
const MAX_ENTRIES: u32 = 10_000;
/// No work item is begun so long after the start of a run, which a run has to end well within its lease.
const MAX_RUN: Duration = Duration::seconds(15);
/// The time from the first failed attempt to the next. It doubles with each failure.
const FIRST_RETRY: Duration = Duration::seconds(2);
/// The longest time between two attempts.
const MAX_RETRY: Duration = Duration::minutes(10);
/// How long a work item that failed is not tried again, however often people ask for it.
const RETRY_INTERVAL: Duration = Duration::MINUTE;
/// After so many failures in a row, which is about two days, there is no other attempt.
const MAX_ATTEMPTS: u32 = 300;

/// What a run did.
#[derive(Debug, Default)]
pub struct WriteBackSummary {
    /// Work items that have their hours now.
    pub written: u64,
    /// Why hours cannot be written, once for each work item.
    pub failed: Vec<MotivoDoErro>,
    /// Work items for another attempt.
    pub retried: u64,
    /// The last error of Azure DevOps that led to another attempt.
    pub last_error: Option<Error>,
}

/// The background job that writes hours.
pub struct WriteBack {
    queue: Arc<dyn WriteBackQueue>,
    writer: Arc<dyn WorkItemWriter>,
    clock: Arc<dyn Clock>,
}

impl WriteBack {
    /// Builds the job from its ports.
    #[must_use]
    pub fn new(queue: Arc<dyn WriteBackQueue>, writer: Arc<dyn WorkItemWriter>, clock: Arc<dyn Clock>) -> Self {
        Self { queue, writer, clock }
    }

    /// Writes the hours of the work items that are due. It may be cancelled at any await point, and several may run at once.
    ///
    /// # Errors
    /// Those of the queue; `CredentialRejected` and `Forbidden` of the writer, with which no work item can be written.
    pub async fn escrever_pendentes(&self) -> Result<WriteBackSummary, Error> {
        let (started, mut summary) = (self.clock.now(), WriteBackSummary::default());
        let is_over = || MAX_RUN < self.clock.now() - started;
        while !is_over() {
            let claimed = self.queue.claim(self.clock.now(), BATCH).await?;
            if claimed.is_empty() {
                break;
            }
            let items = match self.writer.read(claimed.iter().map(|pending| pending.work_item).collect()).await {
                Ok(items) => Ok(items.into_iter().map(|item| (item.id, item)).collect::<HashMap<_, _>>()),
                Err(error) => Err(summary.retry_after(error)?),
            };
            for pending in claimed.iter().take_while(|_| !is_over()) {
                let end = match &items {
                    Ok(items) => match self.write(pending, items.get(&pending.work_item).cloned()).await {
                        Ok(end) => end,
                        Err(error) => Some(self.retry(pending, summary.retry_after(error)?, false)),
                    },
                    Err(retry_after) => Some(self.retry(pending, *retry_after, false)),
                };
                if let Some(end) = end {
                    summary.count(&end);
                    self.queue.end(pending, end, self.clock.now()).await?;
                }
            }
        }
        Ok(summary)
    }

    /// Writes the hours of one work item. Returns `None` if somebody else has it meanwhile.
    async fn write(&self, pending: &PendingWrite, item: Option<WorkItemHours>) -> Result<Option<WriteEnd>, Error> {
        let Some(mut item) = item else {
            // It may come back from the recycle bin, with the hours that were written.
            let is_untouched = pending.attempt.is_none() && pending.known.is_none_or(|known| known.minutos == 0);
            if pending.minutos == 0 && is_untouched {
                return Ok(Some(WriteEnd::Written(pending.known.unwrap_or_default())));
            }
            return Ok(Some(WriteEnd::Failed { motivo: MotivoDoErro::Inexistente, is_attempt_void: false }));
        };
        let tipo = self.writer.work_item_type(item.projeto.clone(), item.tipo.clone()).await?;
        let mut pending = pending.clone();
        // The attempt may still be on its way, and only one of equal writes of a revision takes effect. Another one instead
        // of it could not be told apart from a change by hand.
        if let Some(attempt) = pending.attempt.filter(|attempt| attempt.rev == item.rev) {
            let hours = hours_to_write(&item, &tipo, attempt.completed_work);
            match self.writer.write(item.id, item.rev, hours).await? {
                WriteResult::Written { rev } => {
                    let WriteAttempt { completed_work, manual, minutos, .. } = attempt;
                    pending.known = Some(KnownHours { rev, completed_work, manual, minutos });
                    pending.attempt = None;
                    item = after(item, rev, hours);
                }
                WriteResult::Outdated => return Ok(Some(self.retry(&pending, None, false))),
                WriteResult::Refused(motivo) => {
                    return Ok(Some(WriteEnd::Failed { motivo, is_attempt_void: false }));
                }
            }
        }
        self.write_sum(&pending, &item, &tipo).await
    }

    /// Writes the manual part plus the sum of the time entries, unless the work item has it already.
    async fn write_sum(
        &self,
        pending: &PendingWrite,
        item: &WorkItemHours,
        tipo: &WorkItemType,
    ) -> Result<Option<WriteEnd>, Error> {
        let known = self.known_hours(pending, item, tipo).await?;
        let (manual, minutos) = (known.manual, pending.minutos);
        let completed_work = completed_work(manual, minutos);
        let hours = hours_to_write(item, tipo, completed_work);
        let written = |rev| Ok(Some(WriteEnd::Written(KnownHours { rev, completed_work, manual, minutos })));
        if hours == HoursWrite::default() {
            return written(item.rev);
        }
        if tipo.states.category(&item.estado).is_some_and(StateCategory::is_closed) {
            return Ok(Some(WriteEnd::Failed { motivo: MotivoDoErro::Encerrado, is_attempt_void: false }));
        }
        let attempt = WriteAttempt { rev: item.rev, completed_work, manual, minutos };
        if !self.queue.save_attempt(pending, known, attempt).await? {
            return Ok(None);
        }
        match self.writer.write(item.id, item.rev, hours).await? {
            WriteResult::Written { rev } => written(rev),
            // It was sent once. If it stayed, hours typed meanwhile could be taken for it.
            WriteResult::Outdated => Ok(Some(self.retry(pending, None, true))),
            WriteResult::Refused(motivo) => Ok(Some(WriteEnd::Failed { motivo, is_attempt_void: true })),
        }
    }

    /// Returns the hours of `item` and their parts.
    async fn known_hours(
        &self,
        pending: &PendingWrite,
        item: &WorkItemHours,
        tipo: &WorkItemType,
    ) -> Result<KnownHours, Error> {
        if !tipo.fields.completed_work {
            return Ok(KnownHours { rev: item.rev, ..KnownHours::default() });
        }
        if let Some(known) = without_history(pending, item) {
            return Ok(known);
        }
        let changes = self.writer.changes(item.id, pending.known.map_or(0, |known| known.rev)).await?;
        let booked = BookedHoursFilter::of(pending.known.unwrap_or_default().completed_work, &changes);
        let entries = match booked {
            Some(filter) => self.queue.entries(item.id, filter, MAX_ENTRIES).await?,
            None => Vec::new(),
        };
        Ok(from_history(pending, item, &changes, &entries))
    }

    fn retry(
        &self,
        pending: &PendingWrite,
        retry_after: Option<std::time::Duration>,
        is_attempt_void: bool,
    ) -> WriteEnd {
        if MAX_ATTEMPTS <= pending.tentativas {
            return WriteEnd::Failed { motivo: MotivoDoErro::SemResposta, is_attempt_void };
        }
        let wait = FIRST_RETRY * 2_f64.powi(pending.tentativas.min(16).cast_signed());
        let retry_after = retry_after.and_then(|wait| Duration::try_from(wait).ok()).unwrap_or_default();
        WriteEnd::Retry { em: self.clock.now() + wait.min(MAX_RETRY).max(retry_after), is_attempt_void }
    }
}

impl WriteBackSummary {
    fn count(&mut self, end: &WriteEnd) {
        match end {
            WriteEnd::Written(_) => self.written += 1,
            WriteEnd::Failed { motivo, .. } => self.failed.push(*motivo),
            WriteEnd::Retry { .. } => self.retried += 1,
        }
    }

    /// Keeps an error of Azure DevOps about one work item, and returns how long to wait if it says so.
    ///
    /// # Errors
    /// `error` if it concerns all work items.
    fn retry_after(&mut self, error: Error) -> Result<Option<std::time::Duration>, Error> {
        let retry_after = match &error {
            Error::Unavailable { service: Service::AzureDevOps, retry_after, .. } => *retry_after,
            Error::Overloaded { retry_after, .. } => Some(*retry_after),
            Error::TimedOut { service: Service::AzureDevOps, .. }
            | Error::BadUpstream { service: Service::AzureDevOps, .. } => None,
            _ => return Err(error),
        };
        self.last_error = Some(error);
        Ok(retry_after)
    }
}

/// The use cases of people around write-back.
pub struct Escritas {
    queue: Option<Arc<dyn WriteBackQueue>>,
    clock: Arc<dyn Clock>,
}

impl Escritas {
    /// Builds the use cases. `queue` is `None` in a deployment that does not write hours.
    #[must_use]
    pub fn new(queue: Option<Arc<dyn WriteBackQueue>>, clock: Arc<dyn Clock>) -> Self {
        Self { queue, clock }
    }

    /// Tries again to write every work item whose hours could not be written for a minute, and returns how many there are.
    ///
    /// # Errors
    /// `Conflict` with `EscritaDesligada`; those of the queue.
    pub async fn reenviar(&self, caller: &Caller) -> Result<u64, Error> {
        let queue = self.queue.as_ref().ok_or(Error::Conflict(Conflict::EscritaDesligada))?;
        let now = self.clock.now();
        queue.retry_failed(&caller.usuario.id, now - RETRY_INTERVAL, now).await
    }
}

/// Returns the fields that differ from `completed_work` and what follows from it.
fn hours_to_write(item: &WorkItemHours, tipo: &WorkItemType, completed_work: f64) -> HoursWrite {
    let differs = |current: Option<f64>, new: f64| !are_equal(current.unwrap_or_default(), new);
    let remaining = item.original_estimate.filter(|_| tipo.fields.remaining_work);
    let remaining = remaining.map(|estimate| ((estimate - completed_work) * 10_000.0).round() / 10_000.0);
    HoursWrite {
        completed_work: Some(completed_work)
            .filter(|&new| tipo.fields.completed_work && differs(item.completed_work, new)),
        remaining_work: remaining.map(|new| new.max(0.0)).filter(|&new| differs(item.remaining_work, new)),
    }
}

/// Returns the work item after a write.
fn after(item: WorkItemHours, rev: i64, hours: HoursWrite) -> WorkItemHours {
    WorkItemHours {
        rev,
        completed_work: hours.completed_work.or(item.completed_work),
        remaining_work: hours.remaining_work.or(item.remaining_work),
        ..item
    }
}

#[cfg(test)]
mod tests;
