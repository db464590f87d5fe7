//! The port of the clock, and ids made from its time.

use time::OffsetDateTime;
use uuid::{NoContext, Timestamp, Uuid};

/// The current time.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
pub trait Clock: Send + Sync {
    /// Returns the current time in UTC, truncated to the microsecond, the precision of both databases.
    fn now(&self) -> OffsetDateTime;
}

/// Returns a new UUID version 7 (RFC 9562), so ids created later sort later. Times before 1970 count as 1970.
pub(crate) fn new_uuid(now: OffsetDateTime) -> Uuid {
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.nanosecond()))
}
