//! The metrics of read replicas.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::replica::Refusal;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Server {
    server: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Target {
    target: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// The value of `reason` if no replica was asked, because the last probe of each failed.
const NO_REPLICA: &str = "no_replica";
const REPLICA: Target = Target { target: "replica" };
const PRIMARY: Target = Target { target: "primary" };

/// The metrics of all replicas of one database.
#[derive(Debug)]
pub(crate) struct ReplicaMetrics {
    lag: Family<Server, Gauge<f64, AtomicU64>>,
    reads: Family<Target, Counter>,
    fallbacks: Family<Reason, Counter>,
}

impl ReplicaMetrics {
    /// Creates every series, so that alerts see them before the first event.
    pub(super) fn new() -> Self {
        let metrics = Self { lag: Family::default(), reads: Family::default(), fallbacks: Family::default() };
        for target in [REPLICA, PRIMARY] {
            drop(metrics.reads.get_or_create(&target));
        }
        for reason in Refusal::REASONS.into_iter().chain([NO_REPLICA]) {
            drop(metrics.fallbacks.get_or_create(&Reason { reason }));
        }
        metrics
    }

    pub(super) fn set_lag(&self, server: &str, seconds: f64) {
        self.lag.get_or_create(&Server { server: server.to_owned() }).set(seconds);
    }

    pub(super) fn count_replica(&self) {
        self.reads.get_or_create(&REPLICA).inc();
    }

    /// Counts a read that the primary serves, with the reason of the replica that refused it.
    pub(super) fn count_primary(&self, refusal: Option<&Refusal>) {
        self.reads.get_or_create(&PRIMARY).inc();
        let reason = refusal.map_or(NO_REPLICA, Refusal::reason);
        self.fallbacks.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("aponta_database");
        registry.register_with_unit(
            "replica_lag",
            "How old the data of a read replica is, by the last probe",
            Unit::Seconds,
            self.lag.clone(),
        );
        registry.register("reads", "Reads that a replica may serve, by the server that did", self.reads.clone());
        registry.register(
            "replica_fallbacks",
            "Reads that the primary served instead of a replica, by reason",
            self.fallbacks.clone(),
        );
    }
}
