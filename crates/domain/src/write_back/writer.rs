//! The port that reads and writes the hours of work items, with the credential of the service.

use async_trait::async_trait;
use time::OffsetDateTime;

use super::MotivoDoErro;
use crate::{Error, WorkItemId, WorkItemStates};

/// The hours of a work item at one revision.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkItemHours {
    /// The id.
    pub id: WorkItemId,
    /// The number of the revision. Every change makes a new one.
    pub rev: i64,
    /// The name of the type.
    pub tipo: String,
    /// The name of the state.
    pub estado: String,
    /// The name of the project.
    pub projeto: String,
    /// The estimated hours.
    pub original_estimate: Option<f64>,
    /// The hours left.
    pub remaining_work: Option<f64>,
    /// The hours done.
    pub completed_work: Option<f64>,
}

/// What a type of work item has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkItemType {
    /// Its states.
    pub states: WorkItemStates,
    /// The fields of hours that can be written.
    pub fields: HourFields,
}

/// The fields of hours that a type has. A task of Scrum has `remaining_work` alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HourFields {
    /// `CompletedWork`.
    pub completed_work: bool,
    /// `RemainingWork`.
    pub remaining_work: bool,
}

/// A revision that changed `CompletedWork`.
#[derive(Debug, Clone, PartialEq)]
pub struct HoursChange {
    /// The number of the revision.
    pub rev: i64,
    /// The id of the identity that made it.
    pub autor: String,
    /// When it was made.
    pub em: OffsetDateTime,
    /// The hours after it.
    pub completed_work: f64,
}

/// New values of fields. Absent fields do not change.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct HoursWrite {
    /// `CompletedWork`.
    pub completed_work: Option<f64>,
    /// `RemainingWork`.
    pub remaining_work: Option<f64>,
}

/// The response to a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteResult {
    /// The values are written.
    Written {
        /// The number of the new revision.
        rev: i64,
    },
    /// The work item has another revision, so nothing was written.
    Outdated,
    /// Nothing was written, and the same write would be refused again.
    Refused(MotivoDoErro),
}

/// Reads and writes the hours of work items of the organisation with the credential of the service. Nothing that it returns is
/// shown to a caller.
///
/// Every method fails with `Unavailable`, `TimedOut` or `BadUpstream` if Azure DevOps fails, with `Overloaded` if too many calls
/// are queued, with `CredentialRejected` or `Forbidden` if the service may not read or write work items at all.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait WorkItemWriter: Send + Sync {
    /// Returns the current state of those work items among `ids` that exist and that the service can see, in any order.
    ///
    /// # Errors
    /// See the trait. All are read or none.
    async fn read(&self, ids: Vec<WorkItemId>) -> Result<Vec<WorkItemHours>, Error>;

    /// Returns what the type `tipo` has in the project `projeto`. It may be some minutes old.
    ///
    /// # Errors
    /// See the trait.
    async fn work_item_type(&self, projeto: String, tipo: String) -> Result<WorkItemType, Error>;

    /// Returns the revisions after `rev` that changed `CompletedWork`, oldest first.
    ///
    /// # Errors
    /// See the trait.
    async fn changes(&self, id: WorkItemId, rev: i64) -> Result<Vec<HoursChange>, Error>;

    /// Writes `hours` if the work item still has the revision `rev`.
    ///
    /// # Errors
    /// See the trait. After `Unavailable`, `TimedOut` and `BadUpstream` the values may be written or not.
    async fn write(&self, id: WorkItemId, rev: i64, hours: HoursWrite) -> Result<WriteResult, Error>;
}
