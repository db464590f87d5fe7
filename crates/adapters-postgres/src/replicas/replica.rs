//! One read replica: its connections, and whether it is usable.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use deadpool::managed::{Pool, QueueMode};
use sea_orm::sqlx::postgres::{PgQueryResult, PgRow};
use sea_orm::{DbErr, QueryResult, Statement};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};

use super::position::{Mismatch, Position};
use crate::connector::{CHECK_AFTER_IDLE, Connector, detect_mode};
use crate::database::{NETWORK_GRACE, pool_error};
use crate::lease::Lease;
use crate::{Config, db_error};

/// How long a read waits for the replay of the primary's position. It is the bound of the lag: a replica that needs longer
/// serves no reads. On one network, 99 in 100 commits are replayed within 20 ms.
const REPLAY_WAIT: Duration = Duration::from_millis(50);
const REPLAY_POLL: Duration = Duration::from_millis(2);
/// The bound of a position query, which takes less than a millisecond.
const POSITION_TIMEOUT: Duration = Duration::from_secs(1);
/// The bound for a connection. A read can do without.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);
/// A statement that a replica cancels because replay changes its rows (`max_standby_streaming_delay`).
const RECOVERY_CONFLICT: &str = "40001";
/// The statement exceeded `statement_timeout`.
const CANCELED: &str = "57014";

/// A standby of the database.
pub(super) struct Replica {
    pub(super) address: String,
    config: Config,
    runtime: Handle,
    /// Set by the first probe that succeeds: the service starts without its replicas.
    pools: OnceLock<Pools>,
    /// The circuit breaker. A failed read opens it, and only a probe closes it.
    is_usable: AtomicBool,
    /// Whether the last fault is logged and has not ended.
    is_faulty: AtomicBool,
}

struct Pools {
    reads: Pool<Connector>,
    /// A separate connection, so that probes do not wait for reads.
    probes: Pool<Connector>,
}

/// Why a replica does not serve a read.
#[derive(Debug)]
pub(super) enum Refusal {
    Mismatch(Mismatch),
    /// All connections are in use.
    Busy,
    Connection(DbErr),
    Statement(DbErr),
}

impl Replica {
    pub(super) fn new(config: Config, runtime: Handle) -> Self {
        let address = config.conninfo.address();
        Self {
            address,
            config,
            runtime,
            pools: OnceLock::new(),
            is_usable: AtomicBool::new(false),
            is_faulty: AtomicBool::new(false),
        }
    }

    pub(super) fn is_usable(&self) -> bool {
        self.is_usable.load(Ordering::Relaxed)
    }

    /// Runs `statement` after the replay of `required`.
    pub(super) async fn read(
        &self,
        required: &Position,
        statement: &Statement,
        take: impl FnMut(PgRow) + Send,
    ) -> Result<PgQueryResult, Refusal> {
        let result = self.try_read(required, statement, take).await;
        if let Err(refusal) = &result
            && refusal.trips_breaker()
        {
            self.set_usable(Err(refusal));
        }
        result
    }

    async fn try_read(
        &self,
        required: &Position,
        statement: &Statement,
        take: impl FnMut(PgRow) + Send,
    ) -> Result<PgQueryResult, Refusal> {
        let Pools { reads, .. } = self.pools.get().ok_or(Refusal::Busy)?;
        let mut lease = self.acquire(reads).await?;
        // Behind a transaction pooler only one transaction has the same server in both statements.
        let is_pooled = lease.is_pooled().map_err(Refusal::Connection)?;
        if is_pooled {
            lease.begin().await.map_err(Refusal::Connection)?;
        }
        await_replay(&mut lease, required).await?;
        let limit = self.config.statement_timeout + NETWORK_GRACE;
        let done = timeout(limit, lease.run(statement, take)).await.unwrap_or_else(|_| {
            lease.discard();
            Err(db_error::no_response(limit))
        });
        let done = done.map_err(Refusal::Statement)?;
        if is_pooled {
            lease.end("COMMIT").await.map_err(Refusal::Connection)?;
        }
        Ok(done)
    }

    async fn acquire(&self, pool: &Pool<Connector>) -> Result<Lease, Refusal> {
        match timeout(ACQUIRE_TIMEOUT, pool.get()).await {
            Ok(object) => {
                let object = object.map_err(|error| Refusal::Connection(pool_error(error)))?;
                Ok(Lease::new(object, self.runtime.clone()))
            }
            // Those that wait for a connection, and not only for it to be opened, show a pool in use.
            Err(_) if pool.status().available == 0 && pool.status().size == pool.status().max_size => {
                Err(Refusal::Busy)
            }
            Err(_) => Err(Refusal::Connection(db_error::no_response(ACQUIRE_TIMEOUT))),
        }
    }

