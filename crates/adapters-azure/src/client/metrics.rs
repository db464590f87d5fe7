//! What can be measured of Azure DevOps from here.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::call_error::Fault;
use super::response::Answer;
use crate::error::Failure;

/// In seconds: from an answer out of the same city to the bound of an attempt.
const BUCKETS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 8.0, 10.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    call: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    result: &'static str,
}

/// How a question about an identity was answered.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LookUp {
    /// It was remembered.
    Hit,
    /// Azure had to be asked.
    Miss,
    /// That it was rejected was remembered.
    Rejected,
}

/// The counters of one way to Azure.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    requests: Family<Request, Histogram, fn() -> Histogram>,
    look_ups: Family<Asked, Counter>,
}

impl Metrics {
    /// Counters for the calls of these names; those that have not happened yet are zero and not missing.
    pub(crate) fn new(calls: &[&'static str]) -> Self {
        let requests: Family<_, _, fn() -> Histogram> = Family::new_with_constructor(|| Histogram::new(BUCKETS));
        for call in calls {
            drop(requests.get_or_create(&Request { call, outcome: "ok" }));
        }
        let metrics = Self { requests, look_ups: Family::default() };
        for result in [LookUp::Hit, LookUp::Miss, LookUp::Rejected] {
            drop(metrics.look_ups.get_or_create(&result.label()));
        }
        metrics
    }

    pub(crate) fn answered(&self, call: &'static str, result: &Result<Answer, Fault>, duration: Duration) {
        let outcome = outcome(result);
        self.requests.get_or_create(&Request { call, outcome }).observe(duration.as_secs_f64());
    }

    pub(crate) fn looked_up(&self, result: LookUp) {
        self.look_ups.get_or_create(&result.label()).inc();
    }

    /// Registers all of it.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "request_duration",
            "Time that a call to Azure DevOps took, each attempt by itself",
            Unit::Seconds,
            self.requests.clone(),
        );
        registry.register(
            "identity_cache_requests",
            "Credentials looked up among the identities that are remembered",
            self.look_ups.clone(),
        );
    }
}

/// What a call came to, in one word.
pub(crate) fn outcome(result: &Result<Answer, Fault>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(fault) => match &fault.failure {
            Failure::Rejected => "rejected",
            Failure::Forbidden => "forbidden",
            Failure::Missing { .. } | Failure::NotFound(_) => "missing",
            Failure::Unavailable { retry_after: Some(_), .. } => "throttled",
            Failure::Unavailable { .. } | Failure::NoOrganisation => "unavailable",
            Failure::TimedOut(_) => "timeout",
            Failure::BadUpstream(_) => "senseless",
        },
    }
}

impl LookUp {
    fn label(self) -> Asked {
        let result = match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Rejected => "rejected",
        };
        Asked { result }
    }
}
