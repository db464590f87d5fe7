//! sea-orm's [`ConnectionTrait`] over the pool, with time limits, metrics and traces.
//!
//! An [`Operation`] takes a connection for each statement. A [`Transaction`] keeps one until its end.

use std::time::Duration;

use async_trait::async_trait;
use sea_orm::sqlx::postgres::{PgQueryResult, PgRow};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument as _, Span};

use crate::database::{Access, NETWORK_GRACE};
use crate::lease::Lease;
use crate::replicas::Replicas;
use crate::{PostgresDatabase, db_error};

/// One operation of a repository. Metrics and traces contain its name.
pub(crate) struct Operation<'a> {
    database: &'a PostgresDatabase,
    name: &'static str,
    access: Access,
    is_traced: bool,
    may_use_replica: bool,
}

impl PostgresDatabase {
    /// Runs fast statements that only read.
    pub(crate) const fn read(&self, name: &'static str) -> Operation<'_> {
        self.operation(name, Access::Read)
    }

    /// Runs statements that only read and whose time grows with the number of rows.
    pub(crate) const fn search(&self, name: &'static str) -> Operation<'_> {
        self.operation(name, Access::Search)
    }

    /// Runs single statements that write.
    pub(crate) const fn write(&self, name: &'static str) -> Operation<'_> {
        self.operation(name, Access::Write)
    }

    const fn operation(&self, name: &'static str, access: Access) -> Operation<'_> {
        Operation { database: self, name, access, is_traced: true, may_use_replica: false }
    }

    /// Begins a transaction of at most so many statements.
    pub(crate) async fn begin(&self, name: &'static str, statements: u32) -> Result<Transaction<'_>, DbErr> {
        Transaction::begin(self, name, self.limit(statements)).await
    }
}

impl Operation<'_> {
    /// Creates no span, because each caller of a batch has its own.
    pub(crate) fn untraced(self) -> Self {
        Self { is_traced: false, ..self }
    }

    /// Lets a read replica run the statements, if it has replayed every commit so far. This costs a query on the primary, so
    /// it is for statements that take longer than a read by id.
    pub(crate) fn on_replica(self) -> Self {
        Self { may_use_replica: true, ..self }
    }

    /// Runs `statement` and folds its rows, as they arrive, into the value that `new` returns. Repeats a statement once if its
    /// connection fails and it only reads, or if a read-only server has rejected it.
    pub(crate) async fn fold<T: Send>(
        &self,
        statement: &Statement,
        new: impl Fn() -> T + Send + Sync,
        take: impl Fn(&mut T, PgRow) + Send + Sync,
    ) -> Result<(T, PgQueryResult), DbErr> {
        let attempt = || async {
            let mut taken = new();
            let done = self.attempt(statement, |row| take(&mut taken, row)).await;
            done.map(|done| (taken, done))
        };
        let work = async {
            if let Some(replicas) = self.replicas()
                && let Some(done) = replicas.fold(self.name, statement, &new, &take).await
            {
                return done;
            }
            match attempt().await {
                Err(error) if self.may_repeat(&error) => attempt().await,
                done => done,
            }
        };
        if self.is_traced { traced(self.name, work).await } else { work.await }
    }

    fn replicas(&self) -> Option<&Replicas> {
        self.database.replicas.as_deref().filter(|_| self.may_use_replica)
    }

    fn may_repeat(&self, error: &DbErr) -> bool {
        db_error::is_read_only(error) || (self.access != Access::Write && db_error::is_broken_connection(error))
    }

    async fn attempt(&self, statement: &Statement, take: impl FnMut(PgRow) + Send) -> Result<PgQueryResult, DbErr> {
        let deadline = Instant::now() + self.database.limit(1);
        let (mut lease, _permit) = self.database.acquire(self.access).await.inspect_err(|_| {
            self.database.metrics.refused(self.name);
        })?;
        let started = Instant::now();
        let result = timeout_at(deadline, lease.run(statement, take)).await.unwrap_or_else(|_| {
            lease.discard();
            Err(db_error::no_response(self.database.limit(1)))
        });
        self.database.metrics.ended(self.name, &result, started.elapsed());
        result
    }
}

#[async_trait]
impl ConnectionTrait for Operation<'_> {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Postgres
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.fold(&statement, || (), |(), _| ()).await.map(|((), done)| done.into())
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.execute_raw(Statement::from_string(DbBackend::Postgres, sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.query_all_raw(statement).await.map(|rows| rows.into_iter().next())
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.fold(&statement, Vec::new, |rows, row| rows.push(row.into())).await.map(|(rows, _)| rows)
    }
}

/// A transaction, which is rolled back unless it is [committed](Self::commit).
pub(crate) struct Transaction<'a> {
    database: &'a PostgresDatabase,
    name: &'static str,
    lease: Mutex<Lease>,
    started: Instant,
    limit: Duration,
    span: Span,
    is_ended: bool,
}

impl<'a> Transaction<'a> {
    async fn begin(database: &'a PostgresDatabase, name: &'static str, limit: Duration) -> Result<Self, DbErr> {
        let acquired = database.acquire(Access::Write).await;
        let (lease, _) = acquired.inspect_err(|_| database.metrics.refused(name))?;
        let lease = Mutex::new(lease);
        let transaction =
            Self { database, name, lease, started: Instant::now(), limit, span: span(name), is_ended: false };
        transaction.bounded(async { transaction.lease.lock().await.begin().await }).await?;
        Ok(transaction)
    }

    pub(crate) async fn commit(self) -> Result<(), DbErr> {
        self.end("COMMIT").await
    }

    /// Ends the transaction intentionally without an effect.
    pub(crate) async fn rollback(self) -> Result<(), DbErr> {
        self.end("ROLLBACK").await
    }

    async fn end(mut self, sql: &str) -> Result<(), DbErr> {
        let ended = self.bounded(async { self.lease.lock().await.end(sql).await }).await;
        self.record(&ended);
        ended
    }

    /// Runs one statement. A server that responds ends it by `statement_timeout`, so one that is silent for longer is lost.
    async fn bounded<T>(&self, work: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let silence = self.database.config.statement_timeout + NETWORK_GRACE;
        let deadline = (self.started + self.limit).min(Instant::now() + silence);
        if let Ok(result) = timeout_at(deadline, work).instrument(self.span.clone()).await {
            return result;
        }
        self.lease.lock().await.discard();
        Err(db_error::no_response(silence.min(self.limit)))
    }

    fn record(&mut self, result: &Result<(), DbErr>) {
        self.is_ended = true;
        if result.is_err() {
            self.span.record("otel.status_code", "ERROR");
        }
        self.database.metrics.ended(self.name, result, self.started.elapsed());
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.is_ended {
            self.record(&Err(db_error::pool_closed()));
        }
    }
}

#[async_trait]
impl ConnectionTrait for Transaction<'_> {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Postgres
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let done = self.bounded(async { self.lease.lock().await.run(&statement, drop).await }).await;
        done.map(Into::into)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let done = self.bounded(async { self.lease.lock().await.execute_unprepared(sql).await }).await;
        done.map(Into::into)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.query_all_raw(statement).await.map(|rows| rows.into_iter().next())
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut rows = Vec::new();
        self.bounded(async { self.lease.lock().await.run(&statement, |row| rows.push(row.into())).await }).await?;
        Ok(rows)
    }
}

/// Runs `work` in a span of the current trace.
pub(crate) async fn traced<T>(
    operation: &'static str,
    work: impl Future<Output = Result<T, DbErr>>,
) -> Result<T, DbErr> {
    let span = span(operation);
    let result = work.instrument(span.clone()).await;
    if result.is_err() {
        span.record("otel.status_code", "ERROR");
    }
    result
}

/// Creates no span outside of a request.
fn span(operation: &'static str) -> Span {
    if Span::current().is_none() {
        return Span::none();
    }
    tracing::debug_span!(
        "database",
        otel.name = operation,
        otel.kind = "client",
        otel.status_code = tracing::field::Empty,
        db.system.name = "postgresql",
        db.operation.name = operation,
    )
}
