//! How statements run: sea-orm's [`ConnectionTrait`] over the pool, within bounds, measured and traced.
//!
//! An [`Operation`] takes a connection for each statement, a [`Transaction`] keeps one until its end.

use std::time::Duration;

use async_trait::async_trait;
use sea_orm::sqlx::postgres::{PgQueryResult, PgRow};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument as _, Span};

use crate::lease::Lease;
use crate::{PostgresDatabase, db_error};

/// What may be done with an operation, and which connections it may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A quick statement that only reads. It is repeated once when its connection breaks.
    Read,
    /// A statement that reads and whose time grows with the number of rows: only a share of the connections is for these.
    Search,
    /// A statement that may write. It is repeated only where the server certainly did nothing.
    Write,
}

/// One operation of a repository, by the name that metrics and traces have for it.
pub(crate) struct Operation<'a> {
    pub(crate) database: &'a PostgresDatabase,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) is_traced: bool,
}

impl Operation<'_> {
    /// The same for a batch: each of its callers has a span of its own.
    pub(crate) fn untraced(self) -> Self {
        Self { is_traced: false, ..self }
    }

    /// Runs `statement` and folds its rows, each as it comes, into what `new` returns.
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
            match attempt().await {
                Err(error) if self.may_repeat(&error) => attempt().await,
                done => done,
            }
        };
        if self.is_traced { traced(self.name, work).await } else { work.await }
    }

    fn may_repeat(&self, error: &DbErr) -> bool {
        db_error::is_read_only(error) || (self.kind != Kind::Write && db_error::is_broken_connection(error))
    }

    async fn attempt(&self, statement: &Statement, take: impl FnMut(PgRow) + Send) -> Result<PgQueryResult, DbErr> {
        let deadline = Instant::now() + self.database.limit(1);
        let (mut lease, _permit) = self.database.acquire(self.kind).await.inspect_err(|_| {
            self.database.metrics.refused(self.name);
        })?;
        let started = Instant::now();
        let result = timeout_at(deadline, lease.each(statement, take)).await.unwrap_or_else(|_| {
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

/// Several statements that happen wholly or not at all. Dropped without [`commit`](Self::commit) it is rolled back.
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
    /// Begins a transaction that takes at most `limit`.
    pub(crate) async fn begin(
        database: &'a PostgresDatabase,
        name: &'static str,
        limit: Duration,
    ) -> Result<Self, DbErr> {
        let acquired = database.acquire(Kind::Write).await;
        let (lease, _) = acquired.inspect_err(|_| database.metrics.refused(name))?;
        let lease = Mutex::new(lease);
        let transaction =
            Self { database, name, lease, started: Instant::now(), limit, span: span(name), is_ended: false };
        transaction.bounded(async { transaction.lease.lock().await.begin().await }).await?;
        Ok(transaction)
    }

    /// Ends it and keeps what it did.
    pub(crate) async fn commit(mut self) -> Result<(), DbErr> {
        let committed = self.bounded(async { self.lease.lock().await.commit().await }).await;
        self.end(&committed);
        committed
    }

    /// Ends it without an effect, as intended.
    pub(crate) async fn rollback(mut self) -> Result<(), DbErr> {
        let rolled_back = self.bounded(async { self.lease.lock().await.rollback().await }).await;
        self.end(&rolled_back);
        rolled_back
    }

    async fn bounded<T>(&self, work: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let work = timeout_at(self.started + self.limit, work).instrument(self.span.clone());
        if let Ok(result) = work.await {
            return result;
        }
        self.lease.lock().await.discard();
        Err(db_error::no_response(self.limit))
    }

    fn end(&mut self, result: &Result<(), DbErr>) {
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
            self.end(&Err(db_error::pool_closed()));
        }
    }
}

#[async_trait]
impl ConnectionTrait for Transaction<'_> {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Postgres
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let done = self.bounded(async { self.lease.lock().await.each(&statement, drop).await }).await;
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
        let rows = self.bounded(async { self.lease.lock().await.query(&statement).await }).await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }
}

/// Makes `work` a part of the current trace.
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

/// Work of the service itself, outside of a request, is no trace.
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
