//! The database and its connections.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{Pool, PoolError, QueueMode};
use prometheus_client::registry::Registry;
use sea_orm::DbErr;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::coalescer::Limits;
use crate::connector::{Connector, detect_mode};
use crate::lease::Lease;
use crate::metrics::{Metrics, Pending};
use crate::operation::{Kind, Operation, Transaction};
use crate::pooler::{Mode, ModeWatch};
use crate::{Config, SchemaName, db_error};

/// What the network may take on top of what the server may take for a statement.
const NETWORK_GRACE: Duration = Duration::from_secs(2);
/// The longest time until the first connection is there.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How soon a connection that the server refused for want of room, or because it is read-only, is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);
/// Callers that may wait for each connection. A statement takes some milliseconds, so a later caller would wait for longer
/// than it may; and each that waits keeps a request in memory.
const MAX_WAITERS_PER_CONNECTION: usize = 100;
/// One in so many connections is for statements of [`Kind::Search`], at least one.
const SEARCH_SHARE: u32 = 4;

/// A PostgreSQL database as one tenant sees it. A clone uses the same connections.
#[derive(Clone)]
pub struct PostgresDatabase {
    pub(crate) pool: Pool<Connector>,
    /// One connection apart from the others, so that a check does not wait behind requests.
    pub(crate) checks: Pool<Connector>,
    searches: Arc<Semaphore>,
    pub(crate) runtime: Handle,
    pub(crate) metrics: Metrics,
    pub(crate) config: Config,
    mode: Arc<ModeWatch>,
}

/// No connection could be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to PostgreSQL at {address}: {}", db_error::reason(cause))]
pub struct ConnectError {
    address: String,
    cause: DbErr,
}

impl PostgresDatabase {
    /// Connects to the database and keeps the connection for use. The schema does not have to exist yet. The sockets of
    /// all connections belong to the runtime that this is called on, which has to outlive them.
    ///
    /// # Errors
    /// When there is no connection; see [`ConnectError::is_temporary`].
    pub async fn connect(config: Config) -> Result<Self, ConnectError> {
        let address = config.conninfo.address();
        let started = timeout(START_TIMEOUT, Self::start(config)).await;
        let started = started.unwrap_or_else(|_| Err(db_error::no_response(START_TIMEOUT)));
        started.map_err(|cause| ConnectError { address, cause })
    }

    async fn start(config: Config) -> Result<Self, DbErr> {
        let mode = Arc::new(detect_mode(&config).await?);
        let runtime = Handle::current();
        let pool = |size: u32| {
            let connector = Connector::new(config.clone(), Arc::clone(&mode), runtime.clone());
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            let pool = Pool::builder(connector).max_size(size).queue_mode(QueueMode::Lifo).build();
            pool.map_err(db_error::connection_failed)
        };
        let (pool, checks) = (pool(config.max_connections)?, pool(1)?);
        let searches = usize::try_from((config.max_connections / SEARCH_SHARE).max(1)).unwrap_or(1);
        let searches = Arc::new(Semaphore::new(searches));
        let database = Self { pool, checks, searches, runtime, metrics: Metrics::default(), config, mode };
        drop(database.connection(&database.pool).await?);
        Ok(database)
    }

    /// Makes what is measured part of `registry`.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry, self.pool.clone());
    }

    /// Closes the idle connections at once and each other one when its statement has ended. Later callers are refused.
    pub async fn close(&self) {
        self.pool.close();
        self.checks.close();
        let deadline = Instant::now() + self.limit(1);
        while 0 < self.pool.status().size && Instant::now() < deadline {
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Whether a pooler between here and PostgreSQL hands each transaction to another backend.
    #[must_use]
    pub fn is_behind_pooler(&self) -> bool {
        self.mode.state().0 == Mode::Transaction
    }

    /// The schema in which everything lives.
    pub(crate) const fn schema(&self) -> &SchemaName {
        &self.config.schema
    }

    /// Runs quick statements that only read. `name` is what metrics and traces call them, here and below.
    pub(crate) const fn read(&self, name: &'static str) -> Operation<'_> {
        Operation { database: self, name, kind: Kind::Read, is_traced: true }
    }

    /// Runs statements that read and may take long.
    pub(crate) const fn search(&self, name: &'static str) -> Operation<'_> {
        Operation { database: self, name, kind: Kind::Search, is_traced: true }
    }

    /// Runs single statements that write.
    pub(crate) const fn write(&self, name: &'static str) -> Operation<'_> {
        Operation { database: self, name, kind: Kind::Write, is_traced: true }
    }

    /// Begins a transaction of so many statements at most.
    pub(crate) async fn begin(&self, name: &'static str, statements: u32) -> Result<Transaction<'_>, DbErr> {
        Transaction::begin(self, name, self.limit(statements)).await
    }

    /// The time within which a connection is found and so many statements have run, each within its bound.
    pub(crate) fn limit(&self, statements: u32) -> Duration {
        self.config.acquire_timeout + self.config.statement_timeout * statements + NETWORK_GRACE
    }

    /// The bounds of calls that wait to be carried out together.
    pub(crate) fn coalescing_limits(&self) -> Limits {
        Limits { capacity: self.max_waiters(), wait: self.config.acquire_timeout }
    }

    /// A connection, waited for and made within [`Config::acquire_timeout`], and what bounds searches.
    pub(crate) async fn acquire(&self, kind: Kind) -> Result<(Lease, Option<OwnedSemaphorePermit>), DbErr> {
        let asked = Instant::now();
        if self.max_waiters() <= self.pool.status().waiting {
            return Err(db_error::pool_timed_out());
        }
        let acquire = async {
            let permit = match kind {
                Kind::Search => {
                    let permit = Arc::clone(&self.searches).acquire_owned().await;
                    Some(permit.map_err(|_| db_error::pool_closed())?)
                }
                Kind::Read | Kind::Write => None,
            };
            Ok((self.connection(&self.pool).await?, permit))
        };
        let pending = Pending::new(&self.metrics.pending);
        let acquired = timeout_at(asked + self.config.acquire_timeout, acquire).await;
        drop(pending);
        self.metrics.waited(asked.elapsed());
        acquired.unwrap_or(Err(db_error::pool_timed_out()))
    }

    /// A connection of `pool`. Where the server has no room for one more, or is read-only for the moment, the caller
    /// waits until one is returned or can be made.
    pub(crate) async fn connection(&self, pool: &Pool<Connector>) -> Result<Lease, DbErr> {
        loop {
            match pool.get().await {
                Ok(object) => return Ok(Lease::new(object, self.runtime.clone())),
                Err(PoolError::Backend(error)) if db_error::is_worth_waiting(&error) => sleep(RETRY_INTERVAL).await,
                Err(PoolError::Backend(error)) => return Err(error),
                Err(PoolError::Timeout(_)) => return Err(db_error::pool_timed_out()),
                Err(_) => return Err(db_error::pool_closed()),
            }
        }
    }

    fn max_waiters(&self) -> usize {
        self.pool.status().max_size * MAX_WAITERS_PER_CONNECTION
    }
}

impl fmt::Debug for PostgresDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresDatabase").field("schema", self.schema()).finish_non_exhaustive()
    }
}

impl ConnectError {
    /// Whether a retry may succeed: the server is down, starts or has no room. A wrong password stays wrong.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        db_error::is_temporary(&self.cause)
    }
}
