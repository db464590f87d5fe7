//! The way to Azure, with everything that protects it, us and the callers from each other.

use backon::{ExponentialBuilder, Retryable};
use domain::Error;
use reqwest::Client;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use super::breaker::{Breaker, BreakerState};
use super::bulkhead::Lane;
use super::call::{Call, Traffic};
use super::call_error::Fault;
use super::http;
use super::io_runtime::Lines;
use super::metrics::{self, Metrics};
use super::response::Answer;
use super::throttle::Gates;
use crate::config::{AzureConfig, Retries, Timeouts};
use crate::credential::Shown;
use crate::error::{Failure, Seen};

/// See the module.
pub(crate) struct Upstream {
    client: Client,
    lines: Lines,
    /// For what accepted users cause. Strangers have one of their own: nothing that they send opens this one.
    breaker: Breaker,
    newcomers_breaker: Breaker,
    gates: Gates,
    users: Lane,
    newcomers: Lane,
    projects: Lane,
    timeouts: Timeouts,
    retries: Retries,
    metrics: Metrics,
    traceparent: Option<fn() -> Option<String>>,
}

impl Upstream {
    pub(crate) fn new(config: &AzureConfig, is_loopback: bool) -> Result<Self, Error> {
        Ok(Self {
            client: http::client(config, is_loopback)?,
            lines: Lines::new()?,
            breaker: Breaker::new(config.breaking),
            newcomers_breaker: Breaker::new(config.breaking),
            gates: Gates::new(config.cache_capacity),
            users: Lane::new(config.in_flight.users),
            newcomers: Lane::new(config.in_flight.newcomers),
            projects: Lane::new(config.in_flight.projects),
            timeouts: config.timeouts,
            retries: config.retries,
            metrics: Metrics::new(&["connectionData", "profile", "projects", "project", "member"]),
            traceparent: config.traceparent,
        })
    }

    pub(crate) const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whether Azure is called now, for accepted users and for newcomers.
    pub(crate) fn breaker_states(&self) -> [(&'static str, BreakerState); 2] {
        let now = Instant::now();
        [("users", self.breaker.watch(now)), ("newcomers", self.newcomers_breaker.watch(now))]
    }

    /// The answer to `call`, repeated where that may help.
    pub(crate) async fn get(&self, call: &Call<'_>) -> Result<Answer, Failure> {
        let pauses = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(self.retries.first_pause)
            .with_max_times(self.retries.max);
        let attempt = || self.attempt(call);
        let result = attempt.retry(pauses).when(|fault: &Fault| fault.may_pass).await;
        result.map_err(|fault| {
            tracing::debug!(call = call.name, failure = ?fault.failure, "no answer to work with");
            fault.failure
        })
    }

    async fn attempt(&self, call: &Call<'_>) -> Result<Answer, Fault> {
        self.gates.pass(call.shown.gate, call.deadline).await?;
        let (lane, breaker) = match call.traffic {
            Traffic::User => (&self.users, &self.breaker),
            Traffic::Newcomer => (&self.newcomers, &self.newcomers_breaker),
            Traffic::Projects => (&self.projects, &self.breaker),
        };
        let _slot = lane.enter(call.deadline).await?;
        let permit = breaker.enter(Instant::now());
        let permit = permit.map_err(|pause| Failure::unavailable(pause, "Azure DevOps is being left alone"))?;
        let full_time = Instant::now() + self.timeouts.attempt;
        let span = tracing::debug_span!(
            "azure",
            otel.name = format_args!("GET {}", call.name),
            otel.kind = "client",
            otel.status_code = tracing::field::Empty,
            http.request.method = "GET",
            server.address = call.url.host_str(),
            outcome = tracing::field::Empty,
        );
        let started = Instant::now();
        let exchanged =
            timeout_at(full_time.min(call.deadline), http::get(&self.client, &self.lines, call, self.traceparent));
        let exchanged = exchanged.instrument(span.clone()).await;
        let is_cut_short = exchanged.is_err() && call.deadline < full_time;
        let result = match exchanged {
            Ok(Ok(answer)) => self.judged(answer, call.shown).await,
            Ok(Err(fault)) => Err(fault),
            Err(_) => Err(too_slow(is_cut_short)),
        };
        self.metrics.answered(call.name, &result, started.elapsed());
        span.record("outcome", metrics::outcome(&result));
        if result.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        if !is_cut_short {
            permit.settle(!matches!(&result, Err(fault) if fault.is_illness), Instant::now());
        }
        result
    }

    /// What `answer` means, and whether its credential has to wait from now on.
    async fn judged(&self, answer: Answer, shown: &Shown) -> Result<Answer, Fault> {
        if let Some(hold) = answer.hold() {
            self.gates.shut(shown.gate, hold).await;
        }
        let doubt = answer.doubtful_rejection(self.gates.was_shut_lately(shown.gate).await);
        answer.judged().map_err(|fault| match (fault.failure, doubt) {
            (Failure::Rejected, Some(doubt)) => doubt.into(),
            (failure, _) => Fault { failure, ..fault },
        })
    }
}

/// An attempt without its full time says nothing about Azure: what came before it took too long.
fn too_slow(is_cut_short: bool) -> Fault {
    Fault { failure: Failure::TimedOut(Seen::new("no answer in time")), is_illness: !is_cut_short, may_pass: false }
}
