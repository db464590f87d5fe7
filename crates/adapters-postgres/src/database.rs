//! The database, and how statements run on it: within bounds, measured, and a reading one again when it met a connection
//! that had broken.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use domain::Error;
use prometheus_client::registry::Registry;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::Row;
use tracing::Instrument;

use crate::connection::{Connector, Value};
use crate::db_error::DbError;
use crate::metrics::Metrics;
use crate::pool::{Lease, Pool, Use};
use crate::tls::TlsError;
use crate::{Config, SchemaName, db_error};

/// What the network may take on top of what the server may take for a statement.
const GRACE: Duration = Duration::from_secs(2);
/// How long it takes until a server that starts is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// A PostgreSQL database as one tenant sees it. A clone uses the same connections.
#[derive(Clone)]
pub struct PostgresDatabase {
    pub(crate) pool: Arc<Pool>,
    connector: Connector,
    pub(crate) metrics: Metrics,
    pub(crate) config: Config,
}

/// No connection could be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to PostgreSQL at {address}: {cause}")]
pub struct ConnectError {
    address: String,
    cause: ConnectCause,
}

#[derive(Debug, thiserror::Error)]
enum ConnectCause {
    #[error("{}", db_error::reason(.0))]
    Server(tokio_postgres::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("it does not answer")]
    Silence,
}

/// What a row of an answer is read as.
pub(crate) trait FromRow: Sized + Send {
    /// Reads `row`, whose columns have the order that the statement gives them.
    fn from_row(row: Row) -> Result<Self, tokio_postgres::Error>;
}

impl PostgresDatabase {
    /// Connects to the database and keeps the connection for use. The schema does not have to exist yet.
    ///
    /// # Errors
    /// When there is no connection within [`Config::acquire_timeout`]; a server that starts is waited for.
    pub async fn connect(config: Config) -> Result<Self, ConnectError> {
        let fail = |cause| ConnectError { address: config.target.address(), cause };
        let tls = config.target.tls.connector().map_err(|error| fail(error.into()))?;
        let connector = Connector::new(&config, tls);
        let deadline = Instant::now() + config.acquire_timeout;
        loop {
            let connection = match timeout_at(deadline, connector.connect()).await {
                Ok(Ok(connection)) => connection,
                Ok(Err(error)) if db_error::is_temporary(&error) && Instant::now() + PAUSE < deadline => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Ok(Err(error)) => return Err(fail(ConnectCause::Server(error))),
                Err(_) => return Err(fail(ConnectCause::Silence)),
            };
            let database = Self::new(config.clone(), connector, config.max_connections, Metrics::default());
            database.pool.keep(connection);
            return Ok(database);
        }
    }

    fn new(config: Config, connector: Connector, connections: u32, metrics: Metrics) -> Self {
        let timeouts = (config.acquire_timeout, config.statement_timeout);
        let pool = Pool::new(connector.clone(), connections, timeouts, metrics.pending.clone());
        Self { pool, connector, metrics, config }
    }

    /// The same database for so many threads, each with its share of the connections, which it makes when it needs
    /// them. A connection belongs to the thread that made it: another one would have to be woken by that one for every
    /// answer. At most so many shares as there may be connections; those of `self` are to be [closed](Self::close).
    #[must_use]
    pub fn divide(&self, threads: u32) -> Vec<Self> {
        let connections = self.config.max_connections;
        let shares = threads.clamp(1, connections);
        (0..shares)
            .map(|share| {
                let size = connections / shares + u32::from(share < connections % shares);
                Self::new(self.config.clone(), self.connector.clone(), size, self.metrics.clone())
            })
            .collect()
    }

    /// Makes what is measured in all `shares` of a database part of `registry`.
    pub fn register(shares: &[Self], registry: &mut Registry) {
        let pools = shares.iter().map(|share| share.pool.clone()).collect();
        if let Some(share) = shares.first() {
            share.metrics.register(registry, pools);
        }
    }

    /// Closes all connections, each when the statement that it runs has ended. Whoever asks after that is refused.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// The schema in which everything lives.
    pub(crate) const fn schema(&self) -> &SchemaName {
        &self.config.schema
    }

    /// The rows of a quick statement that only reads. A connection that broke is replaced once: nothing can happen
    /// twice. Here and below `operation` is what metrics and traces call it.
    pub(crate) async fn read<R: FromRow>(
        &self,
        operation: &'static str,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<R>, Error> {
        self.read_within(operation, Use::Shared, self.limit(1), sql, values).await
    }

    /// The same of a statement that may take long, for which nobody else is to wait.
    pub(crate) async fn search<R: FromRow>(
        &self,
        operation: &'static str,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<R>, Error> {
        self.read_within(operation, Use::Alone, self.limit(1), sql, values).await
    }

