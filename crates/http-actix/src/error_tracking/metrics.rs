//! Metrics of events.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The server took it.
    Sent,
    /// Dropped: too many wait.
    QueueFull,
    /// Dropped: the server wants no events for a time.
    RateLimited,
    /// Dropped: the server did not take it.
    Rejected,
    /// Dropped: the server cannot be reached, or did not respond in time.
    Unreachable,
}

impl Outcome {
    const ALL: [Self; 5] = [Self::Sent, Self::QueueFull, Self::RateLimited, Self::Rejected, Self::Unreachable];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::QueueFull => "queue_full",
            Self::RateLimited => "rate_limited",
            Self::Rejected => "rejected",
            Self::Unreachable => "unreachable",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: &'static str,
}

/// The number of events by what became of them. A clone counts on.
#[derive(Debug, Clone)]
pub struct ErrorMetrics(Family<Labels, Counter>);

impl Default for ErrorMetrics {
    /// Initialises every series, so that alerts see them before the first event.
    fn default() -> Self {
        let events = Family::<Labels, Counter>::default();
        for outcome in Outcome::ALL {
            drop(events.get_or_create(&Labels { outcome: outcome.label() }));
        }
        Self(events)
    }
}

impl ErrorMetrics {
    /// Adds the metrics to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("aponta_error_events", "Events for SENTRY_DSN by what became of them", self.0.clone());
    }

    pub(super) fn count(&self, outcome: Outcome) {
        self.0.get_or_create(&Labels { outcome: outcome.label() }).inc();
    }

    #[cfg(test)]
    pub(super) fn get(&self, outcome: Outcome) -> u64 {
        self.0.get_or_create(&Labels { outcome: outcome.label() }).get()
    }
}
