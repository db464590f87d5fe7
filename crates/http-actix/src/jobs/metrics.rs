//! Metrics of background jobs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::JobSchedule;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use time::OffsetDateTime;

/// In seconds: from a job with nothing to do to the longest run.
const DURATION_BUCKETS: [f64; 9] = [0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 600.0];

/// `job` is a label of Prometheus itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    job_name: &'static str,
}

/// The metrics of all jobs. A clone counts on.
#[derive(Debug, Clone)]
pub struct JobMetrics {
    duration: Family<Labels, Histogram, fn() -> Histogram>,
    failures: Family<Labels, Counter>,
    last_success: Family<Labels, Gauge>,
    interval: Family<Labels, Gauge>,
}

impl Default for JobMetrics {
    fn default() -> Self {
        Self {
            duration: Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS)),
            failures: Family::default(),
            last_success: Family::default(),
            interval: Family::default(),
        }
    }
}

impl JobMetrics {
    /// Adds the metrics to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("aponta_job");
        registry.register_with_unit("duration", "Duration of a run", Unit::Seconds, self.duration.clone());
        registry.register("failures", "Runs that failed or could not start", self.failures.clone());
        registry.register_with_unit(
            "last_success_timestamp",
            "End of the last successful run of any replica; start of this process until one is known",
            Unit::Seconds,
            self.last_success.clone(),
        );
        registry.register_with_unit(
            "interval",
            "Time from the start of one run to the start of the next",
            Unit::Seconds,
            self.interval.clone(),
        );
    }

    /// Initialises every series of a job, so that alerts see them before its first run.
    pub(super) fn initialize(&self, schedule: &JobSchedule) {
        let labels = Labels { job_name: schedule.name };
        let seconds = i64::try_from(schedule.interval.as_secs()).unwrap_or(i64::MAX);
        self.interval.get_or_create(&labels).set(seconds);
        self.last_success.get_or_create(&labels).set(now());
        drop(self.duration.get_or_create(&labels));
        drop(self.failures.get_or_create(&labels));
    }

    pub(super) fn observe_duration(&self, job_name: &'static str, duration: Duration) {
        self.duration.get_or_create(&Labels { job_name }).observe(duration.as_secs_f64());
    }

    pub(super) fn count_failure(&self, job_name: &'static str) {
        self.failures.get_or_create(&Labels { job_name }).inc();
    }

    pub(super) fn record_success(&self, job_name: &'static str) {
        self.last_success.get_or_create(&Labels { job_name }).set(now());
    }

    /// Takes over the last success of another replica or process.
    pub(super) fn set_last_success(&self, job_name: &'static str, ended_at: OffsetDateTime) {
        self.last_success.get_or_create(&Labels { job_name }).set(ended_at.unix_timestamp());
    }

    #[cfg(test)]
    pub(super) fn snapshot(&self, job_name: &'static str) -> (u64, i64) {
        let labels = Labels { job_name };
        (self.failures.get_or_create(&labels).get(), self.last_success.get_or_create(&labels).get())
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
