//! The database file, its connection and its schema.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use domain::Error;
use futures_util::TryStreamExt;
use sea_orm::sqlx;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, ExecResult, FromQueryResult,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait, raw_sql,
};
use tokio::time::sleep;

use crate::db_error;

const FILE_NAME: &str = "aponta.sqlite3";
/// The steps that create the schema. A file stores the number of the steps that it has. A merged step never changes.
const STEPS: [&str; 7] = [
    include_str!("schema.sql"),
    include_str!("schema_apontamentos.sql"),
    include_str!("schema_atividade_projetos.sql"),
    include_str!("schema_escritas.sql"),
    include_str!("schema_revisoes.sql"),
    include_str!("schema_verificado.sql"),
    include_str!("schema_vez.sql"),
];
/// The time that a statement waits for the lock of the file or for the connection.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The interval between attempts to connect to a locked file.
const CONNECT_RETRY_INTERVAL: Duration = Duration::from_millis(20);
/// The mark of a database into which the samples were loaded.
const SAMPLES: &str = "amostras";

/// An embedded database. Clones share its connection.
#[derive(Debug, Clone)]
pub struct SqliteDatabase(DatabaseConnection);

/// The reason for which a database cannot be opened, in one line for the terminal.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory does not exist and cannot be created.
    #[error("cannot create the data directory {}: {source}; name another one with --data DIR", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file cannot be read or written.
    #[error("cannot use the database {}: {reason}; name another directory with --data DIR", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The message of SQLite.
        reason: String,
    },
    /// A newer version of the program created the file.
    #[error("the database {} was made by a newer version of this program", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
    },
}

#[derive(FromQueryResult)]
struct VersionRow {
    user_version: i64,
}

#[derive(FromQueryResult)]
struct CountRow {
    n: i64,
}

impl SqliteDatabase {
    /// Opens the database in `directory`. Creates the directory, the file and the schema if they are missing.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(directory: &Path) -> Result<Self, OpenError> {
        create_private(directory).map_err(|source| OpenError::Directory { path: directory.to_owned(), source })?;
        let path = directory.join(FILE_NAME);
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit survives a crash of this process. After a crash of the machine the last ones may be lost.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT);
        let database = match connect(&options).await {
            Ok(database) => database,
            Err(error) => return Err(OpenError::File { path, reason: db_error::sqlx_reason(&error) }),
        };
        match database.create_schema().await {
            Ok(true) => Ok(database),
            Ok(false) => Err(OpenError::Newer { path }),
            Err(error) => Err(OpenError::File { path, reason: db_error::reason(&error) }),
        }
    }

    /// Applies the steps that the schema lacks. Returns `false` if a newer version of the program has added others.
    async fn create_schema(&self) -> Result<bool, DbErr> {
        if self.schema_version(&self.0).await? == STEPS.len() {
            return Ok(true);
        }
        let transaction = self.begin_immediate().await?;
        // Another process may have applied them since the first check.
        let version = self.schema_version(&transaction).await?;
        let Some(steps) = STEPS.get(version..) else { return Ok(false) };
        for step in steps {
            transaction.execute_unprepared(step).await?;
        }
        transaction.execute_unprepared(&format!("PRAGMA user_version = {}", STEPS.len())).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn schema_version(&self, connection: &impl ConnectionTrait) -> Result<usize, DbErr> {
        let row = VersionRow::find_by_statement(raw_sql!(Sqlite, "PRAGMA user_version")).one(connection).await?;
        Ok(row.map_or(0, |row| usize::try_from(row.user_version).unwrap_or(usize::MAX)))
    }

    /// Returns whether the database has no projetos and the samples were never loaded.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn needs_samples(&self) -> Result<bool, Error> {
        let count = raw_sql!(
            Sqlite,
            "SELECT (SELECT count(*) FROM marcas WHERE nome = {SAMPLES}) + (SELECT count(*) FROM projetos) AS n"
        );
        Ok(self.fetch_all::<CountRow>(count).await?.iter().all(|row| row.n == 0))
    }

    /// Marks the samples as loaded, so that they are not loaded again after a user has deleted them.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn mark_samples_loaded(&self) -> Result<(), Error> {
        let mark = raw_sql!(Sqlite, "INSERT OR IGNORE INTO marcas (nome) VALUES ({SAMPLES})");
        self.execute(mark).await.map(drop).map_err(db_error::into_domain)
    }

    /// Closes the file after the running statement. Later calls return `Unavailable`.
    pub async fn close(&self) {
        // sqlx returns no error here.
        let _ = self.0.close_by_ref().await;
    }

    /// Begins a transaction with the write lock. A transaction that takes the lock later can fail with `SQLITE_BUSY`
    /// despite the timeout.
    pub(crate) async fn begin_immediate(&self) -> Result<DatabaseTransaction, DbErr> {
        let sqlite_transaction_mode = Some(SqliteTransactionMode::Immediate);
        self.0.begin_with_options(TransactionOptions { sqlite_transaction_mode, ..TransactionOptions::default() }).await
    }

    /// Returns the rows of a query.
    pub(crate) async fn fetch_all<R: FromQueryResult>(&self, statement: Statement) -> Result<Vec<R>, Error> {
        R::find_by_statement(statement).all(&self.0).await.map_err(db_error::into_domain)
    }

    /// Passes each row of a query to `consume`, without holding all of them in memory.
    ///
    /// # Errors
    /// Those of the query and the first one of `consume`.
    pub(crate) async fn for_each_row<R: FromQueryResult + Send>(
        &self,
        statement: Statement,
        mut consume: impl FnMut(R) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        let mut rows = R::find_by_statement(statement).stream(&self.0).await.map_err(db_error::into_domain)?;
        while let Some(row) = rows.try_next().await.map_err(db_error::into_domain)? {
            consume(row)?;
        }
        Ok(())
    }

    /// Runs a statement and returns its row, if any.
    pub(crate) async fn fetch_optional<R: FromQueryResult>(&self, statement: Statement) -> Result<Option<R>, DbErr> {
        R::find_by_statement(statement).one(&self.0).await
    }

    /// Runs a statement without rows.
    pub(crate) async fn execute(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.0.execute_raw(statement).await
    }
}

/// Connects to the file. Retries while other processes open it, because SQLite returns `SQLITE_BUSY` regardless of the
/// timeout if waiting could deadlock, for example during the creation of the write-ahead log
/// (<https://sqlite.org/c3ref/busy_handler.html>).
async fn connect(options: &SqliteConnectOptions) -> Result<SqliteDatabase, sqlx::Error> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        // With one connection, the statements of this process run one after the other and never lock each other out.
        let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(BUSY_TIMEOUT);
        match pool.connect_with(options.clone()).await {
            Err(error) if db_error::is_busy(&error) && Instant::now() < deadline => sleep(CONNECT_RETRY_INTERVAL).await,
            connected => return connected.map(|pool| SqliteDatabase(pool.into())),
        }
    }
}

/// Creates a directory that only its owner can read.
fn create_private(directory: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}
