//! Write-back: the hours of time entries, written into the work items of Azure DevOps.
//!
//! A change of a time entry also stores a pending write of its work item, in the same transaction. A background job carries
//! the pending writes out. `CompletedWork` becomes the hours that people wrote by hand plus the sum of the entries.

mod booked;
mod escrita;
mod manual;
mod queue;
mod use_cases;
mod writer;

pub use booked::{BookedHours, BookedHoursFilter};
pub use escrita::{Escrita, EscritaFiltro, MotivoDoErro};

pub use queue::{KnownHours, PendingWrite, WriteAttempt, WriteBackQueue, WriteBackTotals, WriteEnd};
pub use use_cases::{Escritas, WriteBack, WriteBackSummary};
pub use writer::{HourFields, HoursChange, HoursWrite, WorkItemHours, WorkItemType, WorkItemWriter, WriteResult};

#[cfg(any(test, feature = "mocks"))]
pub use {queue::MockWriteBackQueue, writer::MockWorkItemWriter};
