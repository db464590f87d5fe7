//! The connections of one thread, and who may use which.
//!
//! Quick statements that only read share a connection: they are sent without waiting for those before them. Everything
//! else, a write, a transaction, a search, has a connection to itself while it lasts, so that nobody waits behind it
//! who need not. Whoever finds none waits in line, in the order of arrival, and for a bounded time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use crate::connection::{Connection, Connector};
use crate::db_error::DbError;

/// How many statements one connection takes at once. A backend works on one of them, so more would only wait there
/// instead of here.
const DEPTH: usize = 16;
/// So many share a connection before another one is used: what is sent together costs one call of the system on either
/// side, and a backend that has the next statement at hand does not go to sleep in between.
const TOGETHER: usize = 8;
/// How many may wait for each connection. A statement takes a few milliseconds, so whoever comes after so many would
/// wait for longer than one may on all but the healthiest of databases; and each that waits keeps a request in memory.
const QUEUE: usize = 100;
/// A connection that was idle for so long is asked before it is used: firewalls forget quiet connections in minutes.
const IDLE: Duration = Duration::from_secs(10);
/// For so long after a break the connections that are older than it are asked; by then those that nobody used are idle.
/// After a restart of the database one request meets a broken connection, and not one for each.
const AFTERMATH: Duration = Duration::from_mins(1);
/// So old a connection is replaced by a new one: a backend keeps what it has once taken of memory.
const LIFETIME: Duration = Duration::from_mins(30);
/// How long a connection may take to end what its user has given up, beyond what a statement may take.
const GRACE: Duration = Duration::from_secs(2);

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

#[derive(Default)]
struct State {
    slots: Vec<Slot>,
    shared: VecDeque<Waiter>,
    alone: VecDeque<Waiter>,
    arrivals: u64,
    last_break: Option<Instant>,
    is_closed: bool,
}

/// A place for a connection.
#[derive(Default)]
struct Slot {
    connection: Option<Arc<Connection>>,
    /// How many use it.
    users: usize,
    /// Whether its only user has it alone.
    is_taken: bool,
    /// Whether it is for the next one who wants one alone, as soon as nobody uses it.
    is_reserved: bool,
    used: Option<Instant>,
}

struct Waiter {
    arrival: u64,
    grant: oneshot::Sender<Lease>,
}

/// A connection to be used, until it is dropped.
pub(crate) struct Lease {
    pool: Arc<Pool>,
    slot: usize,
    connection: Option<Arc<Connection>>,
    is_alone: bool,
    /// Whether the connection still works on what it was last told, or is in a transaction.
    is_busy: bool,
    /// Whether that is being ended; if that is given up as well, the connection is closed.
    is_tidying: bool,
}

