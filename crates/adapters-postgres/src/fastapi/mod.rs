//! Imports the database of the FastAPI service that this one replaces.
//!
//! One transaction copies the old rows into temporary tables, plans every row, brings the tables to the plan, and compares the
//! hours. A dry run does the same and rolls back, so it reports what would happen and not an estimate.

mod entries;
mod report;
mod schemas;
mod source;
mod sql;

pub use report::{ChangeCount, Decision, DecisionCount, ImportReport, Sum};

use std::io;

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbErr};

use self::schemas::Schemas;
use self::source::Source;
use crate::migrations::{DEALLOCATE_STATEMENTS, begin_locked, complete, connect_alone};
use crate::{Config, MigrationFailure, SchemaName, db_error};

/// Hashes of rows need one notation of times. The defaults for memory are those of many small statements.
const SESSION: &str = "SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'; SET LOCAL work_mem = '64MB';
                       SET LOCAL maintenance_work_mem = '128MB'; SET LOCAL jit = off";

/// Imports into the schema of a tenant.
#[derive(Debug, Clone)]
pub struct FastApiImport(Config);

/// What to import.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    /// The database of the old service, if it is another one. Its schema does not count.
    pub from: Option<Config>,
    /// The schema of the old tables. In another database the only one that has them by default.
    pub schema: Option<SchemaName>,
    /// The time zone of columns with local times, that of the old server by default.
    pub time_zone: Option<String>,
    /// Whether to take what changed since the last import.
    pub again: bool,
    /// Whether to commit.
    pub apply: bool,
}

/// How an import ended.
#[derive(Debug)]
pub enum ImportOutcome {
    /// There was an import before, at that time, and `again` is not set. Nothing was changed.
    DoneBefore(String),
    /// The import is committed.
    Applied(ImportReport),
    /// The import would succeed. Nothing was changed.
    Possible(ImportReport),
    /// Rows cannot be taken, or the hours differ. Nothing was changed.
    Impossible(ImportReport),
}

/// What an undo would do or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    /// The schema to which the new tables moved.
    pub kept_in: SchemaName,
    /// Whether the old tables moved back.
    pub is_moved_back: bool,
    /// The number of time entries and activities that were made or changed since the import. They are in
    /// [`Self::kept_in`] only.
    pub newer: i64,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The request does not fit the databases.
    #[error("{0}")]
    Refused(String),
    /// The database of the old service cannot be read.
    #[error("the old database cannot be read: {0}")]
    Source(String),
    /// Our schema cannot be migrated.
    #[error("the schema {0}")]
    Migration(#[from] MigrationFailure),
    /// The decisions could not be written.
    #[error("{0}")]
    Output(#[from] io::Error),
    /// The database failed.
    #[error("the import failed, and nothing was changed: {0}")]
    Database(String),
}

impl From<DbErr> for ImportError {
    fn from(error: DbErr) -> Self {
        Self::Database(db_error::reason(&error))
    }
}

impl FastApiImport {
    /// Creates it for the database and schema of `config`.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self(config)
    }

    /// Imports, or finds out what an import would do. Passes every decision to `consume`.
    ///
    /// # Errors
    /// See [`ImportError`]. Nothing was changed.
    pub async fn run(
        &self,
        request: ImportRequest,
        consume: impl FnMut(Decision) -> io::Result<()> + Send,
    ) -> Result<ImportOutcome, ImportError> {
        let unreadable = |error: DbErr| ImportError::Source(db_error::reason(&error));
        let mut source = Source::open(request.from.as_ref().unwrap_or(&self.0)).await.map_err(unreadable)?;
        let identity = source.identity().await.map_err(unreadable)?;
        let time_zone = match &request.time_zone {
            Some(time_zone) => time_zone.clone(),
            None => source.time_zone().await.map_err(unreadable)?,
        };
        let own = Source::open(&self.0).await?.identity().await?;
        let schema = request.schema.clone().map_or_else(|| source.only_schema(), Ok)?;
        let database = connect_alone(&self.0).await?;
        let transaction = begin_locked(&database, &self.0.schema).await?;
        check_time_zone(&transaction, &time_zone).await?;
        let run = Run {
            schemas: Schemas::of(&self.0.schema)?,
            transaction: &transaction,
            is_same_database: identity == own,
            request: &request,
            time_zone,
        };
        let outcome = run.import(source, schema, consume).await?;
        if matches!(outcome, ImportOutcome::Applied(_)) {
            transaction.execute_unprepared(DEALLOCATE_STATEMENTS).await?;
            transaction.commit().await?;
        } else {
            transaction.rollback().await?;
        }
        // The transaction has ended, so an error while closing changes nothing.
        drop(database.close().await);
        Ok(outcome)
    }

    /// Moves the new tables aside and the old ones back, or finds out what that would do.
    ///
    /// # Errors
    /// See [`ImportError`]. Nothing was changed.
    pub async fn undo(&self, apply: bool) -> Result<Undone, ImportError> {
        let database = connect_alone(&self.0).await?;
        let transaction = begin_locked(&database, &self.0.schema).await?;
        let schemas = Schemas::of(&self.0.schema)?;
        let Some((_, is_moved)) = schemas.last_import(&transaction).await? else {
            return Err(ImportError::Refused(format!("nothing was imported into {:?}", self.0.schema.as_str())));
        };
        let newer = report::newer(&transaction, &schemas.aside.quoted()).await?;
        schemas.move_back(&transaction, is_moved).await?;
        if apply {
            transaction.execute_unprepared(DEALLOCATE_STATEMENTS).await?;
            transaction.commit().await?;
        } else {
            transaction.rollback().await?;
        }
        drop(database.close().await);
        Ok(Undone { kept_in: schemas.undone, is_moved_back: is_moved, newer })
    }
}

