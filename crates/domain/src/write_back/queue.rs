//! The port to the pending writes.

use async_trait::async_trait;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{BookedHours, BookedHoursFilter, MotivoDoErro};
use crate::{Error, WorkItemId};

/// The hours of a work item at one revision, and their parts.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct KnownHours {
    /// The number of the revision.
    pub rev: i64,
    /// `CompletedWork` at that revision.
    pub completed_work: f64,
    /// The part of it that people wrote by hand, in hours.
    pub manual: f64,
    /// The part of it that comes from time entries, in minutes.
    pub minutos: u32,
}

/// A write that was sent, or was about to be, and whose result is unknown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WriteAttempt {
    /// The revision that it requires. If it took effect, the work item has the next revision.
    pub rev: i64,
    /// The `CompletedWork` that it writes.
    pub completed_work: f64,
    /// [`KnownHours::manual`] after it.
    pub manual: f64,
    /// [`KnownHours::minutos`] after it.
    pub minutos: u32,
}

/// A claimed work item whose hours are to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingWrite {
    /// The work item.
    pub work_item: WorkItemId,
    /// Identifies the claim.
    pub claim: Uuid,
    /// The number of changes of its time entries.
    pub versao: i64,
    /// The sum of its time entries, with at least the changes up to `versao`.
    pub minutos: u32,
    /// How many attempts in a row failed.
    pub tentativas: u32,
    /// The state after the last write.
    pub known: Option<KnownHours>,
    /// The write whose result is unknown.
    pub attempt: Option<WriteAttempt>,
}

/// How the work on a [`PendingWrite`] ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WriteEnd {
    /// The work item has the hours.
    Written(KnownHours),
    /// The hours cannot be written.
    Failed {
        /// Why.
        motivo: MotivoDoErro,
        /// Whether the stored attempt cannot take effect any more. Otherwise it is kept.
        is_attempt_void: bool,
    },
    /// Another attempt is due at `em`.
    Retry {
        /// The time.
        em: OffsetDateTime,
        /// Whether the stored attempt has not taken effect and cannot any more. Otherwise it is kept.
        is_attempt_void: bool,
    },
}

/// The number of work items in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriteBackTotals {
    /// Work items whose hours are to be written.
    pub pendentes: u64,
    /// Work items whose hours cannot be written.
    pub erros: u64,
    /// Since when the oldest of `pendentes` waits.
    pub desde: Option<OffsetDateTime>,
}

/// The work items of one organisation whose hours are to be written, shared by all replicas.
///
/// [`ApontamentoRepository`](crate::ApontamentoRepository) adds a work item in the transaction that changes the sum of its time
/// entries. It becomes due some seconds after the first change, so that further changes are part of the same write.
///
/// Every method returns `Unavailable` if the database cannot be reached or does not respond in time.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait WriteBackQueue: Send + Sync {
    /// Claims at most `max` work items that are due at `now`: of each person whose change made one pending in turn, the one that
    /// waits longest. Nobody else gets them until the claim is [ended](Self::end), or for a minute.
    ///
    /// # Errors
    /// See the trait.
    async fn claim(&self, now: OffsetDateTime, max: u32) -> Result<Vec<PendingWrite>, Error>;

    /// Returns the newest time entries of a work item that match `filter`, `max` at most, oldest first.
    ///
    /// # Errors
    /// See the trait.
    async fn entries(
        &self,
        work_item: WorkItemId,
        filter: BookedHoursFilter,
        max: u32,
    ) -> Result<Vec<BookedHours>, Error>;

    /// Stores `attempt` before it is sent, and the state `known` on which it depends. Returns whether the claim is still valid;
    /// if not, it must not be sent.
    ///
    /// # Errors
    /// See the trait.
    async fn save_attempt(
        &self,
        pending: &PendingWrite,
        known: KnownHours,
        attempt: WriteAttempt,
    ) -> Result<bool, Error>;

    /// Ends the claim. A work item with changes after `versao` is due again at `now`. A claim that is no longer valid
    /// changes nothing.
    ///
    /// # Errors
    /// See the trait.
    async fn end(&self, pending: &PendingWrite, end: WriteEnd, now: OffsetDateTime) -> Result<(), Error>;

    /// Makes every work item that failed at `failed_until` or before due at `now`, in the turn of `usuario`, and returns how many
    /// there are.
    ///
    /// # Errors
    /// See the trait.
    async fn retry_failed(
        &self,
        usuario: &str,
        failed_until: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<u64, Error>;

    /// Counts the work items.
    ///
    /// # Errors
    /// See the trait.
    async fn totals(&self) -> Result<WriteBackTotals, Error>;
}