    /// The same, within a time of one's own.
    pub(crate) async fn read_within<R: FromRow>(
        &self,
        operation: &'static str,
        wanted: Use,
        limit: Duration,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<R>, Error> {
        let query = |mut lease: Lease| async move { lease.query(sql, values).await };
        let rows = || traced(operation, self.bounded(operation, wanted, limit, query));
        let rows = match rows().await {
            Err(error) if error.is_broken_connection() => rows().await,
            answer => answer,
        };
        read_all(rows.map_err(db_error::from)?).map_err(db_error::from)
    }

    /// The rows of a statement that may write. It runs once: after a break nobody knows what it did.
    pub(crate) async fn write<R: FromRow>(
        &self,
        operation: &'static str,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<R>, DbError> {
        let rows = self.alone(operation, 1, |mut lease| async move { lease.query(sql, values).await }).await?;
        read_all(rows)
    }

    /// Runs `work`, which is so many statements, on a connection of its own.
    pub(crate) async fn alone<T, F>(
        &self,
        operation: &'static str,
        statements: u32,
        work: impl FnOnce(Lease) -> F,
    ) -> Result<T, DbError>
    where
        F: Future<Output = Result<T, DbError>>,
    {
        traced(operation, self.bounded(operation, Use::Alone, self.limit(statements), work)).await
    }

    /// A connection for work without bounds and measures.
    pub(crate) async fn lease(&self) -> Result<Lease, DbError> {
        self.pool.acquire(Use::Alone, self.config.acquire_timeout).await
    }

    /// How long it can take to get a connection and to run so many statements, each within its bound.
    pub(crate) fn limit(&self, statements: u32) -> Duration {
        self.config.acquire_timeout + self.config.statement_timeout * statements + GRACE
    }

    /// Runs `work` on a connection, but no longer than `limit`. The server bounds its statements itself; this is for the
    /// day on which nothing comes back at all, neither an answer nor the end of the connection.
    pub(crate) async fn bounded<T, F>(
        &self,
        operation: &'static str,
        wanted: Use,
        limit: Duration,
        work: impl FnOnce(Lease) -> F,
    ) -> Result<T, DbError>
    where
        F: Future<Output = Result<T, DbError>>,
    {
        let asked = Instant::now();
        let lease = self.pool.acquire(wanted, limit).await;
        let started = Instant::now();
        self.metrics.waited(started - asked);
        let (result, outcome) = match lease {
            Ok(lease) => {
                let mut work = pin!(work(lease));
                let result = timeout_at(asked + limit, &mut work).await.unwrap_or(Err(DbError::Silence(limit)));
                // Noted before `work` is dropped, which then does not wait for the connection to come round.
                if let Err(error) = &result
                    && (error.is_broken_connection() || matches!(error, DbError::Silence(_)))
                {
                    self.pool.note_break();
                }
                let outcome = if result.is_ok() { "ok" } else { "error" };
                (result, outcome)
            }
            Err(error) => (Err(error), "refused"),
        };
        self.metrics.ended(operation, outcome, started.elapsed());
        result
    }
}

/// Makes `work` a part of what is traced now.
pub(crate) async fn traced<T>(
    operation: &'static str,
    work: impl Future<Output = Result<T, DbError>>,
) -> Result<T, DbError> {
    let span = tracing::debug_span!(
        "database",
        otel.name = operation,
        otel.kind = "client",
        otel.status_code = tracing::field::Empty,
        db.system.name = "postgresql",
        db.operation.name = operation,
    );
    let work = async {
        let result = work.await;
        if result.is_err() {
            tracing::Span::current().record("otel.status_code", "ERROR");
        }
        result
    };
    work.instrument(span).await
}

impl FromRow for Row {
    /// The row itself, for whoever reads many of them into their final form.
    fn from_row(row: Row) -> Result<Self, tokio_postgres::Error> {
        Ok(row)
    }
}

/// All of `rows`.
pub(crate) fn read_all<R: FromRow>(rows: Vec<Row>) -> Result<Vec<R>, DbError> {
    rows.into_iter().map(R::from_row).collect::<Result<_, _>>().map_err(DbError::Statement)
}

impl fmt::Debug for PostgresDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresDatabase").field("schema", self.schema()).finish_non_exhaustive()
    }
}

impl ConnectError {
    /// Whether it may work in a moment: the server is not there, starts or has no room. A wrong password stays wrong.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match &self.cause {
            ConnectCause::Server(error) => db_error::is_temporary(error),
            ConnectCause::Tls(_) => false,
            ConnectCause::Silence => true,
        }
    }
}
