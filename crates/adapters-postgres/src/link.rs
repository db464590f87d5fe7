//! Which connections of the pool can be trusted.
//!
//! Asking each connection whether it is alive before it is used would cost as much as a small query. So only those are
//! asked that have been idle for some time, and, for a while after one was found broken, those that are older than the
//! break: after a restart of the database one request meets a broken connection, and not one for each in the pool.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::sqlx::{self, Connection, PgConnection};

/// A connection that was idle for so long is asked before it is used: firewalls forget quiet connections in minutes.
const IDLE: Duration = Duration::from_secs(10);
/// How long a connection may take to say that it is alive. One that does not is closed, since it would block whoever
/// uses it for as long as TCP tries, which can be a quarter of an hour.
const PATIENCE: Duration = Duration::from_secs(1);
/// For so long after a break the older connections are doubted; by then those that nobody used count as idle.
const AFTERMATH: Duration = Duration::from_mins(1);

/// When a connection was last found broken.
#[derive(Clone, Default)]
pub(crate) struct LastBreak(Arc<Mutex<Option<Instant>>>);

impl LastBreak {
    /// One was found broken now.
    pub(crate) fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a connection has to be asked before it is used, or before it goes back to the pool, when it was known to
    /// be alive so long ago (`age`) and nobody used it for so long.
    pub(crate) fn doubts(&self, age: Duration, idle_for: Duration) -> bool {
        let noted = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = noted.map(|at| at.elapsed()).filter(|since| *since < AFTERMATH);
        IDLE <= idle_for || since.is_some_and(|since| since <= age)
    }
}

/// Asks `connection` whether it is alive, if there is a doubt. An error makes the pool close it.
pub(crate) async fn check(connection: &mut PgConnection, doubt: bool) -> Result<bool, sqlx::Error> {
    if doubt {
        let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
        tokio::time::timeout(PATIENCE, connection.ping()).await.map_err(late)??;
    }
    Ok(true)
}
