//! The connections to the database, and how statements run on them: within bounds, and a reading one again when it met a
//! connection that had broken.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use domain::Error;
use futures_util::TryStreamExt;
use prometheus_client::registry::Registry;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions, PgConnection};
use sea_orm::{ConnAcquireErr, DatabaseConnection, DbErr, FromQueryResult, RuntimeErr, Statement, Values};
use sea_query_sqlx::SqlxValues;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::Instrument;

use crate::kept::Kept;
use crate::link::{self, LastBreak};
use crate::metrics::Metrics;
use crate::{Config, SchemaName, db_error};

/// What the network may take on top of what the server may take for a statement.
const GRACE: Duration = Duration::from_secs(2);

/// How many may wait for each connection. A statement takes a few milliseconds, so whoever comes after so many would
/// wait longer than [`Config::acquire_timeout`] on all but the healthiest of databases.
const QUEUE: usize = 100;

/// A PostgreSQL database as one tenant sees it. A clone uses the same connections.
#[derive(Clone)]
pub struct PostgresDatabase {
    kept: Arc<Kept>,
    /// The pool as sea-orm takes it, for transactions.
    pool: DatabaseConnection,
    /// As many as there can be connections: whoever has none waits here, where it can be seen, and not in the pool.
    places: Arc<Semaphore>,
    /// As many as may wait there. More would wait in vain, and each keeps a request in memory.
    queue: Arc<Semaphore>,
    metrics: Metrics,
    last_break: LastBreak,
    config: Config,
}

/// No connection could be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to PostgreSQL at {address}: {reason}")]
pub struct ConnectError {
    address: String,
    reason: String,
    #[source]
    source: sqlx::Error,
}

impl PostgresDatabase {
    /// Connects to the database and keeps the connection for use. The schema does not have to exist yet.
    ///
    /// # Errors
    /// When there is no connection within [`Config::acquire_timeout`]; a server that starts is waited for.
    pub async fn connect(config: Config) -> Result<Self, ConnectError> {
        let last_break = LastBreak::default();
        let pool = match pool(&config, config.max_connections, &last_break).connect_with(config.options.clone()).await {
            Ok(pool) => pool,
            Err(error) => return Err(ConnectError::explain(error, &config.options).await),
        };
        Ok(Self::new(config, pool, last_break, Metrics::default()))
    }

    fn new(config: Config, pool: PgPool, last_break: LastBreak, metrics: Metrics) -> Self {
        let connections = pool.options().get_max_connections() as usize;
        let (places, queue) = (Arc::new(Semaphore::new(connections)), Arc::new(Semaphore::new(connections * QUEUE)));
        let kept = Arc::new(Kept::new(pool.clone(), last_break.clone()));
        Self { kept, pool: pool.into(), places, queue, metrics, last_break, config }
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
                let pool = pool(&self.config, size, &self.last_break).connect_lazy_with(self.config.options.clone());
                Self::new(self.config.clone(), pool, self.last_break.clone(), self.metrics.clone())
            })
            .collect()
    }

    /// Makes what is measured in all `shares` of a database part of `registry`.
    pub fn register(shares: &[Self], registry: &mut Registry) {
        let connections = shares.iter().map(|share| share.kept.clone()).collect();
        if let Some(share) = shares.first() {
            share.metrics.register(registry, connections);
        }
    }

    /// Closes all connections, each when the statement that it runs has ended. Whoever asks after that is refused.
    pub async fn close(&self) {
        self.kept.close().await;
    }

    /// The schema in which everything lives.
    pub(crate) const fn schema(&self) -> &SchemaName {
        &self.config.schema
    }

    /// A connection for more than one statement, to be used [within](Self::within) a place.
    pub(crate) fn connection(&self) -> &DatabaseConnection {
        drop(self.kept.release());
        &self.pool
    }

    /// The rows of a statement that only reads. A connection that broke is replaced once: nothing can happen twice.
    /// Here and below `operation` is what metrics and traces call it.
    pub(crate) async fn read<R>(&self, operation: &'static str, statement: Statement) -> Result<Vec<R>, Error>
    where
        R: FromQueryResult + Send + Sync,
    {
        self.read_within(operation, self.limit(1), statement).await
    }

    /// The same, within a time of one's own.
    pub(crate) async fn read_within<R>(
        &self,
        operation: &'static str,
        limit: Duration,
        statement: Statement,
    ) -> Result<Vec<R>, Error>
    where
        R: FromQueryResult + Send + Sync,
    {
        let rows = || self.within(operation, limit, self.run(&statement));
        match rows().await {
            Err(error) if db_error::is_broken_connection(&error) => rows().await,
            answer => answer,
        }
        .map_err(db_error::from)
    }

    /// The row of a statement that may write, if it answers one. It runs once: after a break nobody knows what it did.
    pub(crate) async fn write<R>(&self, operation: &'static str, statement: Statement) -> Result<Option<R>, DbErr>
    where
        R: FromQueryResult + Send + Sync,
    {
        self.write_all(operation, statement).await.map(|rows| rows.into_iter().next())
    }

    /// The rows of such a statement.
    pub(crate) async fn write_all<R>(&self, operation: &'static str, statement: Statement) -> Result<Vec<R>, DbErr>
    where
        R: FromQueryResult + Send + Sync,
    {
        self.within(operation, self.limit(1), self.run(&statement)).await
    }

    /// The rows of a statement, with neither bounds nor measures.
    pub(crate) async fn run<R: FromQueryResult>(&self, statement: &Statement) -> Result<Vec<R>, DbErr> {
        let mut connection = self.kept.acquire().await.map_err(db_error::no_connection)?;
        let values = SqlxValues(statement.values.clone().unwrap_or(Values(Vec::new())));
        let query = sqlx::query_with(AssertSqlSafe(statement.sql.as_str()), values);
        let mut rows = Vec::new();
        let mut stream = query.fetch(connection.get());
        while let Some(row) =
            stream.try_next().await.map_err(|error| DbErr::Query(RuntimeErr::SqlxError(error.into())))?
        {
            rows.push(R::from_query_result(&row.into(), "")?);
        }
        drop(stream);
        self.kept.keep(connection);
        Ok(rows)
    }

    /// How long it can take to get a connection and to run so many statements, each within its bound.
    pub(crate) fn limit(&self, statements: u32) -> Duration {
        self.config.acquire_timeout + self.config.statement_timeout * statements + GRACE
    }

    /// Runs `work`, which uses one connection, but no longer than `limit`. The server bounds its statements itself;
    /// this is for the day on which nothing comes back at all, neither an answer nor the end of the connection.
    pub(crate) async fn within<T>(
        &self,
        operation: &'static str,
        limit: Duration,
        work: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        let span = tracing::debug_span!(
            "database",
            otel.name = operation,
            otel.kind = "client",
            otel.status_code = tracing::field::Empty,
            db.system.name = "postgresql",
            db.operation.name = operation,
        );
        let limited = async {
            let deadline = Instant::now() + limit;
            let _place = self.place(limit).await?;
            let started = Instant::now();
            let mut work = pin!(work);
            let result = timeout_at(deadline, &mut work).await.unwrap_or_else(|_| Err(db_error::silence(limit)));
            self.metrics.ended(operation, result.is_ok(), started.elapsed());
            if let Err(error) = &result {
                tracing::Span::current().record("otel.status_code", "ERROR");
                // Noted before `work` is dropped and its connection returns to the pool, where this makes it a suspect.
                if db_error::is_broken_connection(error) || db_error::is_silence(error) {
                    self.last_break.note();
                }
            }
            result
        };
        limited.instrument(span).await
    }

    /// A place at the database, waited for as long as for a connection, and no longer than `limit`.
    async fn place(&self, limit: Duration) -> Result<SemaphorePermit<'_>, DbErr> {
        if let Ok(place) = self.places.try_acquire() {
            self.metrics.waited(Duration::ZERO);
            return Ok(place);
        }
        let timed_out = DbErr::ConnectionAcquire(ConnAcquireErr::Timeout);
        let Ok(_queued) = self.queue.try_acquire() else { return Err(timed_out) };
        let started = Instant::now();
        let _pending = Pending::new(&self.metrics);
        let place = timeout(self.config.acquire_timeout.min(limit), self.places.acquire()).await;
        self.metrics.waited(started.elapsed());
        // Nobody closes the semaphore.
        place.ok().and_then(Result::ok).ok_or(timed_out)
    }
}

/// One who waits, until it is dropped: its client may give up at any moment.
struct Pending<'a>(&'a Metrics);

