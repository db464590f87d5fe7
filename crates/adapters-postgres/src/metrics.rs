//! What can be measured of the database from here. The names are those of OpenTelemetry's semantic conventions for
//! databases, as Prometheus writes them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::pool::Pool;

/// In seconds: from an answer out of the cache to the bound of a statement.
const BUCKETS: [f64; 13] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
    outcome: &'static str,
}

/// The counters of one database.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    /// How many wait for a connection.
    pub(crate) pending: Gauge,
    wait: Histogram,
    operations: Family<Operation, Histogram, fn() -> Histogram>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            pending: Gauge::default(),
            wait: histogram(),
            operations: Family::new_with_constructor(histogram as fn() -> Histogram),
        }
    }
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

impl Metrics {
    /// A connection was free after `wait`.
    pub(crate) fn waited(&self, wait: Duration) {
        self.wait.observe(wait.as_secs_f64());
    }

    /// An operation has ended: with `ok`, with `error`, or `refused` because there was no connection for it.
    pub(crate) fn ended(&self, operation: &'static str, outcome: &'static str, duration: Duration) {
        self.operations.get_or_create(&Operation { operation, outcome }).observe(duration.as_secs_f64());
    }

    /// Makes all of it, and the state of the connections, part of `registry`.
    pub(crate) fn register(&self, registry: &mut Registry, connections: Vec<Arc<Pool>>) {
        let registry = registry.sub_registry_with_prefix("db_client");
        registry.register("connections_pending", "Requests that wait for a connection now", self.pending.clone());
        registry.register_with_unit(
            "connection_wait",
            "Time until a connection was free",
            Unit::Seconds,
            self.wait.clone(),
        );
        registry.register_with_unit(
            "operation_duration",
            "Time that an operation took with its connection in hand",
            Unit::Seconds,
            self.operations.clone(),
        );
        registry.register_collector(Box::new(Connections(connections)));
    }
}

struct Connections(Vec<Arc<Pool>>);

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connections")
    }
}

impl Collector for Connections {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let (mut used, mut idle, mut max) = (0, 0, 0);
        for pool in &self.0 {
            let (size, open, in_use) = pool.size_open_used();
            used += i64::try_from(in_use).unwrap_or(i64::MAX);
            idle += i64::try_from(open.saturating_sub(in_use)).unwrap_or(i64::MAX);
            max += i64::try_from(size).unwrap_or(i64::MAX);
        }
        let mut connections =
            encoder.encode_descriptor("connections", "Connections that are open", None, MetricType::Gauge)?;
        for (state, count) in [("idle", idle), ("used", used)] {
            let labels = [("state", state)];
            ConstGauge::new(count).encode(connections.encode_family(&labels)?)?;
        }
        let max = ConstGauge::new(max);
        max.encode(encoder.encode_descriptor("connections_max", "Connections at most", None, MetricType::Gauge)?)
    }
}
