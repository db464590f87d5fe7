//! Background jobs: work that runs periodically, on one replica at a time.

mod job;
mod metrics;
mod runner;
mod write_back_metrics;

pub use job::Job;
pub use metrics::JobMetrics;
pub use runner::JobRunner;
pub use write_back_metrics::WriteBackMetrics;
