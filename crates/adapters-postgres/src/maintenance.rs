//! Transactions of an operator's commands: each on a connection of its own and without a time limit for statements.

use sea_orm::DbErr;
use sea_orm::sqlx::postgres::{PgArguments, PgConnection};
use sea_orm::sqlx::query::Query;
use sea_orm::sqlx::{self, AssertSqlSafe, Connection as _, Postgres};

use crate::connector::connect_options;
use crate::migration_error::LOCK_TIMEOUT;
use crate::{Config, db_error};

/// What a transaction sees of the changes of others.
#[derive(Debug, Clone, Copy)]
pub(crate) enum View {
    /// Each statement sees what is committed when it starts. The transaction may write.
    Current,
    /// All statements see one moment. The transaction only reads.
    Snapshot,
}

/// A transaction, which is rolled back unless it is [committed](Self::commit).
pub(crate) struct Maintenance {
    pub(crate) connection: PgConnection,
}

impl Maintenance {
    /// Begins a transaction in the schema of `config`.
    pub(crate) async fn begin(config: &Config, view: View) -> Result<Self, DbErr> {
        let options = connect_options(config).await?;
        let mut connection = PgConnection::connect_with(&options).await.map_err(db_error::connect_failed)?;
        let view = match view {
            View::Current => "READ COMMITTED, READ WRITE",
            View::Snapshot => "REPEATABLE READ, READ ONLY",
        };
        let begin = format!(
            "BEGIN ISOLATION LEVEL {view}; SET LOCAL search_path = {}; SET LOCAL statement_timeout = 0; \
             SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'",
            config.schema.quoted()
        );
        sqlx::raw_sql(AssertSqlSafe(begin)).execute(&mut connection).await.map_err(db_error::statement_failed)?;
        Ok(Self { connection })
    }

    /// Waits until no other transaction holds the lock of that name, and holds it to the end of this one.
    pub(crate) async fn lock(&mut self, name: &str) -> Result<(), DbErr> {
        let lock = statement("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))").bind(name);
        lock.execute(&mut self.connection).await.map(drop).map_err(db_error::statement_failed)
    }

    /// Makes the changes of the transaction permanent.
    pub(crate) async fn commit(mut self) -> Result<(), DbErr> {
        sqlx::raw_sql("COMMIT").execute(&mut self.connection).await.map_err(db_error::statement_failed)?;
        // The transaction has ended, so an error while closing changes nothing.
        drop(self.connection.close().await);
        Ok(())
    }
}

/// Returns a statement that stays on no backend, because behind a transaction pooler other sessions use that as well.
pub(crate) fn statement(sql: &'static str) -> Query<'static, Postgres, PgArguments> {
    sqlx::query(sql).persistent(false)
}
