//! Shared state of the middleware that measures and logs requests.

use super::client_address::TrustedProxies;
use crate::observability::ServerErrorObserver;
use crate::observability::metrics::Metrics;

/// The metrics of the process and the proxies whose `X-Forwarded-For` is honoured.
#[derive(Clone)]
pub struct HttpObservability {
    /// Counters and histograms of requests.
    pub metrics: Metrics,
    /// The proxies in front of the service.
    pub proxies: TrustedProxies,
    /// Observes responses 500, if the process has an observer.
    pub server_errors: Option<ServerErrorObserver>,
}
