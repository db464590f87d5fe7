//! The port that checks the storage.

use async_trait::async_trait;

use crate::Error;

/// Checks whether the storage can be used.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait Readiness: Send + Sync {
    /// Runs a query on the database, within a bounded time.
    ///
    /// # Errors
    /// `Unavailable` if it fails.
    async fn check(&self) -> Result<(), Error>;
}
