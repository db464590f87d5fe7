//! The memory that the replicas share.

use adapters_redis::{Config, Diagnosis};

use super::report::Report;

/// Checks that the server of `REDIS_URL` responds, and that it forgets instead of refusing. The service runs without it, so a
/// failure is a warning.
pub async fn check(config: Option<&Config>, report: &mut Report) {
    let Some(config) = config else { return };
    let diagnosis = match Diagnosis::of(config).await {
        Ok(diagnosis) => diagnosis,
        Err(reason) => {
            return report.warning("valkey", format_args!("REDIS_URL: {reason}: each replica works by itself"));
        }
    };
    let elapsed = diagnosis.response_time.as_millis();
    report.ok("valkey", format_args!("{} responds in {elapsed} ms", diagnosis.version));
    if diagnosis.max_memory == 0 {
        report.warning("valkey", "has no limit of memory: set maxmemory");
    }
    if !diagnosis.eviction_policy.starts_with("allkeys-") {
        let policy = &diagnosis.eviction_policy;
        report.warning(
            "valkey",
            format_args!("refuses writes when it is full ({policy}): set maxmemory-policy allkeys-lru"),
        );
    }
    if diagnosis.is_persistent {
        report.warning("valkey", "writes to a disk what may be forgotten: set appendonly no and save \"\"");
    }
}
