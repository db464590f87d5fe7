//! Background jobs: work that runs periodically, on one replica at a time.

mod metrics;
mod runner;

use domain::{Error, JobSchedule};
use futures_util::future::BoxFuture;

pub use metrics::JobMetrics;
pub use runner::JobRunner;

/// A named job.
pub struct Job {
    /// Its name, and when it runs.
    pub schedule: JobSchedule,
    /// One run. It may be cancelled at any await point.
    pub run: Box<dyn Fn() -> BoxFuture<'static, Result<(), Error>> + Send + Sync>,
}
