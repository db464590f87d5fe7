//! The metrics of the HTTP server and of the use cases.
//!
//! `http_server_…` follows the semantic conventions of OpenTelemetry in the notation of Prometheus
//! (<https://opentelemetry.io/docs/specs/semconv/http/http-metrics/>). `aponta_…` has no counterpart there.

mod endpoint;
#[cfg(target_os = "linux")]
mod process;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

pub use endpoint::MetricsServer;

use crate::limits::in_flight::InFlight;

/// In seconds: from a response out of memory to the patience of clients. An alert needs the bound of one second.
const REQUEST_BUCKETS: [f64; 13] = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// In seconds: a synchronisation reads the projects of Azure DevOps page by page.
const SYNC_BUCKETS: [f64; 8] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The metrics. Clones share their values.
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: Family<RequestLabels, Histogram, fn() -> Histogram>,
    active: Family<ActiveLabels, Gauge>,
    authentications: Family<Outcome, Counter>,
    rate_limit_refusals: Counter,
    syncs: Family<Outcome, Counter>,
    sync_duration: Histogram,
    last_sync: Gauge,
    in_flight: (Gauge, Counter),
}

/// The labels of a request. Each has few values: `http_route` is a template, empty where none matches.
#[expect(clippy::struct_field_names, reason = "the names are those of the attributes")]
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    http_request_method: &'static str,
    http_route: String,
    http_response_status_code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActiveLabels {
    http_request_method: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
    revision: &'static str,
}

impl Build {
    /// This build. `APONTA_REVISION` names its commit at build time.
    const THIS: Self = Self {
        version: env!("CARGO_PKG_VERSION"),
        revision: match option_env!("APONTA_REVISION") {
            Some(revision) => revision,
            None => "unknown",
        },
    };
}

impl Metrics {
    /// Initialises the known label combinations to 0, so that alerts see the series.
    pub(crate) fn new(in_flight: &InFlight) -> Self {
        let metrics = Self {
            requests: Family::new_with_constructor(|| Histogram::new(REQUEST_BUCKETS)),
            active: Family::default(),
            authentications: Family::default(),
            rate_limit_refusals: Counter::default(),
            syncs: Family::default(),
            sync_duration: Histogram::new(SYNC_BUCKETS),
            last_sync: Gauge::default(),
            in_flight: in_flight.metrics(),
        };
        for http_request_method in ["GET", "POST", "PUT", "DELETE"] {
            drop(metrics.active.get_or_create(&ActiveLabels { http_request_method }));
        }
        for outcome in ["ok", "missing", "rejected", "forbidden", "unavailable", "limited", "error"] {
            drop(metrics.authentications.get_or_create(&Outcome { outcome }));
        }
        for outcome in ["ok", "error"] {
            drop(metrics.syncs.get_or_create(&Outcome { outcome }));
        }
        metrics
    }

    /// Counts a request as active until the guard is dropped.
    pub(crate) fn request_started(&self, method: &Method) -> ActiveRequest {
        let active = self.active.get_or_create_owned(&ActiveLabels { http_request_method: method_name(method) });
        active.inc();
        ActiveRequest(active)
    }

    /// Records a request with its response. `route` is the template of the path, if one matched.
    pub(crate) fn request_completed(
        &self,
        method: &Method,
        route: Option<&str>,
        status: StatusCode,
        duration: Duration,
    ) {
        let labels = RequestLabels {
            http_request_method: method_name(method),
            http_route: route.unwrap_or_default().to_owned(),
            http_response_status_code: status.as_u16(),
        };
        self.requests.get_or_create(&labels).observe(duration.as_secs_f64());
    }

    /// Counts an attempt to authenticate.
    pub(crate) fn authenticated(&self, outcome: &'static str) {
        self.authentications.get_or_create(&Outcome { outcome }).inc();
    }

    /// Counts a request that the rate limit of its person rejects.
    pub(crate) fn rate_limited(&self) {
        self.rate_limit_refusals.inc();
    }

    /// Records a synchronisation.
    pub(crate) fn synchronised(&self, is_ok: bool, duration: Duration) {
        self.syncs.get_or_create(&Outcome { outcome: if is_ok { "ok" } else { "error" } }).inc();
        self.sync_duration.observe(duration.as_secs_f64());
        if is_ok {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            self.last_sync.set(i64::try_from(now).unwrap_or(i64::MAX));
        }
    }

    /// Registers all of them, and those of the process and the build.
    pub fn register(&self, registry: &mut Registry) {
        let http = registry.sub_registry_with_prefix("http_server");
        http.register_with_unit(
            "request_duration",
            "Time until the last byte of the response",
            Unit::Seconds,
            self.requests.clone(),
        );
        http.register("active_requests", "Requests in progress", self.active.clone());
        let ours = registry.sub_registry_with_prefix("aponta");
        ours.register("build", "The running version", Info::new(Build::THIS));
        ours.register("authentications", "Attempts to authenticate, by outcome", self.authentications.clone());
        ours.register(
            "rate_limit_refusals",
            "Requests rejected by the rate limit of their person",
            self.rate_limit_refusals.clone(),
        );
        ours.register("syncs", "Synchronisations with Azure DevOps", self.syncs.clone());
        ours.register_with_unit(
            "sync_duration",
            "Duration of synchronisations",
            Unit::Seconds,
            self.sync_duration.clone(),
        );
        ours.register(
            "sync_last_success_timestamp_seconds",
            "Last synchronisation of this process; 0 if there was none",
            self.last_sync.clone(),
        );
        let (bytes, rejections) = &self.in_flight;
        ours.register_with_unit(
            "in_flight",
            "Memory reserved for requests in progress and responses not sent yet",
            Unit::Bytes,
            bytes.clone(),
        );
        ours.register("in_flight_refusals", "Requests rejected for lack of such memory", rejections.clone());
        #[cfg(target_os = "linux")]
        registry.register_collector(Box::new(process::Process));
    }
}

/// A request in progress.
#[derive(Debug)]
pub struct ActiveRequest(Gauge);

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The methods of RFC 9110 and PATCH. All others are `_OTHER`, because clients can invent any number of them.
pub(crate) fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "TRACE" => "TRACE",
        "CONNECT" => "CONNECT",
        _ => "_OTHER",
    }
}
