//! A connection in use, and what becomes of it afterwards.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tokio_postgres::Row;

use super::{Pool, Use};
use crate::connection::{Connection, Value};
use crate::db_error::DbError;

/// How long a connection may take to end what its user has given up, beyond what a statement may take.
const GRACE: Duration = Duration::from_secs(2);

/// A connection to be used, until it is dropped.
pub(crate) struct Lease {
    pub(super) pool: Arc<Pool>,
    pub(super) slot: usize,
    pub(super) connection: Option<Arc<Connection>>,
    pub(super) is_alone: bool,
    /// Whether the connection still works on what it was last told, or is in a transaction.
    pub(super) is_busy: bool,
    /// Whether that is being ended; if that is given up as well, the connection is closed.
    pub(super) is_tidying: bool,
}

impl Lease {
    /// Sees to it that there is a connection and that it lives, and shares it if that is wanted.
    pub(super) async fn prepare(mut self, wanted: Use) -> Result<Self, DbError> {
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
    pub(crate) async fn query(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, DbError> {
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
