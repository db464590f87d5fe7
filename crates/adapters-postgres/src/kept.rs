//! Connections that stay out of the pool between two statements.
//!
//! The pool of sqlx asks a connection whether it is alive each time it comes back, which is a second round trip for
//! every statement. So a connection that has just answered is kept here, at hand for the next statement of the same
//! thread, and goes back when there is a doubt about it or when its time in the pool may be over.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::postgres::PgPool;
use sea_orm::sqlx::{self, Postgres};

use crate::link::{self, LastBreak};

/// For so long a connection stays out of the pool, which looks after how old connections become.
const STAY: Duration = Duration::from_mins(5);

/// The pool, and the connections that are kept out of it.
pub(crate) struct Kept {
    pool: PgPool,
    last_break: LastBreak,
    connections: Mutex<Vec<KeptConnection>>,
}

/// A connection. It goes back to the pool when it is dropped, unless it is [kept](Kept::keep).
pub(crate) struct KeptConnection {
    connection: PoolConnection<Postgres>,
    taken: Instant,
    used: Instant,
}

impl Kept {
    pub(crate) fn new(pool: PgPool, last_break: LastBreak) -> Self {
        Self { pool, last_break, connections: Mutex::default() }
    }

    /// A connection that can be trusted.
    pub(crate) async fn acquire(&self) -> Result<KeptConnection, sqlx::Error> {
        while let Some(mut kept) = self.release() {
            let doubt = self.last_break.doubts(kept.taken.elapsed(), kept.used.elapsed());
            if kept.taken.elapsed() < STAY && link::check(&mut kept.connection, doubt).await.is_ok() {
                return Ok(kept);
            }
        }
        let connection = self.pool.acquire().await?;
        let now = Instant::now();
        Ok(KeptConnection { connection, taken: now, used: now })
    }

    /// Keeps a connection whose last statement has ended as it should.
    pub(crate) fn keep(&self, kept: KeptConnection) {
        if !self.pool.is_closed() {
            self.connections().push(KeptConnection { used: Instant::now(), ..kept });
        }
    }

    /// Closes all connections, here and in the pool, each when the statement that it runs has ended.
    pub(crate) async fn close(&self) {
        let closed = self.pool.close();
        drop(std::mem::take(&mut *self.connections()));
        closed.await;
    }

    /// Lets go of one, if there is one: dropped, it is the pool's. Whoever wants a connection from the pool itself has
    /// to do this before, or it may wait for one that is here.
    pub(crate) fn release(&self) -> Option<KeptConnection> {
        self.connections().pop()
    }

    /// How many connections are open, and how many of them nobody uses.
    pub(crate) fn open_and_idle(&self) -> (u32, u32) {
        let idle = self.pool.num_idle() + self.connections().len();
        (self.pool.size(), u32::try_from(idle).unwrap_or(u32::MAX))
    }

    /// How many connections there can be.
    pub(crate) fn max(&self) -> u32 {
        self.pool.options().get_max_connections()
    }

    fn connections(&self) -> MutexGuard<'_, Vec<KeptConnection>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeptConnection {
    /// The connection itself.
    pub(crate) fn get(&mut self) -> &mut sqlx::PgConnection {
        &mut self.connection
    }
}
