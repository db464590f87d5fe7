//! Events for a server that speaks Sentry's protocol: responses 500, panics, and jobs that are not tried again.
//!
//! An event contains what the log contains, without values. It waits in a bounded queue: no request waits for the server, and
//! what the server does not take is dropped and counted (docs/adr/0100-error-tracking.md).

mod event;
mod metrics;
mod rate_limit;
mod scrub;
mod sender;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http_api::{ServerError, is_panic_of_handler};
use secrecy::{ExposeSecret as _, SecretString};
use sentry_types::Dsn;
use sentry_types::protocol::v7::Event;
use tokio::runtime;
use tokio::sync::{mpsc, oneshot};

use crate::error::CliError;
use event::Origin;
use metrics::Outcome;
use sender::Sender;

pub use metrics::ErrorMetrics;

/// The number of events that wait at most. An event has some kilobytes at most.
const QUEUE_SIZE: usize = 100;

/// The time in which the last events are sent at shutdown.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Parses the DSN of a project.
///
/// # Errors
/// The problem, without the value.
pub fn parse_dsn(dsn: &SecretString) -> Result<Dsn, String> {
    let parsed: Result<Dsn, _> = dsn.expose_secret().parse();
    parsed.map_err(|error| format!("is not a DSN, like https://key@sentry.example.org/1: {error}"))
}

/// Queues events. A clone uses the same queue.
#[derive(Clone)]
pub struct ErrorTracker {
    events: mpsc::Sender<Event<'static>>,
    origin: Arc<Origin>,
    metrics: ErrorMetrics,
}

/// The thread that sends the events.
pub struct ErrorTracking {
    tracker: ErrorTracker,
    stop: oneshot::Sender<()>,
    /// Closed when the thread has sent everything.
    sent: oneshot::Receiver<()>,
}

impl ErrorTracker {
    /// Queues the event of a response 500.
    pub fn server_error(&self, error: ServerError) {
        self.queue(self.origin.server_error(error));
    }

    /// Queues the event of a panic outside of a request.
    fn panic(&self, location: String) {
        self.queue(self.origin.panic(location));
    }

    /// Queues the event of a job that is not tried again, for `reason`.
    pub fn dead_job(&self, job: &'static str, reason: &'static str) {
        self.queue(self.origin.dead_job(job, reason));
    }

    /// The metrics of the events.
    pub const fn metrics(&self) -> &ErrorMetrics {
        &self.metrics
    }

    fn queue(&self, event: Event<'static>) {
        if self.events.try_send(event).is_err() {
            self.metrics.count(Outcome::QueueFull);
        }
    }
}

impl ErrorTracking {
    /// Starts the thread that sends events to the project `dsn`.
    ///
    /// # Errors
    /// If there are no root certificates, or no thread.
    pub fn start(dsn: Dsn, environment: &'static str) -> Result<Self, CliError> {
        let metrics = ErrorMetrics::default();
        let sender = Sender::new(dsn, metrics.clone()).map_err(cannot_send)?;
        let (events, queue) = mpsc::channel(QUEUE_SIZE);
        let (stop, stopped) = oneshot::channel();
        let (at_end, sent) = oneshot::channel();
        // A look-up of an address that hangs would hold up the end of the main runtime, which waits for its threads.
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(cannot_send)?;
        let work = move || {
            runtime.block_on(sender.run(queue, stopped));
            drop(at_end);
            runtime.shutdown_background();
        };
        std::thread::Builder::new().name("events".to_owned()).spawn(work).map_err(cannot_send)?;
        let tracker = ErrorTracker { events, origin: Arc::new(Origin::new(environment)), metrics };
        Ok(Self { tracker, stop, sent })
    }

    /// The queue of the events.
    pub const fn tracker(&self) -> &ErrorTracker {
        &self.tracker
    }

    /// Sends an event for each panic of this process, besides what its hook does.
    pub fn watch_panics(&self) {
        let (tracker, previous) = (self.tracker.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            previous(panic);
            let location = panic.location().map_or_else(|| "unknown".to_owned(), ToString::to_string);
            // The response 500 has the location, with its route and request id.
            if !is_panic_of_handler(&location) {
                tracker.panic(location);
            }
        }));
    }

    /// Sends the remaining events, within two seconds.
    pub async fn stop(self) {
        // An error means that the thread has ended.
        let _: Result<(), ()> = self.stop.send(());
        // Nothing is ever sent on this channel. The process may end before the thread.
        if tokio::time::timeout(FLUSH_TIMEOUT, self.sent).await.is_err() {
            tracing::warn!("last events not sent to SENTRY_DSN");
        }
    }
}

fn cannot_send(error: impl fmt::Display) -> CliError {
    CliError::new(format_args!("events cannot be sent to SENTRY_DSN: {error}"))
}
