//! A pooled connection in use.

use std::time::{Duration, Instant};

use deadpool::managed::Object;
use futures_util::TryStreamExt as _;
use pg_conninfo::pooler::Mode;
use sea_orm::sqlx::postgres::{PgQueryResult, PgRow};
use sea_orm::sqlx::{self, AssertSqlSafe, Connection as _, Either, Executor as _};
use sea_orm::{DbErr, Statement};
use sea_query_sqlx::SqlxValues;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::connector::Connector;
use crate::db_error;

/// Slower statements are logged.
const SLOW_STATEMENT: Duration = Duration::from_millis(500);
/// How long a connection may take to finish a statement whose caller has cancelled. Then it is closed, and the server, which
/// checks for its client twice a second, cancels the statement.
const RESET_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection that its holder uses exclusively. When it is dropped, it returns to the pool only after the server has
/// finished or aborted the running statement; otherwise it is closed.
pub(crate) struct Lease {
    object: Option<Object<Connector>>,
    in_transaction: bool,
    /// Whether the server processes a statement.
    is_running: bool,
    is_broken: bool,
    runtime: Handle,
}

impl Lease {
    pub(crate) const fn new(object: Object<Connector>, runtime: Handle) -> Self {
        Self { object: Some(object), in_transaction: false, is_running: false, is_broken: false, runtime }
    }

    /// Whether a pooler assigns another server to each transaction.
    pub(crate) fn is_pooled(&mut self) -> Result<bool, DbErr> {
        Ok(self.object()?.mode == Mode::Transaction)
    }

    /// Runs one statement and passes each of its rows to `take`. Behind a transaction pooler the statement gets a
    /// transaction of its own, unless it is part of one.
    pub(crate) async fn run(
        &mut self,
        statement: &Statement,
        take: impl FnMut(PgRow) + Send,
    ) -> Result<PgQueryResult, DbErr> {
        if self.in_transaction || !self.is_pooled()? {
            return self.send(statement, take).await;
        }
        self.begin().await?;
        let result = self.send(statement, take).await?;
        self.end("COMMIT").await?;
        Ok(result)
    }

    /// Begins a transaction, which is rolled back unless it is [ended](Self::end).
    pub(crate) async fn begin(&mut self) -> Result<(), DbErr> {
        let pool = Object::pool(self.object()?).ok_or_else(db_error::pool_closed)?;
        self.in_transaction = true;
        self.execute_unprepared(&pool.manager().begin_statement()).await.map(drop)
    }

    /// Ends the transaction by `COMMIT` or `ROLLBACK`.
    pub(crate) async fn end(&mut self, sql: &str) -> Result<(), DbErr> {
        self.execute_unprepared(sql).await?;
        self.in_transaction = false;
        Ok(())
    }

    /// Runs statements without values or rows.
    pub(crate) async fn execute_unprepared(&mut self, sql: &str) -> Result<PgQueryResult, DbErr> {
        self.is_running = true;
        let result = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.object()?.inner).await;
        self.finished(result)
    }

    async fn send(
        &mut self,
        statement: &Statement,
        mut take: impl FnMut(PgRow) + Send,
    ) -> Result<PgQueryResult, DbErr> {
        let started = Instant::now();
        let values = SqlxValues(statement.values.clone().unwrap_or(sea_orm::Values(Vec::new())));
        self.is_running = true;
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
        log_statement(&statement.sql, started.elapsed());
        self.finished(result)
    }

    fn finished<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T, DbErr> {
        self.is_running = false;
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
        } else if self.is_running || self.in_transaction {
            self.runtime.spawn(reset(object));
        }
    }
}

/// Waits until the server has finished a cancelled statement, and rolls back its transaction.
async fn reset(mut object: Object<Connector>) {
    let reset = async {
        object.inner.ping().await?;
        sqlx::raw_sql("ROLLBACK").execute(&mut object.inner).await
    };
    if !matches!(timeout(RESET_TIMEOUT, reset).await, Ok(Ok(_))) {
        drop(Object::take(object));
    }
}

/// Logs the text, which contains no values because all are bound.
fn log_statement(sql: &str, elapsed: Duration) {
    let in_one_line = || sql.split_whitespace().collect::<Vec<_>>().join(" ");
    if SLOW_STATEMENT <= elapsed {
        tracing::warn!(statement = in_one_line(), ?elapsed, "slow statement");
    } else {
        tracing::trace!(statement = in_one_line(), ?elapsed, "statement");
    }
}
