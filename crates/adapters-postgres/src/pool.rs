//! The connections of one thread, and who may use which.
//!
//! Quick statements that only read share a connection: they are sent without waiting for those before them. Everything
//! else, a write, a transaction, a search, has a connection to itself while it lasts, so that nobody waits behind it
//! who need not. Whoever finds none waits in line, in the order of arrival, and for a bounded time.

mod lease;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use self::state::{Place, State};
use crate::connection::{Connection, Connector};
use crate::db_error::DbError;

pub(crate) use self::lease::Lease;

/// How many may wait for each connection. A statement takes a few milliseconds, so whoever comes after so many would
/// wait for longer than one may on all but the healthiest of databases; and each that waits keeps a request in memory.
const QUEUE: usize = 100;

/// How a connection is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Together with others, for one quick statement that reads.
    Shared,
    /// By nobody else meanwhile.
    Alone,
}

/// The connections, open or not.
pub(crate) struct Pool {
    connector: Connector,
    acquire_timeout: Duration,
    statement_timeout: Duration,
    state: Mutex<State>,
    /// Told when the last one that was in use is not any more.
    quiet: Notify,
    pending: Gauge,
}

impl Pool {
    /// So many connections at most, none of them open.
    pub(crate) fn new(connector: Connector, size: u32, timeouts: (Duration, Duration), pending: Gauge) -> Arc<Self> {
        Arc::new(Self {
            connector,
            acquire_timeout: timeouts.0,
            statement_timeout: timeouts.1,
            state: Mutex::new(State::new(size)),
            quiet: Notify::new(),
            pending,
        })
    }

    /// Takes a connection that is open already.
    pub(crate) fn keep(&self, connection: Connection) {
        if let Some(slot) = self.state().slots.first_mut() {
            slot.connection = Some(Arc::new(connection));
            slot.used = Some(Instant::now());
        }
    }

    /// A connection that can be trusted, waited for and made within `limit` and the time that is set.
    pub(crate) async fn acquire(self: &Arc<Self>, wanted: Use, limit: Duration) -> Result<Lease, DbError> {
        let ready = async {
            let lease = match self.enter(wanted)? {
                Ok(lease) => lease,
                Err(granted) => {
                    let _pending = Pending::new(&self.pending);
                    granted.await.map_err(|_| DbError::Closed)?
                }
            };
            lease.prepare(wanted).await
        };
        timeout(self.acquire_timeout.min(limit), ready).await.unwrap_or(Err(DbError::Crowded))
    }

    /// A place, or the end of a line in which to wait for it.
    fn enter(self: &Arc<Self>, wanted: Use) -> Result<Result<Lease, oneshot::Receiver<Lease>>, DbError> {
        let mut state = self.state();
        if state.is_closed {
            return Err(DbError::Closed);
        }
        // Nobody is passed over who waits for the same.
        if state.line(wanted).is_empty()
            && let Some(place) = state.take(wanted)
        {
            return Ok(Ok(self.lease(place)));
        }
        let room = state.slots.len() * QUEUE;
        if room <= state.shared.len() + state.alone.len() {
            state.forget_who_left();
            if room <= state.shared.len() + state.alone.len() {
                return Err(DbError::Crowded);
            }
        }
        Ok(Err(state.queue(wanted)))
    }

    /// Closes all connections, each when what runs on it has ended. Whoever asks after that is refused.
    pub(crate) async fn close(&self) {
        loop {
            let quiet = self.quiet.notified();
            let (idle, is_quiet) = {
                let mut state = self.state();
                state.is_closed = true;
                state.shared.clear();
                state.alone.clear();
                let unused = state.slots.iter_mut().filter(|slot| slot.users == 0);
                let idle: Vec<_> = unused.filter_map(|slot| slot.connection.take()).collect();
                (idle, state.slots.iter().all(|slot| slot.users == 0))
            };
            for connection in idle.into_iter().filter_map(Arc::into_inner) {
                connection.close().await;
            }
            if is_quiet {
                return;
            }
            quiet.await;
        }
    }

    /// How many may wait.
    pub(crate) fn room(&self) -> usize {
        self.state().slots.len() * QUEUE
    }

    /// A connection was found broken.
    pub(crate) fn note_break(&self) {
        self.state().last_break = Some(Instant::now());
    }

    /// How many connections there can be, are open, and are used.
    pub(crate) fn size_open_used(&self) -> (usize, usize, usize) {
        let state = self.state();
        let open = state.slots.iter().filter(|slot| slot.connection.is_some()).count();
        let used = state.slots.iter().filter(|slot| slot.connection.is_some() && 0 < slot.users).count();
        (state.slots.len(), open, used)
    }

    fn lease(self: &Arc<Self>, Place { slot, connection, is_alone }: Place) -> Lease {
        Lease { pool: Arc::clone(self), slot, connection, is_alone, is_busy: false, is_tidying: false }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and lets those go on who can now.
    fn change(self: &Arc<Self>, change: impl FnOnce(&mut State)) {
        let granted = {
            let mut state = self.state();
            change(&mut state);
            if state.slots.iter().all(|slot| slot.users == 0) {
                self.quiet.notify_waiters();
            }
            state.grant()
        };
        // Not under the lock: whoever gave up meanwhile drops the lease, which comes back here.
        for (place, waiter) in granted {
            drop(waiter.grant.send(self.lease(place)));
        }
    }
}

/// One who waits, until it is dropped: its client may give up at any moment.
struct Pending<'a>(&'a Gauge);

impl<'a> Pending<'a> {
    fn new(pending: &'a Gauge) -> Self {
        pending.inc();
        Self(pending)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
