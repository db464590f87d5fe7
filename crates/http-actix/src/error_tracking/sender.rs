//! Sends events, one after the other.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use sentry_types::Dsn;
use sentry_types::protocol::v7::{Envelope, Event};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use super::metrics::{ErrorMetrics, Outcome};
use super::rate_limit;

const CLIENT: &str = concat!("api-aponta/", env!("CARGO_PKG_VERSION"));
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(5);
/// The pause after each event: ten events in a second at most.
const SEND_INTERVAL: Duration = Duration::from_millis(100);
/// The shortest time between two failures in the log. The metric counts all of them.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// The connection to a server.
pub(super) struct Sender {
    dsn: Dsn,
    client: Client,
    metrics: ErrorMetrics,
    /// Until when the server wants no events.
    limited_until: Option<Instant>,
    /// When a failure was logged.
    logged_at: Option<Instant>,
}

impl Sender {
    pub(super) fn new(dsn: Dsn, metrics: ErrorMetrics) -> reqwest::Result<Self> {
        // A redirect would forward the key of the DSN.
        let client = Client::builder().user_agent(CLIENT).redirect(Policy::none()).connect_timeout(CONNECT_TIMEOUT);
        let client = client.timeout(TIMEOUT).build()?;
        Ok(Self { dsn, client, metrics, limited_until: None, logged_at: None })
    }

    /// Sends what is queued, until `stop` is sent and the queue is empty.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Event<'static>>, mut stop: oneshot::Receiver<()>) {
        let mut is_stopping = false;
        loop {
            tokio::select! {
                biased;
                _ = &mut stop, if !is_stopping => {
                    is_stopping = true;
                    queue.close();
                }
                event = queue.recv() => {
                    let Some(event) = event else { break };
                    let outcome = self.send(event).await;
                    self.metrics.count(outcome);
                    if !is_stopping {
                        sleep(SEND_INTERVAL).await;
                    }
                }
            }
        }
    }

    async fn send(&mut self, event: Event<'static>) -> Outcome {
        if self.limited_until.is_some_and(|until| Instant::now() < until) {
            return Outcome::RateLimited;
        }
        let response = match self.post(event).await {
            Ok(response) => response,
            Err(reason) => return self.failed(Outcome::Unreachable, &reason),
        };
        let limit = rate_limit::limit(response.status(), response.headers());
        self.limited_until = limit.and_then(|limit| Instant::now().checked_add(limit));
        match response.status() {
            status if status.is_success() => Outcome::Sent,
            status if limit.is_some() => self.failed(Outcome::RateLimited, &format!("status {status}")),
            status => self.failed(Outcome::Rejected, &format!("status {status}")),
        }
    }

    /// Sends `event`. The body of the response is not read.
    async fn post(&self, event: Event<'static>) -> Result<Response, String> {
        let mut body = Vec::new();
        Envelope::from(event).to_writer(&mut body).map_err(|error| error.to_string())?;
        let auth = HeaderValue::try_from(self.dsn.to_auth(Some(CLIENT)).to_string());
        let mut auth = auth.map_err(|_| "the key is no value of a header".to_owned())?;
        auth.set_sensitive(true);
        let request = self.client.post(self.dsn.envelope_api_url()).header("x-sentry-auth", auth);
        let request = request.header(CONTENT_TYPE, "application/x-sentry-envelope").body(body);
        request.send().await.map_err(|error| {
            let error = error.without_url();
            error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
        })
    }

    /// Logs a failure, once in [`LOG_INTERVAL`].
    fn failed(&mut self, outcome: Outcome, reason: &str) -> Outcome {
        if self.logged_at.is_none_or(|at| LOG_INTERVAL < at.elapsed()) {
            tracing::warn!(outcome = outcome.label(), reason, "event not sent to SENTRY_DSN");
            self.logged_at = Some(Instant::now());
        }
        outcome
    }
}