/// One import, within its transaction.
struct Run<'a> {
    schemas: Schemas,
    transaction: &'a DatabaseTransaction,
    is_same_database: bool,
    request: &'a ImportRequest,
    time_zone: String,
}

impl Run<'_> {
    async fn import(
        &self,
        mut source: Source,
        mut schema: SchemaName,
        consume: impl FnMut(Decision) -> io::Result<()> + Send,
    ) -> Result<ImportOutcome, ImportError> {
        let Self { schemas, transaction, request, .. } = self;
        let before = schemas.last_import(transaction).await?;
        let is_own = self.is_same_database && schema == schemas.own;
        match &before {
            Some((time, _)) if !request.again => return Ok(ImportOutcome::DoneBefore(time.clone())),
            None if request.again => {
                return Err(ImportError::Refused("nothing was imported yet: leave out --again".to_owned()));
            }
            // Our schema has the new tables since then.
            Some((_, true)) if is_own => schema = schemas.aside.clone(),
            _ => {}
        }
        let form = source.form(&schema)?;
        let is_moved = is_own && before.is_none();
        if is_moved {
            schemas.lock_old_tables(transaction).await?;
        }
        let state = schemas.aside.quoted();
        transaction.execute_unprepared(SESSION).await?;
        transaction.execute_unprepared(sql::STAGING).await?;
        source.copy(&schema, transaction).await?;
        transaction.execute_unprepared(&sql::projects()).await?;
        let groups =
            if before.is_some() { Some(report::groups(transaction, &mut source, &state).await?) } else { None };
        source.copy_entries(groups.as_deref(), transaction).await?;
        if is_moved {
            schemas.move_aside(transaction).await?;
        }
        complete(transaction, &schemas.own).await?;
        if before.is_none() {
            schemas.create_state(transaction, is_moved).await?;
        }
        transaction.execute_unprepared(&sql::plan(&self.time_zone)).await?;
        let mut sums = None;
        if report::obstacles(transaction).await? == 0 {
            transaction.execute_unprepared(&sql::merge(&state)).await?;
            schemas.record(transaction, schema.as_str(), is_moved || matches!(before, Some((_, true)))).await?;
            sums = Some(self.compare(&mut source, before.is_some()).await?);
        }
        source.close().await;
        let is_equal = sums.as_ref().is_some_and(|sums| is_equal(sums));
        let report = report::read(transaction, form, schema, self.time_zone.clone(), sums).await?;
        report::decisions(transaction, consume).await?;
        Ok(match (is_equal, request.apply) {
            (false, _) => ImportOutcome::Impossible(report),
            (true, false) => ImportOutcome::Possible(report),
            (true, true) => ImportOutcome::Applied(report),
        })
    }

    /// Compares the hours. Those of an entry that was changed in the new service differ rightly.
    async fn compare(&self, source: &mut Source, is_again: bool) -> Result<Vec<Sum>, DbErr> {
        let state = self.schemas.aside.quoted();
        let sums = report::sums(self.transaction, source, &state).await?;
        if is_equal(&sums) || !is_again || report::leave_changed_here(self.transaction, &state).await? == 0 {
            return Ok(sums);
        }
        report::sums(self.transaction, source, &state).await
    }
}

fn is_equal(sums: &[Sum]) -> bool {
    sums.iter().all(|sum| sum.different == 0)
}

async fn check_time_zone(transaction: &DatabaseTransaction, time_zone: &str) -> Result<(), ImportError> {
    let sql = format!("SELECT 1 FROM pg_timezone_names WHERE lower(name) = lower({})", sql::literal(time_zone));
    if report::is_empty(transaction, sql).await? {
        return Err(ImportError::Refused(format!("{time_zone:?} is no time zone, as America/Fortaleza is")));
    }
    Ok(())
}
