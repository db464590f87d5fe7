//! Finds out whether a pooler hands each transaction to another backend, as `PgBouncer` does in transaction mode.
//!
//! Behind such a pooler a session keeps nothing: settings are lost or shared, and a prepared statement of the same name
//! may be another client's, with another tenant's tables. The evidence is that backends are shared: a session changes its
//! backend, two open sessions have the same one, or a backend is older than the session. All of it is asked by the simple
//! protocol, which prepares nothing. ADR 0001 has the alternatives.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sea_orm::sqlx::{self, Connection as _, Row as _};
use time::OffsetDateTime;

/// How a session keeps its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A connection is one backend: settings are made once, statements are prepared once.
    Session,
    /// Each transaction may have another backend. Every statement runs in a transaction that makes its own settings, and
    /// none stays prepared.
    Transaction,
}

/// Sessions that [`detect`] opens beside its first one. Each is evidence by itself, unless the pooler starts a new backend
/// for it just then.
const SESSIONS: usize = 3;
/// How often [`detect`] compares all of them afterwards.
const ROUNDS: usize = 5;

const BACKEND: &str = "
    SELECT pid, backend_start, clock_timestamp(), pg_postmaster_start_time()
    FROM pg_stat_activity WHERE pid = pg_backend_pid()";

/// The backend of a session at some moment. Times are the server's.
struct Backend {
    pid: i32,
    started: OffsetDateTime,
    seen: Seen,
}

/// When a server was asked. It is told apart from other servers, whose clocks differ, by its own start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    server: OffsetDateTime,
    at: OffsetDateTime,
}

/// The mode of a database. It can only become stricter.
#[derive(Debug)]
pub(crate) struct ModeWatch(Mutex<(Mode, Option<Seen>)>);

impl ModeWatch {
    pub(crate) const fn new(mode: Mode, seen: Seen) -> Self {
        Self(Mutex::new((mode, Some(seen))))
    }

    /// The mode, and when the server was last asked.
    pub(crate) fn state(&self) -> (Mode, Option<Seen>) {
        *self.lock()
    }

    /// Returns the mode for a session that was opened after the server had been asked last. A backend that is older than
    /// that belonged to another session before.
    pub(crate) async fn admit(&self, session: &mut PgConnection, before: Option<Seen>) -> Result<Mode, sqlx::Error> {
        let backend = backend_of(session).await?;
        let mut known = self.lock();
        if known.0 == Mode::Session && before.is_some_and(|before| backend.is_older_than(before)) {
            tracing::warn!("a pooler shares backends among sessions: each statement gets a transaction of its own");
            known.0 = Mode::Transaction;
        }
        known.1 = Some(backend.seen);
        Ok(known.0)
    }

    fn lock(&self) -> MutexGuard<'_, (Mode, Option<Seen>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compares the backends of some sessions, and when they started with when the server was last asked. Returns that moment
/// too.
pub(crate) async fn detect(options: &PgConnectOptions) -> Result<(Mode, Seen), sqlx::Error> {
    let mut sessions = vec![PgConnection::connect_with(options).await?];
    let mut backends: Vec<Backend> = Vec::new();
    for round in 0..SESSIONS + ROUNDS {
        let mut asked = Vec::new();
        for session in &mut sessions {
            asked.push(backend_of(session).await?);
        }
        let is_changed = backends.iter().zip(&asked).any(|(before, now)| before.pid != now.pid);
        let pids: HashSet<_> = asked.iter().map(|backend| backend.pid).collect();
        let is_older = |new: &Backend| backends.last().is_some_and(|before| new.is_older_than(before.seen));
        let is_new_older = backends.len() < asked.len() && asked.last().is_some_and(is_older);
        let Some(seen) = asked.last().map(|backend| backend.seen) else { return Err(sqlx::Error::WorkerCrashed) };
        if is_changed || is_new_older || pids.len() < asked.len() {
            return Ok((Mode::Transaction, seen));
        }
        backends = asked;
        // A server without room for one more has no pooler in front of it.
        if round < SESSIONS
            && let Ok(session) = PgConnection::connect_with(options).await
        {
            sessions.push(session);
        }
    }
    for session in sessions {
        session.close().await?;
    }
    backends.last().map(|backend| (Mode::Session, backend.seen)).ok_or(sqlx::Error::WorkerCrashed)
}

impl Backend {
    /// Whether it had started when the server was asked: then it belonged to another session before.
    fn is_older_than(&self, seen: Seen) -> bool {
        seen.server == self.seen.server && self.started < seen.at
    }
}

async fn backend_of(session: &mut PgConnection) -> Result<Backend, sqlx::Error> {
    let row: PgRow = sqlx::raw_sql(BACKEND).fetch_one(session).await?;
    let seen = Seen { at: row.try_get(2)?, server: row.try_get(3)? };
    Ok(Backend { pid: row.try_get(0)?, started: row.try_get(1)?, seen })
}
