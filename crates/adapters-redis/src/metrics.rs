//! The metrics of the shared memory.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    r#use: &'static str,
    outcome: &'static str,
}

/// The port that an operation serves.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Use {
    Identities,
    Rates,
}

/// The end of an operation.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    /// The server did it.
    Ok,
    /// The server has no such entry.
    Missing,
    /// The entry is not one that this tenant has stored, or it has expired.
    Invalid,
    /// The server returned an error, or nothing in time.
    Failed,
    /// There was no connection, so that nothing was sent.
    Skipped,
}

#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    operations: Family<Labels, Counter>,
    pub(crate) connected: Gauge,
}

impl Metrics {
    /// Creates every series, so that alerts see them before the first event.
    pub(crate) fn new() -> Self {
        let metrics = Self { operations: Family::default(), connected: Gauge::default() };
        for outcome in [Outcome::Ok, Outcome::Failed, Outcome::Skipped] {
            drop(metrics.operations.get_or_create(&labels(Use::Rates, outcome)));
        }
        for outcome in [Outcome::Ok, Outcome::Missing, Outcome::Invalid, Outcome::Failed, Outcome::Skipped] {
            drop(metrics.operations.get_or_create(&labels(Use::Identities, outcome)));
        }
        metrics
    }

    pub(crate) fn count(&self, r#use: Use, outcome: Outcome) {
        self.operations.get_or_create(&labels(r#use, outcome)).inc();
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("aponta_shared_memory");
        let help = "Operations on Valkey by use, and by outcome: failed, and skipped without a connection, are done by the \
                    replica itself";
        registry.register("operations", help, self.operations.clone());
        registry.register("connected", "1 while this replica uses Valkey", self.connected.clone());
    }
}

fn labels(r#use: Use, outcome: Outcome) -> Labels {
    let r#use = match r#use {
        Use::Identities => "identities",
        Use::Rates => "rates",
    };
    let outcome = match outcome {
        Outcome::Ok => "ok",
        Outcome::Missing => "missing",
        Outcome::Invalid => "invalid",
        Outcome::Failed => "failed",
        Outcome::Skipped => "skipped",
    };
    Labels { r#use, outcome }
}