    /// Checks that the replica replays `required` in time.
    pub(super) async fn probe(&self, required: &Position) -> Result<Position, Refusal> {
        let pools = if let Some(pools) = self.pools.get() {
            pools
        } else {
            let opened = self.open().await.map_err(Refusal::Connection)?;
            self.pools.get_or_init(|| opened)
        };
        let mut lease = self.acquire(&pools.probes).await?;
        await_replay(&mut lease, required).await
    }

    async fn open(&self) -> Result<Pools, DbErr> {
        let mode = Arc::new(detect_mode(&self.config).await?);
        let pool = |size: u32, check_after_idle: Duration| {
            let connector =
                Connector::new(self.config.clone(), Arc::clone(&mode), self.runtime.clone(), check_after_idle);
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            let pool = Pool::builder(connector).max_size(size).queue_mode(QueueMode::Lifo).build();
            pool.map_err(db_error::connection_failed)
        };
        Ok(Pools { reads: pool(self.config.max_connections, CHECK_AFTER_IDLE)?, probes: pool(1, Duration::ZERO)? })
    }

    /// Opens or closes the circuit breaker. Logs faults and their end, but not each late replay: there is an alert for a long
    /// lag.
    pub(super) fn set_usable(&self, result: Result<(), &Refusal>) {
        self.is_usable.store(result.is_ok(), Ordering::Relaxed);
        let replica = self.address.as_str();
        match result {
            Ok(()) if self.is_faulty.swap(false, Ordering::Relaxed) => {
                tracing::info!(replica, "the replica serves reads again");
            }
            Err(reason) if reason.is_fault() && !self.is_faulty.swap(true, Ordering::Relaxed) => {
                tracing::warn!(replica, %reason, "the replica serves no reads");
            }
            Ok(()) | Err(_) => {}
        }
    }

    pub(super) fn close(&self) {
        if let Some(Pools { reads, probes }) = self.pools.get() {
            reads.close();
            probes.close();
        }
    }
}

/// Waits until the server has replayed `required`, and returns its position.
async fn await_replay(lease: &mut Lease, required: &Position) -> Result<Position, Refusal> {
    let deadline = Instant::now() + REPLAY_WAIT;
    loop {
        let position = position(lease).await?;
        match position.check(required) {
            Ok(()) => return Ok(position),
            Err(Mismatch::Behind { .. }) if Instant::now() < deadline => sleep(REPLAY_POLL).await,
            Err(mismatch) => return Err(Refusal::Mismatch(mismatch)),
        }
    }
}

async fn position(lease: &mut Lease) -> Result<Position, Refusal> {
    let mut row = None;
    let queried = timeout(POSITION_TIMEOUT, lease.run(&Position::statement(), |found| row = Some(found))).await;
    let queried = queried.unwrap_or_else(|_| {
        lease.discard();
        Err(db_error::no_response(POSITION_TIMEOUT))
    });
    queried.map_err(Refusal::Connection)?;
    let row = row.ok_or_else(|| Refusal::Connection(db_error::connection_failed("no position of the WAL")))?;
    Position::from_row(&QueryResult::from(row)).map_err(Refusal::Connection)
}

impl Refusal {
    /// Every [`Self::reason`].
    pub(super) const REASONS: [&str; 6] = ["behind", "mismatch", "busy", "connection", "conflict", "statement"];

    /// The reason as a label.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Mismatch(Mismatch::Behind { .. }) => "behind",
            Self::Mismatch(_) => "mismatch",
            Self::Busy => "busy",
            Self::Connection(_) => "connection",
            Self::Statement(error) if db_error::code(error) == Some(RECOVERY_CONFLICT) => "conflict",
            Self::Statement(_) => "statement",
        }
    }

    pub(super) const fn is_behind(&self) -> bool {
        matches!(self, Self::Mismatch(Mismatch::Behind { .. }))
    }

    pub(super) const fn is_primary(&self) -> bool {
        matches!(self, Self::Mismatch(Mismatch::Primary))
    }

    /// Whether an operator has to do something, unlike about a late replay and the primary.
    const fn is_fault(&self) -> bool {
        !self.is_behind() && !self.is_primary()
    }

    /// Whether the next read is likely to be refused as well. Replay cancels single statements of a replica that is well.
    fn trips_breaker(&self) -> bool {
        match self {
            Self::Mismatch(_) | Self::Connection(_) => true,
            Self::Statement(error) => {
                let is_single = matches!(db_error::code(error), Some(RECOVERY_CONFLICT | CANCELED));
                !is_single && db_error::is_unavailable(error)
            }
            Self::Busy => false,
        }
    }

    /// Returns the error of a statement that took too long: the primary must not repeat it.
    pub(super) fn into_final(self) -> Result<DbErr, Self> {
        match self {
            Self::Statement(error) if db_error::code(&error) == Some(CANCELED) => Ok(error),
            refusal => Err(refusal),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mismatch(mismatch) => mismatch.fmt(f),
            Self::Busy => f.write_str("all connections are in use"),
            Self::Connection(error) | Self::Statement(error) => f.write_str(&db_error::reason(error)),
        }
    }
}
