//! Calls to Azure DevOps, with throttling, bulkheads, circuit breakers, timeouts and retries.

use backon::{ExponentialBuilder, Retryable};
use domain::Error;
use reqwest::Client;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use super::api_version::{ApiVersion, NegotiatedVersion, VersionRejection};
use super::breaker::{Breaker, BreakerState};
use super::bulkhead::Bulkhead;
use super::byte_budget::ByteBudget;
use super::call::{Call, Traffic};
use super::call_error::CallError;
use super::http;
use super::io_runtime::IoRuntime;
use super::metrics::{self, Metrics};
use super::response::Response;
use super::throttle::Throttle;
use super::transport_error;
use crate::config::{AzureConfig, Retries, Timeouts};
use crate::credential::PresentedCredential;
use crate::error::{AzureError, ErrorDetail};

pub(crate) struct Upstream {
    client: Client,
    version: NegotiatedVersion,
    runtime: IoRuntime,
    /// For calls on behalf of known users. Unknown credentials cannot open it, because they have their own.
    breaker: Breaker,
    unknown_breaker: Breaker,
    throttle: Throttle,
    users: Bulkhead,
    unknown: Bulkhead,
    projects: Bulkhead,
    checks: Bulkhead,
    work_items: Bulkhead,
    /// What the responses of queries for work items may take together.
    query_bytes: ByteBudget,
    timeouts: Timeouts,
    retries: Retries,
    metrics: Metrics,
    traceparent: Option<fn() -> Option<String>>,
}

impl Upstream {
    pub(crate) fn new(config: &AzureConfig, is_loopback: bool) -> Result<Self, Error> {
        Ok(Self {
            version: NegotiatedVersion::default(),
            client: http::client_builder(config, is_loopback).build().map_err(transport_error::from_build)?,
            runtime: IoRuntime::new()?,
            breaker: Breaker::new(config.breaker),
            unknown_breaker: Breaker::new(config.breaker),
            throttle: Throttle::new(config.cache_capacity),
            users: Bulkhead::new(config.in_flight.users),
            unknown: Bulkhead::new(config.in_flight.unknown_users),
            projects: Bulkhead::new(config.in_flight.projects),
            checks: Bulkhead::new(config.in_flight.checks),
            work_items: Bulkhead::new(config.in_flight.work_items),
            query_bytes: ByteBudget::new(config.in_flight.query_bytes),
            timeouts: config.timeouts,
            retries: config.retries,
            metrics: Metrics::new(),
            traceparent: config.traceparent,
        })
    }

