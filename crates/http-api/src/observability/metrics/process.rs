//! The resources of the process, under the names that Prometheus prescribes
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>).

use std::fmt;

use procfs::process::{LimitValue, Process as Proc, Stat};
use procfs::{WithCurrentSystemInfo as _, boot_time_secs, ticks_per_second};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Reads `/proc` whenever the metrics are collected.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        // Without /proc the other metrics are still exported.
        let Ok(process) = Proc::myself() else { return Ok(()) };
        let Ok(stat) = process.stat() else { return Ok(()) };
        let mut gauge = |name: &str, help: &str, value: Option<f64>| match value.map(ConstGauge::new) {
            Some(gauge) => gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?),
            None => Ok(()),
        };
        gauge("process_resident_memory_bytes", "Resident memory", Some(float(stat.rss_bytes().get())))?;
        gauge("process_virtual_memory_bytes", "Virtual memory", Some(float(stat.vsize)))?;
        gauge("process_open_fds", "Open file descriptors", process.fd_count().ok().map(|count| float(count as u64)))?;
        gauge("process_max_fds", "File descriptors at most", max_fds(&process))?;
        gauge("process_start_time_seconds", "Start, since the Unix epoch", start_time(&stat))?;
        gauge("process_threads", "Threads", Some(float(stat.num_threads.unsigned_abs())))?;
        let cpu = ConstCounter::new(float(stat.utime + stat.stime) / float(ticks_per_second()));
        cpu.encode(encoder.encode_descriptor("process_cpu_seconds", "Time of CPU used", None, cpu.metric_type())?)
    }
}

fn max_fds(process: &Proc) -> Option<f64> {
    match process.limits().ok()?.max_open_files.soft_limit {
        LimitValue::Value(limit) => Some(float(limit)),
        LimitValue::Unlimited => Some(f64::INFINITY),
    }
}

fn start_time(stat: &Stat) -> Option<f64> {
    Some(float(boot_time_secs().ok()?) + float(stat.starttime) / float(ticks_per_second()))
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, which no process uses of anything")]
fn float(number: u64) -> f64 {
    number as f64
}
