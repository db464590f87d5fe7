//! The metrics of the database client, named by the semantic conventions of OpenTelemetry
//! (<https://opentelemetry.io/docs/specs/semconv/database/database-metrics/>) in the notation of Prometheus.

use std::borrow::Cow;
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
use sea_orm::DbErr;

use crate::connector::Connector;
use crate::db_error;

/// In seconds: from a response out of the cache to the bound of a statement.
const BUCKETS: [f64; 13] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    db_operation_name: &'static str,
    error_type: Option<Cow<'static, str>>,
}

/// The value of `error.type` for an operation that got no connection.
const NO_CONNECTION: &str = "no_connection";
/// The value of `error.type` for an error without a code.
const OTHER: &str = "_OTHER";
/// The pool of the requests. The connection of the readiness check is not counted.
const POOL_NAME: &str = "requests";

/// The metrics of one database.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    /// How many requests wait for a connection.
    pub(crate) pending: Gauge,
    wait: Histogram,
    operations: Family<OperationLabels, Histogram, fn() -> Histogram>,
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
    /// Records how long a caller waited for a connection.
    pub(crate) fn waited(&self, wait: Duration) {
        self.wait.observe(wait.as_secs_f64());
    }

    /// Records an operation with its result.
    pub(crate) fn ended<T>(&self, operation: &'static str, result: &Result<T, DbErr>, duration: Duration) {
        self.record(operation, result.as_ref().err().map(error_type), duration);
    }

    /// Records an operation that got no connection.
    pub(crate) fn refused(&self, operation: &'static str) {
        self.record(operation, Some(NO_CONNECTION.into()), Duration::ZERO);
    }

    fn record(&self, db_operation_name: &'static str, error_type: Option<Cow<'static, str>>, duration: Duration) {
        let labels = OperationLabels { db_operation_name, error_type };
        self.operations.get_or_create(&labels).observe(duration.as_secs_f64());
    }

    /// Registers the metrics and those of `connections`.
    pub(crate) fn register(&self, registry: &mut Registry, connections: Pool<Connector>) {
        let registry = registry.sub_registry_with_prefix("db_client");
        let operations = registry.sub_registry_with_label(("db_system_name".into(), "postgresql".into()));
        operations.register_with_unit(
            "operation_duration",
            "Duration of operations, without the wait for a connection",
            Unit::Seconds,
            self.operations.clone(),
        );
        let pool = registry.sub_registry_with_label(("db_client_connection_pool_name".into(), POOL_NAME.into()));
        pool.register("connection_pending_requests", "Requests that wait for a connection", self.pending.clone());
        pool.register_with_unit(
            "connection_wait_time",
            "Time until a connection was free",
            Unit::Seconds,
            self.wait.clone(),
        );
        pool.register_collector(Box::new(Connections(connections)));
    }
}

/// Returns the SQLSTATE of a failed statement.
fn error_type(error: &DbErr) -> Cow<'static, str> {
    db_error::code(error).map_or(Cow::Borrowed(OTHER), |code| Cow::Owned(code.to_owned()))
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
            encoder.encode_descriptor("connection_count", "Open connections, by state", None, MetricType::Gauge)?;
        for (state, n) in [("idle", idle), ("used", status.size - idle)] {
            let labels = [("db_client_connection_state", state)];
            ConstGauge::new(count(n)).encode(connections.encode_family(&labels)?)?;
        }
        let max = ConstGauge::new(count(status.max_size));
        max.encode(encoder.encode_descriptor("connection_max", "Connections at most", None, MetricType::Gauge)?)
    }
}
