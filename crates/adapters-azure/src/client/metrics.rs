//! Counters and histograms of the calls to Azure DevOps.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::call::Call;
use super::call_error::CallError;
use super::response::Response;
use crate::error::AzureError;

/// In seconds. The upper buckets cover the timeout of one attempt.
const BUCKETS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 8.0, 10.0];

/// Attributes of `http.client.request.duration` in the semantic conventions of OpenTelemetry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    http_request_method: &'static str,
    server_address: String,
    server_port: Option<u16>,
    url_template: &'static str,
    http_response_status_code: Option<u16>,
    error_type: Option<&'static str>,
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
    /// The identity was requested from another replica or Azure DevOps.
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
    /// Initialises the look-ups to zero. The series of a call starts with its first response or failure.
    pub(crate) fn new() -> Self {
        let requests = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        let metrics = Self { requests, cache_lookups: Family::default() };
        for result in [CacheResult::Hit, CacheResult::Miss, CacheResult::Rejected] {
            drop(metrics.cache_lookups.get_or_create(&result.label()));
        }
        metrics
    }

    /// Records one attempt. `status` is that of the response, if there was one.
    pub(crate) fn record_request(
        &self,
        call: &Call<'_>,
        status: Option<u16>,
        result: &Result<Response, CallError>,
        duration: Duration,
    ) {
        let labels = RequestLabels {
            http_request_method: call.method(),
            server_address: call.url.host_str().unwrap_or_default().to_owned(),
            server_port: call.url.port_or_known_default(),
            url_template: call.url_template,
            http_response_status_code: status,
            error_type: result.as_ref().err().map(|failed| error_type(&failed.error)),
        };
        self.requests.get_or_create(&labels).observe(duration.as_secs_f64());
    }

    pub(crate) fn record_cache_lookup(&self, result: CacheResult) {
        self.cache_lookups.get_or_create(&result.label()).inc();
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.sub_registry_with_prefix("http_client").register_with_unit(
            "request_duration",
            "Duration of calls to Azure DevOps, per attempt",
            Unit::Seconds,
            self.requests.clone(),
        );
        registry.sub_registry_with_prefix("azure").register(
            "identity_cache_requests",
            "Look-ups of credentials in the identity cache",
            self.cache_lookups.clone(),
        );
    }
}

/// Returns the value of the attribute `error.type`.
pub(crate) const fn error_type(error: &AzureError) -> &'static str {
    match error {
        AzureError::Rejected(_) => "rejected",
        AzureError::Forbidden => "forbidden",
        AzureError::ProjectNotFound { .. } | AzureError::WorkItemNotFound(_) | AzureError::NotFound(_) => "not_found",
        AzureError::Overloaded { .. } => "overloaded",
        AzureError::Unavailable { retry_after: Some(_), .. } => "throttled",
        AzureError::Unavailable { .. } | AzureError::NoOrganisation => "unavailable",
        AzureError::TimedOut(_) => "timeout",
        AzureError::RevisionMismatch(_) => "conflict",
        AzureError::BadRequest(_) => "bad_request",
        AzureError::Moved(_) | AzureError::UnsupportedVersion(_) | AzureError::BadUpstream(_) => "invalid_response",
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
