//! The database and its connections.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use coalescer::Limits;
use deadpool::managed::{Pool, PoolError, QueueMode};
use pg_conninfo::pooler::{Mode, ModeWatch};
use prometheus_client::registry::Registry;
use sea_orm::DbErr;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::connector::{CHECK_AFTER_IDLE, Connector, detect_mode};
use crate::lease::Lease;
use crate::metrics::{Metrics, Pending};
use crate::replicas::Replicas;
use crate::{Config, SchemaName, db_error};

/// The time of the network on top of the time of a statement.
pub(crate) const NETWORK_GRACE: Duration = Duration::from_secs(2);
/// The maximum time until the first connection is open.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// The interval between attempts to connect to a server that has reached its connection limit or is read-only.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);
/// A statement takes some milliseconds, so more callers would exceed the acquire timeout; and each keeps a request in memory.
const MAX_WAITERS_PER_CONNECTION: usize = 100;
/// One in so many connections may be used for [`Access::Search`], at least one.
const SEARCH_SHARE: u32 = 4;

/// The statements that a connection is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Fast statements that only read.
    Read,
    /// Statements that only read and whose time grows with the number of rows. They may use a share of the connections.
    Search,
    /// Statements that may write.
    Write,
}

/// The schema of one tenant in a PostgreSQL database. Clones share the connections.
#[derive(Clone)]
pub struct PostgresDatabase {
    pub(crate) pool: Pool<Connector>,
    /// A separate connection, so that health checks do not wait for requests. Its server is checked at each use.
    pub(crate) checks: Pool<Connector>,
    searches: Arc<Semaphore>,
    pub(crate) runtime: Handle,
    pub(crate) metrics: Metrics,
    pub(crate) config: Config,
    mode: Arc<ModeWatch>,
    pub(crate) replicas: Option<Arc<Replicas>>,
}

/// No connection could be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to PostgreSQL at {address}: {}", db_error::reason(cause))]
pub struct ConnectError {
    address: String,
    cause: DbErr,
}

impl PostgresDatabase {
    /// Opens the first connection. The schema does not have to exist. The current runtime owns the sockets of all connections
    /// and must outlive them.
    ///
    /// # Errors
    /// See [`ConnectError::is_temporary`].
    pub async fn connect(config: Config) -> Result<Self, ConnectError> {
        let address = config.conninfo.address();
        let started = timeout(START_TIMEOUT, Self::start(config)).await;
        let started = started.unwrap_or_else(|_| Err(db_error::no_response(START_TIMEOUT)));
        started.map_err(|cause| ConnectError { address, cause })
    }

    async fn start(config: Config) -> Result<Self, DbErr> {
        let mode = Arc::new(detect_mode(&config).await?);
        let runtime = Handle::current();
        let pool = |size: u32, check_after_idle: Duration| {
            let connector = Connector::new(config.clone(), Arc::clone(&mode), runtime.clone(), check_after_idle);
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            let pool = Pool::builder(connector).max_size(size).queue_mode(QueueMode::Lifo).build();
            pool.map_err(db_error::connection_failed)
        };
        let (pool, checks) = (pool(config.max_connections, CHECK_AFTER_IDLE)?, pool(1, Duration::ZERO)?);
        let searches = usize::try_from((config.max_connections / SEARCH_SHARE).max(1)).unwrap_or(1);
        let searches = Arc::new(Semaphore::new(searches));
        let database =
            Self { pool, checks, searches, runtime, metrics: Metrics::default(), config, mode, replicas: None };
        drop(database.connection().await?);
        Ok(database)
    }

    /// Lets the replicas of [`Config::with_replicas`] serve lists and reports. They do not have to be reachable.
    #[must_use]
    pub fn with_read_replicas(self) -> Self {
        let configs = self.config.replicas();
        if configs.is_empty() {
            return self;
        }
        let replicas = Replicas::start(configs, &self);
        Self { replicas: Some(Arc::new(replicas)), ..self }
    }

    /// Adds the metrics of the database to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry, self.pool.clone());
        if let Some(replicas) = &self.replicas {
            replicas.metrics.register(registry);
        }
    }

    /// Closes idle connections immediately and the others when their statements have ended. Rejects later callers.
    pub async fn close(&self) {
        if let Some(replicas) = &self.replicas {
            replicas.close();
        }
        self.pool.close();
        self.checks.close();
        let deadline = Instant::now() + self.limit(1);
        while 0 < self.pool.status().size && Instant::now() < deadline {
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Whether a pooler assigns backends to transactions.
    #[must_use]
    pub fn is_behind_pooler(&self) -> bool {
        self.mode.state().0 == Mode::Transaction
    }

    pub(crate) const fn schema(&self) -> &SchemaName {
        &self.config.schema
    }

    /// The maximum time to acquire a connection and run so many statements.
    pub(crate) fn limit(&self, statements: u32) -> Duration {
        self.config.acquire_timeout + self.config.statement_timeout * statements + NETWORK_GRACE
    }

    pub(crate) fn coalescing_limits(&self) -> Limits {
        Limits { capacity: self.max_waiters(), wait: self.config.acquire_timeout }
    }

    /// Returns a connection within [`Config::acquire_timeout`], with the permit of a search.
    pub(crate) async fn acquire(&self, access: Access) -> Result<(Lease, Option<OwnedSemaphorePermit>), DbErr> {
        let asked = Instant::now();
        if self.max_waiters() <= self.pool.status().waiting {
            return Err(db_error::pool_timed_out());
        }
        let acquire = async {
            let permit = if access == Access::Search {
                let permit = Arc::clone(&self.searches).acquire_owned().await;
                Some(permit.map_err(|_| db_error::pool_closed())?)
            } else {
                None
            };
            Ok((self.connection().await?, permit))
        };
        let pending = Pending::new(&self.metrics.pending);
        let acquired = timeout_at(asked + self.config.acquire_timeout, acquire).await;
        drop(pending);
        self.metrics.waited(asked.elapsed());
        acquired.unwrap_or(Err(db_error::pool_timed_out()))
    }

    /// Returns a connection. While the server has reached its connection limit or is read-only, waits until a connection is
    /// returned to the pool or can be opened.
    async fn connection(&self) -> Result<Lease, DbErr> {
        loop {
            match self.pool.get().await.map_err(pool_error) {
                Err(error) if db_error::is_worth_waiting(&error) => sleep(RETRY_INTERVAL).await,
                result => return result.map(|object| Lease::new(object, self.runtime.clone())),
            }
        }
    }

    /// Checks that the server responds and accepts writes.
    pub(crate) async fn check(&self) -> Result<(), DbErr> {
        self.checks.get().await.map(drop).map_err(pool_error)
    }

    fn max_waiters(&self) -> usize {
        self.pool.status().max_size * MAX_WAITERS_PER_CONNECTION
    }
}

pub(crate) fn pool_error(error: PoolError<DbErr>) -> DbErr {
    match error {
        PoolError::Backend(error) => error,
        PoolError::Timeout(_) => db_error::pool_timed_out(),
        PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => db_error::pool_closed(),
    }
}

impl fmt::Debug for PostgresDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresDatabase").field("schema", self.schema()).finish_non_exhaustive()
    }
}

impl ConnectError {
    /// Whether a retry may succeed: the server is down, starts or has reached its limits. A wrong password is permanent.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        db_error::is_temporary(&self.cause)
    }
}