impl<'a> Pending<'a> {
    fn new(metrics: &'a Metrics) -> Self {
        metrics.pending.inc();
        Self(metrics)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.pending.dec();
    }
}

impl fmt::Debug for PostgresDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresDatabase").field("schema", self.schema()).finish_non_exhaustive()
    }
}

fn pool(config: &Config, max_connections: u32, last_break: &LastBreak) -> PgPoolOptions {
    let (on_acquire, on_release) = (last_break.clone(), last_break.clone());
    let session = Session { search_path: config.schema.quoted(), statement_timeout: config.statement_timeout };
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(config.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(move |connection, meta| {
            Box::pin(link::check(connection, on_acquire.doubts(meta.age, meta.idle_for)))
        })
        .after_release(move |connection, meta| {
            Box::pin(link::check(connection, on_release.doubts(meta.age, meta.idle_for)))
        })
        .after_connect(move |connection, _| Box::pin(session.clone().begin(connection)))
}

/// What every connection is told first.
#[derive(Clone)]
struct Session {
    search_path: String,
    statement_timeout: Duration,
}

impl Session {
    /// Nothing but the schema of the tenant is searched, so nothing is ever found, or made, in `public` by accident.
    /// Told as values of a statement: the options of a connection could not carry every name.
    async fn begin(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        // Zero would mean no bound.
        let milliseconds = self.statement_timeout.as_millis().max(1).to_string();
        sqlx::query("SELECT set_config('search_path', $1, false), set_config('statement_timeout', $2, false)")
            .bind(self.search_path)
            .bind(milliseconds)
            .persistent(false)
            .execute(connection)
            .await
            .map(drop)
    }
}

impl ConnectError {
    /// Whether it may work in a moment: the server is not there, starts or has no room. A wrong password stays wrong.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        db_error::is_temporary(&self.source)
    }

    /// The pool tries again for a while and in the end only says that time is up: one more attempt tells why.
    async fn explain(error: sqlx::Error, options: &PgConnectOptions) -> Self {
        let source = match error {
            sqlx::Error::PoolTimedOut => match tokio::time::timeout(GRACE, options.connect()).await {
                Ok(Err(reason)) => reason,
                Ok(Ok(_)) | Err(_) => sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()),
            },
            error => error,
        };
        let address = format!("{}:{}", options.get_host(), options.get_port());
        Self { address, reason: db_error::reason_of_sqlx(&source), source }
    }
}
