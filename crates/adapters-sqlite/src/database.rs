//! The file, its one connection and its schema.

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

const FILE: &str = "aponta.sqlite3";
const SCHEMA: &str = include_str!("schema.sql");
/// The number of the schema, kept in the file; another schema gets another number.
const VERSION: i64 = 1;
/// How long a statement waits for another process that uses the file, or for the connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two attempts to connect to a file that is busy.
const PAUSE: Duration = Duration::from_millis(20);
const SAMPLES: &str = "amostras";

/// An embedded database. A clone uses the same file.
#[derive(Debug, Clone)]
pub struct SqliteDatabase(DatabaseConnection);

/// Why the database cannot be used, in one line for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory is not there and cannot be made.
    #[error("cannot create the data directory {}: {source}; name another one with --data DIR", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be read and written.
    #[error("cannot use the database {}: {reason}; name another directory with --data DIR", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// A newer program made the file.
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
    /// Opens the database in `directory`; what is missing is made.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(directory: &Path) -> Result<Self, OpenError> {
        create(directory).map_err(|source| OpenError::Directory { path: directory.to_owned(), source })?;
        let path = directory.join(FILE);
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What is committed survives the death of this process; only the machine's could take the last of it.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(PATIENCE);
        let database = match connect(&options).await {
            Ok(database) => database,
            Err(error) => return Err(OpenError::File { path, reason: db_error::reason(&error) }),
        };
        match database.prepare().await {
            Ok(VERSION) => Ok(database),
            Ok(_) => Err(OpenError::Newer { path }),
            Err(error) => Err(OpenError::File { path, reason: db_error::reason_of(&error) }),
        }
    }

    /// Makes the schema where there is none, and answers its number.
    async fn prepare(&self) -> Result<i64, DbErr> {
        if self.version(&self.0).await? != 0 {
            return self.version(&self.0).await;
        }
        let transaction = self.begin().await?;
        // Of two processes that found an empty file, the other one may have been here.
        let version = self.version(&transaction).await?;
        if version != 0 {
            return Ok(version);
        }
        transaction.execute_unprepared(SCHEMA).await?;
        transaction.execute_unprepared(&format!("PRAGMA user_version = {VERSION}")).await?;
        transaction.commit().await?;
        Ok(VERSION)
    }

    async fn version(&self, connection: &impl ConnectionTrait) -> Result<i64, DbErr> {
        let row = VersionRow::find_by_statement(raw_sql!(Sqlite, "PRAGMA user_version")).one(connection).await?;
        Ok(row.map_or(0, |row| row.user_version))
    }

    /// Whether nobody has filled this database yet, neither with samples nor by hand.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn needs_samples(&self) -> Result<bool, Error> {
        let traces = raw_sql!(
            Sqlite,
            "SELECT (SELECT count(*) FROM marcas WHERE nome = {SAMPLES}) + (SELECT count(*) FROM projetos) AS n"
        );
        Ok(self.rows::<CountRow>(traces).await?.iter().all(|row| row.n == 0))
    }

    /// Remembers that the samples were added: whoever deletes them does not want them back.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn mark_samples_loaded(&self) -> Result<(), Error> {
        let mark = raw_sql!(Sqlite, "INSERT OR IGNORE INTO marcas (nome) VALUES ({SAMPLES})");
        self.run(mark).await.map(drop).map_err(db_error::from)
    }

    /// Closes the file when the statement that runs has ended. Whoever asks after that is refused.
    pub async fn close(&self) {
        // The pool never fails to close; the error is there for other databases.
        let _ = self.0.close_by_ref().await;
    }

    /// A transaction that has the lock from its beginning: one that asks for it later can be refused at once.
    pub(crate) async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let sqlite_transaction_mode = Some(SqliteTransactionMode::Immediate);
        self.0.begin_with_options(TransactionOptions { sqlite_transaction_mode, ..TransactionOptions::default() }).await
    }

    /// The rows of a statement.
    pub(crate) async fn rows<R: FromQueryResult>(&self, statement: Statement) -> Result<Vec<R>, Error> {
        R::find_by_statement(statement).all(&self.0).await.map_err(db_error::from)
    }

    /// Passes each row of a statement to `take` as it comes, so that they are never in memory together.
    ///
    /// # Errors
    /// Those of the statement and the first one of `take`.
    pub(crate) async fn each<R: FromQueryResult + Send>(
        &self,
        statement: Statement,
        mut take: impl FnMut(R) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        let mut rows = R::find_by_statement(statement).stream(&self.0).await.map_err(db_error::from)?;
        while let Some(row) = rows.try_next().await.map_err(db_error::from)? {
            take(row)?;
        }
        Ok(())
    }

    /// The row of a statement that may write, if it answers one.
    pub(crate) async fn row<R: FromQueryResult>(&self, statement: Statement) -> Result<Option<R>, DbErr> {
        R::find_by_statement(statement).one(&self.0).await
    }

    /// Runs a statement that answers no rows.
    pub(crate) async fn run(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.0.execute_raw(statement).await
    }
}

/// Connects to the file. One that others open at the same moment is asked for again: a lock that could become a
/// deadlock, as while the file gets its write-ahead log, is refused at once, whatever the timeout says
/// (<https://sqlite.org/c3ref/busy_handler.html>).
async fn connect(options: &SqliteConnectOptions) -> Result<SqliteDatabase, sqlx::Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // One connection puts all statements of this process in a row, so that none finds the file locked.
        let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(PATIENCE);
        match pool.connect_with(options.clone()).await {
            Err(error) if db_error::is_busy(&error) && Instant::now() < deadline => sleep(PAUSE).await,
            connected => return connected.map(|pool| SqliteDatabase(pool.into())),
        }
    }
}

/// Makes a directory that only its owner may read.
fn create(directory: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}
