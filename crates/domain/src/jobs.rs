//! The port that lets one replica at a time run a periodic background job.

use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Error;

/// When a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobSchedule {
    /// The name under which all replicas know the job.
    pub name: &'static str,
    /// The time from the start of one run to the start of the next.
    pub interval: Duration,
    /// The longest time that a run takes. After that another replica may run the job.
    pub max_duration: Duration,
}

/// The right to run a job once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobLease {
    /// [`JobSchedule::name`].
    pub name: &'static str,
    /// Identifies this run.
    pub run: Uuid,
}

/// The result of a request for a [`JobLease`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobClaim {
    /// The caller runs the job.
    Acquired(JobLease),
    /// The job is not due, or another replica runs it.
    NotDue {
        /// The time until the next claim can succeed.
        wait: Duration,
    },
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobOutcome {
    /// The next run is due after the interval.
    Succeeded,
    /// The next run is due after the interval.
    Failed,
    /// The process stopped before the run ended. The job is due at once, for another replica.
    Interrupted,
}

/// Leases of background jobs, shared by all replicas.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait JobLeases: Send + Sync {
    /// Acquires the lease of a job that is due and that no replica runs. Of concurrent claims at most one succeeds.
    ///
    /// # Errors
    /// `Unavailable` if the storage does not respond.
    async fn claim(&self, schedule: &JobSchedule) -> Result<JobClaim, Error>;

    /// Ends the lease. A lease that another replica has taken over stays with that replica.
    ///
    /// # Errors
    /// `Unavailable` if the storage does not respond; the lease then ends after [`JobSchedule::max_duration`].
    async fn end(&self, lease: &JobLease, outcome: JobOutcome) -> Result<(), Error>;

    /// The time at which the last successful run of any replica ended.
    ///
    /// # Errors
    /// `Unavailable` if the storage does not respond.
    async fn last_success(&self, name: &str) -> Result<Option<OffsetDateTime>, Error>;
}
