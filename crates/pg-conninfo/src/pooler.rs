//! Detects a pooler that assigns backends to transactions, as `PgBouncer` does in transaction mode.
//!
//! Behind such a pooler a session has no state of its own: settings are lost or shared, and a prepared statement of the same
//! name may belong to another client. The evidence is a shared backend: a session changes its backend, two open sessions
//! have the same one, or a backend is older than its session. The queries use the simple protocol, which prepares nothing.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{Connection as _, Row as _};
use time::OffsetDateTime;

/// Whether a session has settings and prepared statements of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A connection has one backend. Settings are made and statements prepared once.
    Session,
    /// Each transaction may have another backend. A statement needs a transaction with its own settings, and none may stay
    /// prepared.
    Transaction,
}

/// The sessions that [`detect`] opens after its first one. Each reveals a pooler, unless the pooler starts a backend for it.
const SESSIONS: usize = 3;
/// How often [`detect`] then compares all sessions.
const ROUNDS: usize = 5;

const BACKEND: &str = "
    SELECT pid, backend_start, clock_timestamp(), pg_postmaster_start_time()
    FROM pg_stat_activity WHERE pid = pg_backend_pid()";

/// The backend of a session at some moment, by the clock of the server.
struct Backend {
    pid: i32,
    started: OffsetDateTime,
    seen: Seen,
}

/// The time of a query, with the start of the server, which distinguishes servers with different clocks.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    server: OffsetDateTime,
    at: OffsetDateTime,
}

/// The mode of a database. It changes only from session to transaction.
#[derive(Debug)]
pub struct ModeWatch(Mutex<(Mode, Option<Seen>)>);

impl ModeWatch {
    /// Starts with the result of [`detect`].
    #[must_use]
    pub const fn new(mode: Mode, seen: Seen) -> Self {
        Self(Mutex::new((mode, Some(seen))))
    }

    /// Returns the mode and the time of the last query.
    #[must_use]
    pub fn state(&self) -> (Mode, Option<Seen>) {
        *self.lock()
    }

    /// Returns the mode for a session that was opened after `before`. An older backend has belonged to another session.
    ///
    /// # Errors
    /// The error of the query.
    pub async fn admit(&self, session: &mut PgConnection, before: Option<Seen>) -> Result<Mode, sqlx::Error> {
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

/// Compares the backends of some sessions. Returns the mode and the time of the last query.
///
/// # Errors
/// The error of the first connection or of a query.
pub async fn detect(options: &PgConnectOptions) -> Result<(Mode, Seen), sqlx::Error> {
    let mut sessions = vec![PgConnection::connect_with(options).await?];
    let mut backends: Vec<Backend> = Vec::new();
    for round in 0..SESSIONS + ROUNDS {
        let mut current = Vec::new();
        for session in &mut sessions {
            current.push(backend_of(session).await?);
        }
        let is_changed = backends.iter().zip(&current).any(|(before, now)| before.pid != now.pid);
        let pids: HashSet<_> = current.iter().map(|backend| backend.pid).collect();
        let is_older = |new: &Backend| backends.last().is_some_and(|before| new.is_older_than(before.seen));
        let is_new_older = backends.len() < current.len() && current.last().is_some_and(is_older);
        let Some(seen) = current.last().map(|backend| backend.seen) else { return Err(sqlx::Error::WorkerCrashed) };
        if is_changed || is_new_older || pids.len() < current.len() {
            return Ok((Mode::Transaction, seen));
        }
        backends = current;
        // A server that has reached its connection limit has no pooler in front of it.
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
    /// Whether the backend had started at the time of `seen`, and so has belonged to another session.
    fn is_older_than(&self, seen: Seen) -> bool {
        seen.server == self.seen.server && self.started < seen.at
    }
}

async fn backend_of(session: &mut PgConnection) -> Result<Backend, sqlx::Error> {
    let row: PgRow = sqlx::raw_sql(BACKEND).fetch_one(session).await?;
    let seen = Seen { at: row.try_get(2)?, server: row.try_get(3)? };
    Ok(Backend { pid: row.try_get(0)?, started: row.try_get(1)?, seen })
}
