//! A connection in use, and what becomes of it afterwards.

use std::time::{Duration, Instant};

use deadpool::managed::Object;
use futures_util::TryStreamExt as _;
use sea_orm::sqlx::postgres::{PgQueryResult, PgRow};
use sea_orm::sqlx::{self, AssertSqlSafe, Connection as _, Either, Executor as _};
use sea_orm::{DbErr, Statement};
use sea_query_sqlx::SqlxValues;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::connector::{Connector, inspect};
use crate::pooler::Mode;
use crate::{Config, db_error};

/// A slower statement is logged: on a healthy database the slowest one stays far below.
const SLOW_STATEMENT: Duration = Duration::from_millis(500);
/// How long a connection may take to finish a statement whose caller gave up. Then it is closed, and the server, which
/// looks for its client twice a second, ends the statement.
const RESET_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection that the caller has for itself. When it is dropped, it returns to the pool only after the server has
/// finished or aborted what was sent; otherwise it is closed.
pub(crate) struct Lease {
    object: Option<Object<Connector>>,
    /// Whether the server still works on something, or is in a transaction.
    is_busy: bool,
    is_broken: bool,
    runtime: Handle,
}

impl Lease {
    pub(crate) const fn new(object: Object<Connector>, runtime: Handle) -> Self {
        Self { object: Some(object), is_busy: false, is_broken: false, runtime }
    }

    /// Runs one statement and returns its rows.
    pub(crate) async fn query(&mut self, statement: &Statement) -> Result<Vec<PgRow>, DbErr> {
        let mut rows = Vec::new();
        self.each(statement, |row| rows.push(row)).await.map(|_| rows)
    }

    /// Runs one statement, passes each of its rows to `take` and returns the number of rows affected. Behind a
    /// transaction pooler the statement gets a transaction of its own, unless it is part of one.
    pub(crate) async fn each(
        &mut self,
        statement: &Statement,
        take: impl FnMut(PgRow) + Send,
    ) -> Result<PgQueryResult, DbErr> {
        if self.is_busy || self.object()?.mode == Mode::Session {
            return self.send(statement, take).await;
        }
        self.begin().await?;
        let result = self.send(statement, take).await?;
        self.commit().await?;
        Ok(result)
    }

    /// Fails unless the server is one that the service can work with now.
    pub(crate) async fn inspect(&mut self, config: &Config) -> Result<(), DbErr> {
        let was_busy = std::mem::replace(&mut self.is_busy, true);
        let inspected = inspect(self.object()?, config).await;
        self.is_busy = was_busy;
        inspected
    }

    /// Begins a transaction, which is rolled back unless it is [committed](Self::commit).
    pub(crate) async fn begin(&mut self) -> Result<(), DbErr> {
        let pool = Object::pool(self.object()?).ok_or_else(db_error::pool_closed)?;
        let begin = pool.manager().begin_statement();
        self.is_busy = true;
        self.simple(&begin).await
    }

    /// Ends the transaction and keeps what it did.
    pub(crate) async fn commit(&mut self) -> Result<(), DbErr> {
        self.simple("COMMIT").await?;
        self.is_busy = false;
        Ok(())
    }

    /// Ends the transaction and undoes what it did.
    pub(crate) async fn rollback(&mut self) -> Result<(), DbErr> {
        self.simple("ROLLBACK").await?;
        self.is_busy = false;
        Ok(())
    }

    /// Runs statements without values or rows.
    pub(crate) async fn execute_unprepared(&mut self, sql: &str) -> Result<PgQueryResult, DbErr> {
        let was_busy = std::mem::replace(&mut self.is_busy, true);
        let result = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.object()?.inner).await;
        self.finished(was_busy, result)
    }

    async fn simple(&mut self, sql: &str) -> Result<(), DbErr> {
        let result = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.object()?.inner).await;
        let is_busy = self.is_busy;
        self.finished(is_busy, result).map(drop)
    }

    async fn send(
        &mut self,
        statement: &Statement,
        mut take: impl FnMut(PgRow) + Send,
    ) -> Result<PgQueryResult, DbErr> {
        let started = Instant::now();
        let values = SqlxValues(statement.values.clone().unwrap_or(sea_orm::Values(Vec::new())));
        let was_busy = std::mem::replace(&mut self.is_busy, true);
        let connection = &mut **self.object()?;
        let is_prepared = connection.mode == Mode::Session;
        let query = sqlx::query_with(AssertSqlSafe(statement.sql.as_str()), values).persistent(is_prepared);
        let result = async {
            let mut result = PgQueryResult::default();
            let mut stream = connection.inner.fetch_many(query);
            while let Some(item) = stream.try_next().await? {
                match item {
                    Either::Left(done) => result.extend([done]),
                    Either::Right(row) => take(row),
                }
            }
            Ok(result)
        };
        let result = result.await;
        log_statement(&statement.sql, started);
        self.finished(was_busy, result)
    }

    fn finished<T>(&mut self, was_busy: bool, result: Result<T, sqlx::Error>) -> Result<T, DbErr> {
        self.is_busy = was_busy;
        result.map_err(|error| {
            self.is_broken |= db_error::ends_connection(&error);
            db_error::statement_failed(error)
        })
    }

    /// Closes the connection instead of returning it to the pool.
    pub(crate) fn discard(&mut self) {
        self.is_broken = true;
    }

    fn object(&mut self) -> Result<&mut Object<Connector>, DbErr> {
        self.object.as_mut().ok_or_else(db_error::pool_closed)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else { return };
        if self.is_broken {
            if let Some(pool) = Object::pool(&object) {
                pool.manager().suspect_all();
            }
            drop(Object::take(object));
        } else if self.is_busy {
            self.runtime.spawn(reset(object));
        }
    }
}

/// Waits until the server has finished what the caller gave up, and rolls it back, so that the next statement on this
/// connection neither waits behind it nor runs in its transaction.
async fn reset(mut object: Object<Connector>) {
    let reset = async {
        object.inner.ping().await?;
        sqlx::raw_sql("ROLLBACK").execute(&mut object.inner).await
    };
    if !matches!(timeout(RESET_TIMEOUT, reset).await, Ok(Ok(_))) {
        drop(Object::take(object));
    }
}

/// The text holds no values: all of them are bound.
fn log_statement(sql: &str, started: Instant) {
    let elapsed = started.elapsed();
    if SLOW_STATEMENT <= elapsed {
        tracing::warn!(statement = in_one_line(sql), ?elapsed, "slow statement");
    } else {
        tracing::trace!(statement = in_one_line(sql), ?elapsed, "statement");
    }
}

fn in_one_line(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}
