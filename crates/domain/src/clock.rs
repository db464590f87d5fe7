//! The port of the clock, and ids made from its time.

use time::OffsetDateTime;
use uuid::{NoContext, Timestamp, Uuid};

/// What time it is.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
pub trait Clock: Send + Sync {
    /// Now, UTC, cut to the microsecond, because that is what both databases keep.
    fn now(&self) -> OffsetDateTime;
}

/// A new UUID version 7 for something created at `now`; times before 1970 count as 1970.
pub(crate) fn new_uuid(now: OffsetDateTime) -> Uuid {
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.nanosecond()))
}