impl Pool {
    /// So many connections at most, none of them open.
    pub(crate) fn new(connector: Connector, size: u32, timeouts: (Duration, Duration), pending: Gauge) -> Arc<Self> {
        let slots = (0..size).map(|_| Slot::default()).collect();
        Arc::new(Self {
            connector,
            acquire_timeout: timeouts.0,
            statement_timeout: timeouts.1,
            state: Mutex::new(State { slots, ..State::default() }),
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
        if state.slots.len() * QUEUE <= state.shared.len() + state.alone.len() {
            state.forget_who_left();
            if state.slots.len() * QUEUE <= state.shared.len() + state.alone.len() {
                return Err(DbError::Crowded);
            }
        }
        let (grant, granted) = oneshot::channel();
        state.arrivals += 1;
        let arrival = state.arrivals;
        state.line(wanted).push_back(Waiter { arrival, grant });
        state.reserve();
        Ok(Err(granted))
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

/// What is given to whoever may use a connection.
struct Place {
    slot: usize,
    /// None where it has still to be made.
    connection: Option<Arc<Connection>>,
    is_alone: bool,
}

impl State {
    fn line(&mut self, wanted: Use) -> &mut VecDeque<Waiter> {
        match wanted {
            Use::Shared => &mut self.shared,
            Use::Alone => &mut self.alone,
        }
    }

    /// Whether `connection` has to be asked before it is used.
    fn doubts(&self, connection: &Connection, used: Option<Instant>) -> bool {
        let since = self.last_break.map(|at| at.elapsed()).filter(|since| *since < AFTERMATH);
        used.is_none_or(|used| IDLE <= used.elapsed()) || since.is_some_and(|since| since <= connection.age())
    }

    /// A place for one who wants it so, if there is one. Who shares one that has still to be made or asked has it alone
    /// until that is done.
    fn take(&mut self, wanted: Use) -> Option<Place> {
        for slot in self.slots.iter_mut().filter(|slot| slot.users == 0) {
            slot.connection.take_if(|connection| connection.is_broken() || LIFETIME <= connection.age());
        }
        let free = |slot: &Slot| !slot.is_taken && !slot.is_reserved;
        let open = self.slots.iter().enumerate().filter(|(_, slot)| {
            free(slot) && slot.connection.as_ref().is_some_and(|connection| !connection.is_broken())
        });
        let open = match wanted {
            Use::Shared => open.filter(|(_, slot)| slot.users < DEPTH).min_by_key(|(_, slot)| crowd(slot.users)),
            Use::Alone => open.filter(|(_, slot)| slot.users == 0).min_by_key(|(at, _)| *at),
        };
        let open = open.map(|(at, slot)| (at, slot.users));
        let unopened = || self.slots.iter().position(|slot| free(slot) && slot.users == 0 && slot.connection.is_none());
        let at = match open {
            Some((at, users)) if users < TOGETHER => at,
            Some((at, _)) => unopened().unwrap_or(at),
            None => unopened()?,
        };
        let connection = self.slots.get(at)?.connection.clone();
        let used = self.slots.get(at)?.used;
        let is_sure = connection.as_ref().is_some_and(|connection| !self.doubts(connection, used));
        let slot = self.slots.get_mut(at)?;
        let is_alone = wanted == Use::Alone || (slot.users == 0 && !is_sure);
        slot.users += 1;
        slot.is_taken = is_alone;
        Some(Place { slot: at, connection, is_alone })
    }

    /// Who can go on now, in the order of arrival.
    fn grant(&mut self) -> Vec<(Place, Waiter)> {
        let mut granted = Vec::new();
        self.forget_who_left_first();
        while let Some(place) = self.next() {
            granted.push(place);
            self.forget_who_left_first();
        }
        self.reserve();
        granted
    }

    fn next(&mut self) -> Option<(Place, Waiter)> {
        if self.alone.is_empty() && self.shared.is_empty() {
            return None;
        }
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.is_reserved && slot.users == 0) {
            slot.is_reserved = false;
            if !self.alone.is_empty() {
                return self.serve(Use::Alone);
            }
        }
        let arrival = |line: &VecDeque<Waiter>| line.front().map_or(u64::MAX, |waiter| waiter.arrival);
        let (first, second) = if arrival(&self.alone) < arrival(&self.shared) {
            (Use::Alone, Use::Shared)
        } else {
            (Use::Shared, Use::Alone)
        };
        self.serve(first).or_else(|| self.serve(second))
    }

    fn serve(&mut self, wanted: Use) -> Option<(Place, Waiter)> {
        if self.line(wanted).is_empty() {
            return None;
        }
        let place = self.take(wanted)?;
        self.line(wanted).pop_front().map(|waiter| (place, waiter))
    }

    /// Sees to it that one who wants a connection alone gets one, although others go on sharing them.
    fn reserve(&mut self) {
        if self.alone.is_empty() {
            self.slots.iter_mut().for_each(|slot| slot.is_reserved = false);
        } else if !self.slots.iter().any(|slot| slot.is_reserved) {
            let shared = self.slots.iter_mut().filter(|slot| !slot.is_taken && 0 < slot.users);
            if let Some(slot) = shared.min_by_key(|slot| slot.users) {
                slot.is_reserved = true;
            }
        }
    }

    fn forget_who_left_first(&mut self) {
        for line in [&mut self.shared, &mut self.alone] {
            while line.front().is_some_and(|waiter| waiter.grant.is_closed()) {
                line.pop_front();
            }
        }
    }

    fn forget_who_left(&mut self) {
        for line in [&mut self.shared, &mut self.alone] {
            line.retain(|waiter| !waiter.grant.is_closed());
        }
    }
}

/// How much is to be said against sharing a connection with so many: nothing but their number once they are many, and
/// before that the place that is left beside them.
const fn crowd(users: usize) -> (bool, usize) {
    if users < TOGETHER { (false, TOGETHER - users) } else { (true, users) }
}

impl Lease {
    /// Sees to it that there is a connection and that it lives, and shares it if that is wanted.
    async fn prepare(mut self, wanted: Use) -> Result<Self, DbError> {
        if self.is_alone {
            let doubt = self.connection.as_ref().is_some_and(|connection| {
                let state = self.pool.state();
                state.doubts(connection, state.slots.get(self.slot).and_then(|slot| slot.used))
            });
            if doubt && !self.connection()?.answers().await {
                self.give_up();
            }
            if self.connection.is_none() {
                let made = self.pool.connector.connect().await.map_err(DbError::Connect)?;
                self.connection = Some(Arc::new(made));
            }
            let (slot, connection, shares) = (self.slot, self.connection.clone(), wanted == Use::Shared);
            self.is_alone = !shares;
            self.pool.change(|state| {
                if let Some(slot) = state.slots.get_mut(slot) {
                    slot.connection = connection;
                    slot.is_taken = !shares;
                    slot.used = Some(Instant::now());
                }
            });
        }
        Ok(self)
    }

    /// The connection itself.
    fn connection(&self) -> Result<&Arc<Connection>, DbError> {
        self.connection.as_ref().ok_or(DbError::Closed)
    }

    /// The rows of a statement.
    pub(crate) async fn query(
        &mut self,
        sql: &str,
        values: &[crate::connection::Value<'_>],
    ) -> Result<Vec<tokio_postgres::Row>, DbError> {
        let was_busy = std::mem::replace(&mut self.is_busy, true);
        let rows = self.connection()?.query(sql, values).await;
        self.is_busy = was_busy;
        Ok(rows?)
    }

    /// Runs statements that have neither values nor rows.
    pub(crate) async fn run(&mut self, sql: &str) -> Result<(), DbError> {
        let was_busy = std::mem::replace(&mut self.is_busy, true);
        let done = self.connection()?.run(sql).await;
        self.is_busy = was_busy;
        Ok(done?)
    }

    /// Begins a transaction, which is rolled back unless it is [committed](Self::commit).
    pub(crate) async fn begin(&mut self) -> Result<(), DbError> {
        self.is_busy = true;
        Ok(self.connection()?.run("BEGIN").await?)
    }

    /// Ends the transaction and keeps what it did.
    pub(crate) async fn commit(mut self) -> Result<(), DbError> {
        self.connection()?.run("COMMIT").await?;
        self.is_busy = false;
        Ok(())
    }

    /// Closes the connection instead of giving it back.
    fn give_up(&mut self) {
        let given_up = self.connection.take();
        self.is_busy = false;
        self.pool.change(|state| {
            if let Some(slot) = state.slots.get_mut(self.slot) {
                let is_it = |kept: &mut Arc<Connection>| given_up.as_ref().is_some_and(|it| Arc::ptr_eq(kept, it));
                slot.connection.take_if(is_it);
            }
        });
    }

    /// Waits until the connection has ended what its user gave up, so that the next one does not wait behind it. Of one
    /// that may be broken nothing is awaited.
    async fn tidy(mut self) {
        let patience = self.pool.statement_timeout + GRACE;
        let Some(connection) = self.connection.clone() else { return };
        let end = if self.is_alone { "ROLLBACK" } else { "" };
        match timeout(patience, connection.run(end)).await {
            Ok(Ok(())) => self.is_busy = false,
            _ => self.give_up(),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (slot, is_closed) = (self.slot, self.pool.state().is_closed);
        if self.is_busy
            && let Some(connection) = self.connection.clone()
        {
            let may_be_broken = connection.is_broken() || self.pool.state().doubts(&connection, Some(Instant::now()));
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) if !may_be_broken && !is_closed && !self.is_tidying => {
                    let (pool, connection) = (Arc::clone(&self.pool), self.connection.take());
                    let lease =
                        Lease { pool, slot, connection, is_alone: self.is_alone, is_busy: true, is_tidying: true };
                    // Its place goes along.
                    runtime.spawn(lease.tidy());
                    return;
                }
                _ => self.give_up(),
            }
        }
        drop(self.connection.take());
        self.pool.change(|state| {
            if let Some(slot) = state.slots.get_mut(slot) {
                slot.users = slot.users.saturating_sub(1);
                slot.is_taken &= 0 < slot.users;
                slot.used = Some(Instant::now());
            }
        });
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
