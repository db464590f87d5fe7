//! Counters and histograms of the calls to Azure DevOps.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::call_error::CallError;
use super::response::Response;
use crate::error::AzureError;

/// In seconds. The upper buckets cover the timeout of one attempt.
const BUCKETS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 8.0, 10.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    call: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CacheLabels {
    result: &'static str,
}

/// The result of a look-up in the identity cache.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CacheResult {
    /// The identity was cached.
    Hit,
    /// The identity was requested from Azure DevOps.
    Miss,
    /// The rejection was cached.
    Rejected,
}

#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    requests: Family<RequestLabels, Histogram, fn() -> Histogram>,
    cache_lookups: Family<CacheLabels, Counter>,
}

impl Metrics {
    /// Initialises the series of every call name to zero, so that alerts see them from the start.
    pub(crate) fn new(calls: &[&'static str]) -> Self {
        let requests: Family<_, _, fn() -> Histogram> = Family::new_with_constructor(|| Histogram::new(BUCKETS));
        for call in calls {
            drop(requests.get_or_create(&RequestLabels { call, outcome: "ok" }));
        }
        let metrics = Self { requests, cache_lookups: Family::default() };
        for result in [CacheResult::Hit, CacheResult::Miss, CacheResult::Rejected] {
            drop(metrics.cache_lookups.get_or_create(&result.label()));
        }
        metrics
    }

    pub(crate) fn record_request(&self, call: &'static str, result: &Result<Response, CallError>, duration: Duration) {
        let outcome = outcome(result);
        self.requests.get_or_create(&RequestLabels { call, outcome }).observe(duration.as_secs_f64());
    }

    pub(crate) fn record_cache_lookup(&self, result: CacheResult) {
        self.cache_lookups.get_or_create(&result.label()).inc();
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "request_duration",
            "Duration of calls to Azure DevOps, per attempt",
            Unit::Seconds,
            self.requests.clone(),
        );
        registry.register(
            "identity_cache_requests",
            "Look-ups of credentials in the identity cache",
            self.cache_lookups.clone(),
        );
    }
}

/// Returns the value of the label `outcome`.
pub(crate) fn outcome(result: &Result<Response, CallError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(failed) => match &failed.error {
            AzureError::Rejected(_) => "rejected",
            AzureError::Forbidden => "forbidden",
            AzureError::ProjectNotFound { .. } | AzureError::NotFound(_) => "missing",
            AzureError::Unavailable { retry_after: Some(_), .. } => "throttled",
            AzureError::Unavailable { .. } | AzureError::NoOrganisation => "unavailable",
            AzureError::TimedOut(_) => "timeout",
            AzureError::Moved(_) | AzureError::UnsupportedVersion(_) | AzureError::BadUpstream(_) => "invalid_response",
        },
    }
}

impl CacheResult {
    fn label(self) -> CacheLabels {
        let result = match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Rejected => "rejected",
        };
        CacheLabels { result }
    }
}
