//! Finds out whether a pooler hands each transaction to another backend, as `PgBouncer` does in transaction mode.
//!
//! Behind such a pooler a session keeps nothing: settings are lost or shared, and a prepared statement of the same name
//! may be another client's, with another tenant's tables. The evidence is that backends are shared: a session changes its
//! backend, two open sessions have the same one, or a backend is older than the session. All of it is asked by the simple
//! protocol, which prepares nothing. ADR 0001 has the alternatives.

use std::sync::{Mutex, MutexGuard, PoisonError};

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sea_orm::sqlx::{self, AssertSqlSafe, Connection as _, Row as _};
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

/// How often [`detect`] compares its two sessions. An idle pooler shares backends at the first time.
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
    pub(crate) const fn new(mode: Mode) -> Self {
        Self(Mutex::new((mode, None)))
    }

    /// The mode, and when the server was last asked.
    pub(crate) fn state(&self) -> (Mode, Option<Seen>) {
        *self.lock()
    }

    /// Returns the mode for a session that was opened after the server had been asked last. A backend that is older than
    /// that belonged to another session before.
    pub(crate) async fn admit(&self, session: &mut PgConnection, before: Option<Seen>) -> Result<Mode, sqlx::Error> {
        let backend = backend_of(session, "").await?;
        let mut known = self.lock();
        let is_shared = |before: Seen| before.server == backend.seen.server && backend.started < before.at;
        if known.0 == Mode::Session && before.is_some_and(is_shared) {
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

/// Compares the backends of two sessions while one of them is in a transaction.
pub(crate) async fn detect(options: &PgConnectOptions) -> Result<Mode, sqlx::Error> {
    let mut first = PgConnection::connect_with(options).await?;
    let backend = backend_of(&mut first, "").await?.pid;
    // A server without room for a second session has no pooler in front of it.
    let Ok(mut second) = PgConnection::connect_with(options).await else { return Ok(Mode::Session) };
    for _ in 0..ROUNDS {
        if backend_of(&mut second, "BEGIN; ").await?.pid == backend || backend_of(&mut first, "").await?.pid != backend
        {
            return Ok(Mode::Transaction);
        }
        sqlx::raw_sql("COMMIT").execute(&mut second).await?;
    }
    first.close().await?;
    second.close().await?;
    Ok(Mode::Session)
}

async fn backend_of(session: &mut PgConnection, begin: &str) -> Result<Backend, sqlx::Error> {
    let row: PgRow = sqlx::raw_sql(AssertSqlSafe(format!("{begin}{BACKEND}"))).fetch_one(session).await?;
    let seen = Seen { at: row.try_get(2)?, server: row.try_get(3)? };
    Ok(Backend { pid: row.try_get(0)?, started: row.try_get(1)?, seen })
}
