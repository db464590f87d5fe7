//! One connection to the server. Statements may be sent on it before those sent earlier have answered: the server takes
//! them in turn, and neither side waits for the other in between (pipelining).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::Config;

/// A value that is bound to a statement.
pub(crate) type Value<'a> = &'a (dyn ToSql + Sync);

/// How many statements a connection keeps prepared: more than any mix of requests uses.
const PREPARED: usize = 200;
/// A statement that takes longer is logged: on a healthy database the slowest one stays far below.
const SLOW: Duration = Duration::from_millis(500);
/// How long a connection may take to say that it is alive. One that does not is closed.
const PATIENCE: Duration = Duration::from_secs(1);

/// What makes connections: the settings, and what encrypts.
#[derive(Clone)]
pub(crate) struct Connector {
    config: tokio_postgres::Config,
    tls: MakeRustlsConnect,
    search_path: String,
    statement_timeout: Duration,
}

/// An open connection, or one that was: see [`Connection::is_broken`].
pub(crate) struct Connection {
    client: Client,
    prepared: Mutex<HashMap<Arc<str>, Statement>>,
    since: Instant,
    /// Carries what is said, and ends with the connection.
    carrier: JoinHandle<()>,
}

impl Connector {
    pub(crate) fn new(config: &Config, tls: MakeRustlsConnect) -> Self {
        Self {
            config: config.target.config(config.acquire_timeout),
            tls,
            search_path: config.schema.quoted(),
            statement_timeout: config.statement_timeout,
        }
    }

    /// Connects. The connection belongs to the thread that made it, which carries what is said on it.
    pub(crate) async fn connect(&self) -> Result<Connection, Error> {
        let (client, carrier) = self.config.connect(self.tls.clone()).await?;
        let carrier = tokio::spawn(async move {
            // Whoever waits for an answer is told as well.
            if let Err(error) = carrier.await {
                tracing::debug!(%error, "a connection to the database ended");
            }
        });
        let connection = Connection { client, prepared: Mutex::default(), since: Instant::now(), carrier };
        self.begin(&connection).await?;
        Ok(connection)
    }

    /// Nothing but the schema of the tenant is searched, so nothing is ever found, or made, in `public` by accident.
    /// Told as values of a statement: the options of a connection could not carry every name.
    async fn begin(&self, connection: &Connection) -> Result<(), Error> {
        // Zero would mean no bound.
        let milliseconds = self.statement_timeout.as_millis().max(1).to_string();
        let session = "SELECT set_config('search_path', $1, false), set_config('statement_timeout', $2, false)";
        let values = [(&self.search_path as Value<'_>, Type::TEXT), (&milliseconds, Type::TEXT)];
        connection.client.query_typed(session, &values).await.map(drop)
    }
}

impl Connection {
    /// The rows of a statement, which is prepared once.
    pub(crate) async fn query(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, Error> {
        let started = Instant::now();
        let statement = self.prepare(sql).await?;
        let rows = self.client.query(&statement, values).await;
        tell(sql, started);
        rows
    }

    /// Runs statements that have neither values nor rows.
    pub(crate) async fn run(&self, sql: &str) -> Result<(), Error> {
        let started = Instant::now();
        let done = self.client.batch_execute(sql).await;
        tell(sql, started);
        done
    }

    /// Whether it is alive.
    pub(crate) async fn answers(&self) -> bool {
        matches!(tokio::time::timeout(PATIENCE, self.client.check_connection()).await, Ok(Ok(())))
    }

    /// Ends it, and waits for that.
    pub(crate) async fn close(self) {
        let Self { client, carrier, .. } = self;
        drop(client);
        // It has nothing to say, and a network that is gone may keep it.
        drop(tokio::time::timeout(PATIENCE, carrier).await);
    }

    /// Whether it has ended, as far as it is known without asking.
    pub(crate) fn is_broken(&self) -> bool {
        self.client.is_closed()
    }

    /// How long ago it was made.
    pub(crate) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    async fn prepare(&self, sql: &str) -> Result<Statement, Error> {
        let known = self.prepared.lock().unwrap_or_else(PoisonError::into_inner).get(sql).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if PREPARED <= prepared.len() {
            prepared.clear();
        }
        prepared.insert(sql.into(), statement.clone());
        Ok(statement)
    }
}

/// Says what ran. The text has no values: all of them are bound. Where statements share a connection, the time is also
/// that of those before it.
fn tell(sql: &str, started: Instant) {
    let elapsed = started.elapsed();
    if SLOW <= elapsed {
        tracing::warn!(statement = in_one_line(sql), ?elapsed, "slow statement");
    } else {
        tracing::trace!(statement = in_one_line(sql), ?elapsed, "statement");
    }
}

fn in_one_line(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}
