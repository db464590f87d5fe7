//! The port that tells whether the storage can be used.

use async_trait::async_trait;

use crate::Error;

/// Whether the place where things are kept can answer.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait Readiness: Send + Sync {
    /// Asks the database for an answer, within a bounded time.
    ///
    /// # Errors
    /// `Unavailable` when there is none.
    async fn check(&self) -> Result<(), Error>;
}
