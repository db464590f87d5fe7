//! The one connection to the server, shared by all workers.
//!
//! It is its own circuit breaker: a response that is late ends it, and without a connection every operation is skipped at
//! once. So a server that hangs delays only the requests of that moment.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError, RedisResult};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::metrics::{Metrics, Outcome, Use};

/// The longest time that an operation may delay a request.
const OPERATION_TIMEOUT: Duration = Duration::from_millis(50);
/// Connecting includes TLS, and delays no request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The shortest time from one attempt to connect to the next, so that a server that is often late delays few requests. After a
/// long connection the next attempt follows at once: one late response may be this machine's fault.
const RECONNECT_INTERVAL: Duration = Duration::from_secs(2);
/// A connection without traffic is checked, so that the metric tells the truth.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);

pub(crate) struct Link {
    client: Client,
    state: Mutex<State>,
    lost: Notify,
    pub(crate) metrics: Metrics,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// Distinguishes connections: the operations of an old one must not end the next.
    number: u64,
    /// Whether the current failure has been logged.
    is_reported: bool,
}

impl Link {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, state: Mutex::default(), lost: Notify::new(), metrics: Metrics::new() }
    }

    /// Runs `operation` within the time limit, and counts it unless it ends well. None if the caller has to do without it.
    pub(crate) async fn run<T, F>(&self, r#use: Use, operation: impl FnOnce(MultiplexedConnection) -> F) -> Option<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let Some((connection, number)) = self.current() else {
            self.metrics.count(r#use, Outcome::Skipped);
            return None;
        };
        match timeout(OPERATION_TIMEOUT, operation(connection)).await {
            Ok(Ok(value)) => return Some(value),
            // The server works, but does not do this: it is full, or the user lacks a permission.
            Ok(Err(error)) if matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) => {
                self.report(&error);
            }
            Ok(Err(error)) => self.give_up(number, &describe(&error)),
            Err(_) => self.give_up(number, "no response in time"),
        }
        self.metrics.count(r#use, Outcome::Failed);
        None
    }

    /// Connects, if there is no connection.
    pub(crate) async fn connect(&self) {
        let opened = timeout(CONNECT_TIMEOUT, open(&self.client)).await;
        let reason = match opened {
            Ok(Ok(connection)) => {
                let mut state = self.lock();
                *state = State { connection: Some(connection), number: state.number + 1, is_reported: false };
                self.metrics.connected.set(1);
                tracing::info!("connected to Valkey");
                return;
            }
            Ok(Err(error)) => describe(&error),
            Err(_) => "no connection in time".to_owned(),
        };
        let mut state = self.lock();
        if !state.is_reported {
            state.is_reported = true;
            tracing::warn!(reason, "no connection to Valkey; this replica works by itself");
        }
    }

    /// Keeps a connection open, as long as the returned future is polled.
    pub(crate) async fn keep(&self) {
        let mut attempts = interval(RECONNECT_INTERVAL);
        attempts.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick, which comes at once, stands for the attempt at the start.
        attempts.tick().await;
        loop {
            if self.current().is_none() {
                attempts.tick().await;
                self.connect().await;
            } else if timeout(CHECK_INTERVAL, self.lost.notified()).await.is_err() {
                self.check().await;
            }
        }
    }

    async fn check(&self) {
        let Some((connection, number)) = self.current() else { return };
        match timeout(OPERATION_TIMEOUT, ping(connection)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.give_up(number, &describe(&error)),
            Err(_) => self.give_up(number, "no response in time"),
        }
    }

    fn current(&self) -> Option<(MultiplexedConnection, u64)> {
        let state = self.lock();
        state.connection.clone().map(|connection| (connection, state.number))
    }

    fn give_up(&self, number: u64, reason: &str) {
        let mut state = self.lock();
        if state.number == number && state.connection.take().is_some() {
            state.is_reported = true;
            self.metrics.connected.set(0);
            self.lost.notify_one();
            tracing::warn!(reason, "connection to Valkey given up; until the next one this replica works by itself");
        }
    }

    /// Logs an error of the server once per connection, because each request may cause it.
    fn report(&self, error: &RedisError) {
        let mut state = self.lock();
        if !state.is_reported {
            state.is_reported = true;
            tracing::warn!(reason = describe(error), "Valkey refused an operation; this replica does it by itself");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a connection that responds within the time limit of operations.
async fn open(client: &Client) -> RedisResult<MultiplexedConnection> {
    // The operations have a time limit of their own.
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(Some(CONNECT_TIMEOUT));
    let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    let late = |_| RedisError::from((ErrorKind::Io, "it is late"));
    timeout(OPERATION_TIMEOUT, ping(connection.clone())).await.map_err(late)??;
    Ok(connection)
}

async fn ping(mut connection: MultiplexedConnection) -> RedisResult<()> {
    redis::cmd("PING").query_async(&mut connection).await
}

/// Describes an error without the text of the server, which is not trusted with the log.
pub(crate) fn describe(error: &RedisError) -> String {
    match error.code() {
        // The text is that of this system, or of TLS.
        _ if error.is_io_error() => error.to_string(),
        Some(code) => format!("{} ({})", error.category(), code.escape_debug()),
        None => error.category().to_owned(),
    }
}
