//! What can be measured of the service, in the names and units of Prometheus
//! (<https://prometheus.io/docs/practices/naming/>).

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

/// In seconds: from an answer out of memory to what no client waits for. One second is a bound, since an alert asks
/// for it.
const REQUEST_BUCKETS: [f64; 13] = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// In seconds: a sync asks Azure DevOps page by page.
const SYNC_BUCKETS: [f64; 8] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// All that the HTTP side counts. A clone counts on.
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: Family<Answered, Histogram, fn() -> Histogram>,
    active: Gauge,
    authentications: Family<Outcome, Counter>,
    syncs: Family<Outcome, Counter>,
    sync_duration: Histogram,
    last_sync: Gauge,
    in_flight: (Gauge, Counter),
}

/// The labels of an answer. Each has few values: a route is a template, and what clients invent has one name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: String,
    status: u16,
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
    /// This build. Which commit it is made of only its maker knows, who says so in `APONTA_REVISION`.
    const THIS: Self = Self {
        version: env!("CARGO_PKG_VERSION"),
        revision: match option_env!("APONTA_REVISION") {
            Some(revision) => revision,
            None => "unknown",
        },
    };
}

impl Metrics {
    /// Nothing counted yet. What can happen is zero, and not missing, until it does.
    pub(crate) fn new(in_flight: &InFlight) -> Self {
        let metrics = Self {
            requests: Family::new_with_constructor(|| Histogram::new(REQUEST_BUCKETS)),
            active: Gauge::default(),
            authentications: Family::default(),
            syncs: Family::default(),
            sync_duration: Histogram::new(SYNC_BUCKETS),
            last_sync: Gauge::default(),
            in_flight: in_flight.metrics(),
        };
        for outcome in ["ok", "missing", "rejected", "forbidden", "unavailable", "limited", "error"] {
            drop(metrics.authentications.get_or_create(&Outcome { outcome }));
        }
        for outcome in ["ok", "error"] {
            drop(metrics.syncs.get_or_create(&Outcome { outcome }));
        }
        metrics
    }

    /// A request is worked on until the guard is dropped.
    pub(crate) fn request_started(&self) -> ActiveRequest {
        self.active.inc();
        ActiveRequest(self.active.clone())
    }

    /// A request was answered.
    pub(crate) fn request_completed(&self, method: &Method, route: &str, status: StatusCode, duration: Duration) {
        let labels = Answered { method: method_name(method), route: route.to_owned(), status: status.as_u16() };
        self.requests.get_or_create(&labels).observe(duration.as_secs_f64());
    }

    /// Somebody wanted to be let in.
    pub(crate) fn authenticated(&self, outcome: &'static str) {
        self.authentications.get_or_create(&Outcome { outcome }).inc();
    }

    /// A sync has ended.
    pub(crate) fn synchronised(&self, is_ok: bool, duration: Duration) {
        self.syncs.get_or_create(&Outcome { outcome: if is_ok { "ok" } else { "error" } }).inc();
        self.sync_duration.observe(duration.as_secs_f64());
        if is_ok {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            self.last_sync.set(i64::try_from(now).unwrap_or(i64::MAX));
        }
    }

    /// Makes all of it part of `registry`, with what the process uses and what was built.
    pub fn register(&self, registry: &mut Registry) {
        let http = registry.sub_registry_with_prefix("http_server");
        http.register_with_unit(
            "request_duration",
            "Time until a request was answered; a stream counts to its end",
            Unit::Seconds,
            self.requests.clone(),
        );
        http.register("active_requests", "Requests that are worked on now", self.active.clone());
        let ours = registry.sub_registry_with_prefix("aponta");
        ours.register("build", "What runs", Info::new(Build::THIS));
        ours.register("authentications", "Attempts to be let in, by outcome", self.authentications.clone());
        ours.register("syncs", "Synchronisations with Azure DevOps", self.syncs.clone());
        ours.register_with_unit(
            "sync_duration",
            "Time that a synchronisation took",
            Unit::Seconds,
            self.sync_duration.clone(),
        );
        ours.register(
            "sync_last_success_timestamp_seconds",
            "When this process last synchronised; 0 if it has not",
            self.last_sync.clone(),
        );
        let (bytes, rejections) = &self.in_flight;
        ours.register_with_unit(
            "in_flight",
            "Memory reserved for requests and responses that are worked on or not sent yet",
            Unit::Bytes,
            bytes.clone(),
        );
        ours.register("in_flight_refusals", "Requests rejected for lack of such memory", rejections.clone());
        #[cfg(target_os = "linux")]
        registry.register_collector(Box::new(process::Process));
    }
}

/// A request that is worked on.
#[derive(Debug)]
pub struct ActiveRequest(Gauge);

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The methods of RFC 9110 and PATCH; whoever invents one is an «other».
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
        _ => "other",
    }
}