    pub(crate) const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Returns the state of each breaker with the value of its label `callers`.
    pub(crate) fn breaker_states(&self) -> [(&'static str, BreakerState); 2] {
        let now = Instant::now();
        [("users", self.breaker.state(now)), ("unknown_users", self.unknown_breaker.state(now))]
    }

    /// Returns the newest API version that the server is known to support.
    pub(crate) fn version(&self) -> ApiVersion {
        self.version.get()
    }

    /// Sends `call` and returns the response. Retries errors that are retryable, and falls back to older API versions.
    pub(crate) async fn send(&self, call: &Call<'_>) -> Result<Response, AzureError> {
        let mut version = self.version.get();
        loop {
            let result = self.send_in_version(call, version).await;
            let rejection = result.as_ref().err().and_then(|failed| failed.version_rejection);
            let rejection = rejection.filter(|&rejection| call.version.is_negotiable(rejection));
            if let Some(older) = rejection.and_then(|rejection| version.fallback(rejection)) {
                version = older;
                continue;
            }
            if let Some(VersionRejection::OutOfRange { maximum }) = rejection {
                return Err(unsupported(maximum));
            }
            let result = result.map_err(|failed| failed.error);
            let is_accepted = matches!(result, Ok(_) | Err(AzureError::Rejected(_) | AzureError::Forbidden));
            if is_accepted && self.version.remember(version) {
                tracing::info!(%version, "Azure DevOps supports only an older version of the REST API");
            }
            return result;
        }
    }

    async fn send_in_version(&self, call: &Call<'_>, version: ApiVersion) -> Result<Response, CallError> {
        let backoff = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(self.retries.initial_backoff)
            .with_max_times(self.retries.max);
        let attempt = || self.attempt(call, version);
        let result = attempt.retry(backoff).when(|failed: &CallError| failed.is_retryable).await;
        result.inspect_err(|failed| {
            tracing::debug!(url.template = call.url_template, error = ?failed.error, "call to Azure DevOps failed");
        })
    }

    async fn attempt(&self, call: &Call<'_>, version: ApiVersion) -> Result<Response, CallError> {
        self.throttle.wait(call.credential.throttle_key, call.deadline).await?;
        let (bulkhead, breaker) = match call.traffic {
            Traffic::KnownUser => (&self.users, &self.breaker),
            Traffic::Unknown => (&self.unknown, &self.unknown_breaker),
            Traffic::Projects => (&self.projects, &self.breaker),
            Traffic::Checks => (&self.checks, &self.breaker),
            Traffic::WorkItems => (&self.work_items, &self.breaker),
        };
        // A check that hangs has to end before its call does, or the circuit breaker would not count it.
        let (timeout, budget) = match call.traffic {
            Traffic::Checks => (self.timeouts.attempt.min(self.timeouts.check), None),
            Traffic::WorkItems => (self.timeouts.attempt, Some(&self.query_bytes)),
            Traffic::KnownUser | Traffic::Unknown | Traffic::Projects => (self.timeouts.attempt, None),
        };
        let _slot = bulkhead.acquire(call.deadline).await?;
        let permit = breaker.try_acquire(Instant::now());
        let permit =
            permit.map_err(|wait| AzureError::unavailable(wait, "the circuit breaker for Azure DevOps is open"))?;
        let attempt_deadline = Instant::now() + timeout;
        let span = tracing::debug_span!(
            "azure",
            otel.name = format_args!("{} {}", call.method(), call.url_template),
            otel.kind = "client",
            otel.status_code = tracing::field::Empty,
            http.request.method = call.method(),
            server.address = call.url.host_str(),
            server.port = call.url.port_or_known_default(),
            url.template = call.url_template,
            http.response.status_code = tracing::field::Empty,
            error.type = tracing::field::Empty,
        );
        let started = Instant::now();
        let exchange = http::send(&self.client, &self.runtime, call, version, self.traceparent, budget);
        let exchange = timeout_at(attempt_deadline.min(call.deadline), exchange).instrument(span.clone()).await;
        let is_cut_short = exchange.is_err() && call.deadline < attempt_deadline;
        let status = exchange.as_ref().ok().and_then(|sent| sent.as_ref().ok()).map(Response::status);
        let result = match exchange {
            Ok(Ok(response)) => self.classify(response, call.credential).await,
            Ok(Err(failed)) => Err(failed),
            Err(_) => Err(timed_out(is_cut_short)),
        };
        self.metrics.record_request(call, status, &result, started.elapsed());
        span.record("http.response.status_code", status);
        if let Err(failed) = &result {
            span.record("error.type", metrics::error_type(&failed.error));
            span.record("otel.status_code", "ERROR");
        }
        if !is_cut_short {
            permit.record(!matches!(&result, Err(failed) if failed.trips_breaker), Instant::now());
        }
        result
    }

    /// Classifies `response` and blocks its credential if Azure DevOps requests a delay.
    async fn classify(&self, response: Response, credential: &PresentedCredential) -> Result<Response, CallError> {
        if let Some(delay) = response.throttle_delay() {
            self.throttle.block_for(credential.throttle_key, delay).await;
        }
        let was_throttled = self.throttle.recently_throttled(credential.throttle_key).await;
        let instead_of_rejection = response.rejection_while_throttled(was_throttled);
        response.classify().map_err(|failed| match (failed.error, instead_of_rejection) {
            (AzureError::Rejected(_), Some(unavailable)) => unavailable.into(),
            (error, _) => CallError { error, ..failed },
        })
    }
}

fn unsupported(maximum: Option<ApiVersion>) -> AzureError {
    let maximum = maximum.map_or_else(|| "unknown".to_owned(), |maximum| maximum.to_string());
    AzureError::UnsupportedVersion(ErrorDetail::new(format!(
        "the newest REST API version of the server is {maximum}; Azure DevOps Server 2019 or later is required"
    )))
}

/// The error of an attempt that timed out. An attempt cut short by the deadline of its call does not trip the breaker.
fn timed_out(is_cut_short: bool) -> CallError {
    let error = AzureError::TimedOut(ErrorDetail::new("no response in time"));
    CallError { error, trips_breaker: !is_cut_short, is_retryable: false, version_rejection: None }
}
