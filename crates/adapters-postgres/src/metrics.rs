//! What can be measured of the database from here. The names are those of OpenTelemetry's semantic conventions for
//! databases, as Prometheus writes them.

use std::fmt;
use std::time::Duration;

use deadpool::managed::Pool;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::connector::Connector;

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
    pub(crate) fn register(&self, registry: &mut Registry, connections: Pool<Connector>) {
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

/// A caller that waits for a connection, until it is dropped.
pub(crate) struct Pending<'a>(&'a Gauge);

impl<'a> Pending<'a> {
    pub(crate) fn new(pending: &'a Gauge) -> Self {
        pending.inc();
        Self(pending)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

struct Connections(Pool<Connector>);

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connections")
    }
}

impl Collector for Connections {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let status = self.0.status();
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let idle = status.available.min(status.size);
        let mut connections =
            encoder.encode_descriptor("connections", "Connections that are open", None, MetricType::Gauge)?;
        for (state, n) in [("idle", idle), ("used", status.size - idle)] {
            let labels = [("state", state)];
            ConstGauge::new(count(n)).encode(connections.encode_family(&labels)?)?;
        }
        let max = ConstGauge::new(count(status.max_size));
        max.encode(encoder.encode_descriptor("connections_max", "Connections at most", None, MetricType::Gauge)?)
    }
}
