//! A named job.

use domain::{Error, JobSchedule};
use futures_util::future::BoxFuture;

/// Work that runs periodically.
pub struct Job {
    /// Its name, and when it runs.
    pub schedule: JobSchedule,
    /// One run. It may be cancelled at any await point.
    pub run: Box<dyn Fn() -> BoxFuture<'static, Result<(), Error>> + Send + Sync>,
}
