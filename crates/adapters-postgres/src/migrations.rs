//! Migrating the schema of a tenant: all steps in one transaction under one lock, so that any number of replicas may
//! start at once and a step that fails leaves nothing behind.

use std::collections::BTreeSet;
use std::time::Duration;

use migration::Migrator;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, raw_sql};
use sea_orm_migration::MigratorTrait;

use crate::migration_steps::{self, Steps};
use crate::operation::Transaction;
use crate::{PostgresDatabase, db_error};

/// How long a replica waits for another one that migrates, or a step for a table that is in use.
const LOCK_TIMEOUT: &str = "5min";

/// The longest time that a migration may take: one of a large table takes hours.
const MIGRATION_LIMIT: Duration = Duration::from_hours(24);

const TABLES_IN_THE_WAY: &str =
    "SELECT text FROM (VALUES ('atividades'), ('projetos')) AS ours (text) WHERE to_regclass(text) IS NOT NULL";

const OTHER_SCHEMAS: &str = "
    SELECT n.nspname::text AS text FROM pg_namespace n
    WHERE (SELECT count(*) FROM pg_class c
           WHERE c.relnamespace = n.oid AND c.relname IN ('atividades', 'projetos', 'seaql_migrations')) = 3
    ORDER BY 1";

/// A step and whether it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Its name.
    pub name: String,
    /// Whether it was taken.
    pub state: MigrationState,
}

/// Whether a step was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationState {
    /// The schema has it.
    Applied,
    /// The schema does not have it yet.
    Pending,
    /// The schema has it and this program does not know it: a newer one was here.
    Unknown,
}

/// Why a schema could not be migrated or cannot be served. One line for whoever operates the service.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// A newer program migrated it.
    #[error(
        "the schema «{schema}» is newer than this program, which does not know {}: run the version that made it",
        names.join(", ")
    )]
    Newer {
        /// The schema.
        schema: String,
        /// The steps that this program does not know.
        names: Vec<String>,
    },
    /// It lacks steps.
    #[error("the schema «{schema}» lacks {}: run `aponta migrate up`", names.join(", "))]
    Pending {
        /// The schema.
        schema: String,
        /// The steps that it lacks.
        names: Vec<String>,
    },
    /// Something else lives there.
    #[error(
        "the schema «{schema}» already has {} that this program did not make, as the service it replaces did: \
         name another schema in DATABASE_SCHEMA, or rename what is there",
        names.join(" and ")
    )]
    Foreign {
        /// The schema.
        schema: String,
        /// The tables in the way.
        names: Vec<String>,
    },
    /// Another process held a lock for too long.
    #[error("the schema «{schema}» was locked by another process for {LOCK_TIMEOUT}: is another migration stuck?")]
    Locked {
        /// The schema.
        schema: String,
    },
    /// The role lacks a privilege.
    #[error(
        "the database role may not migrate the schema «{schema}»: {reason}; it needs USAGE and CREATE on the schema, \
         and CREATE on the database if the schema does not exist"
    )]
    Forbidden {
        /// The schema.
        schema: String,
        /// What the server said.
        reason: String,
    },
    /// Anything else; nothing was changed.
    #[error("migrating the schema «{schema}» failed, and nothing was changed: {reason}")]
    Failed {
        /// The schema.
        schema: String,
        /// What happened.
        reason: String,
    },
}

impl PostgresDatabase {
    /// Applies the steps that the schema lacks, or so many of them, and returns their names. It creates the schema if
    /// there is none. Of any number of concurrent calls, from any number of processes, one applies the steps and the
    /// others wait.
    ///
    /// # Errors
    /// See [`MigrationError`].
    pub async fn migrate_up(&self, steps: Option<u32>) -> Result<Vec<String>, MigrationError> {
        let lock = self.lock_schema().await?;
        let status = self.status(&lock).await?;
        let missing = first(names(&status, MigrationState::Pending), steps);
        if names(&status, MigrationState::Applied).is_empty() {
            self.refuse_foreign_tables(&lock).await?;
        }
        // A role that may only read and write rows can start a service whose schema is complete.
        if !missing.is_empty() {
            let schema = if self.has_schema(&lock).await? {
                None
            } else {
                self.warn_of_other_schemas(&lock).await?;
                Some(self.schema())
            };
            self.apply(Steps::Up { steps, schema }).await?;
        }
        lock.commit().await.map_err(|error| self.failed(&error))?;
        Ok(missing)
    }

    /// Undoes the steps that were applied, or the last so many of them, and returns their names, the last one first. With
    /// no step left, the schema is empty.
    ///
    /// # Errors
    /// See [`MigrationError`].
    pub async fn migrate_down(&self, steps: Option<u32>) -> Result<Vec<String>, MigrationError> {
        let lock = self.lock_schema().await?;
        let mut applied = names(&self.status(&lock).await?, MigrationState::Applied);
        applied.reverse();
        let undone = first(applied.clone(), steps);
        if !undone.is_empty() {
            self.apply(Steps::Down { steps, is_all: undone.len() == applied.len() }).await?;
        }
        lock.commit().await.map_err(|error| self.failed(&error))?;
        Ok(undone)
    }

    /// Every step that this program or the schema knows, oldest first.
    ///
    /// # Errors
    /// See [`MigrationError`].
    pub async fn migration_status(&self) -> Result<Vec<MigrationStatus>, MigrationError> {
        let read = self.read("migrations.status");
        Ok(compare(applied(&read).await.map_err(|error| self.failed(&error))?))
    }

    /// Whether the schema is the one that this program was written for.
    ///
    /// # Errors
    /// `Newer` or `Pending` when it is another one, so that a service can refuse rather than guess.
    pub async fn check_schema(&self) -> Result<(), MigrationError> {
        let status = self.migration_status().await?;
        self.refuse_newer(&status)?;
        match names(&status, MigrationState::Pending) {
            names if names.is_empty() => Ok(()),
            names => Err(MigrationError::Pending { schema: self.schema_text(), names }),
        }
    }

    /// A transaction in which no other process migrates this schema. Its end is the end of the lock.
    async fn lock_schema(&self) -> Result<Transaction<'_>, MigrationError> {
        let begin = async {
            let transaction = Transaction::begin(self, "migrations", MIGRATION_LIMIT).await?;
            let bounds = format!("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'");
            transaction.execute_unprepared(&bounds).await?;
            let key = format!("aponta migrate {}", self.schema().as_str());
            let lock = raw_sql!(Postgres, "SELECT pg_advisory_xact_lock(hashtextextended({key}, 0))");
            transaction.execute_raw(lock).await?;
            Ok(transaction)
        };
        begin.await.map_err(|error| self.failed(&error))
    }

    /// Applies or undoes steps, while the caller holds the lock.
    async fn apply(&self, steps: Steps<'_>) -> Result<(), MigrationError> {
        migration_steps::apply(&self.config, LOCK_TIMEOUT, steps).await.map_err(|error| self.failed(&error))
    }

    async fn has_schema(&self, lock: &Transaction<'_>) -> Result<bool, MigrationError> {
        let name = self.schema().as_str();
        let found = lock.query_one_raw(raw_sql!(Postgres, "SELECT 1 FROM pg_namespace WHERE nspname = {name}")).await;
        found.map(|row| row.is_some()).map_err(|error| self.failed(&error))
    }

    /// Within the transaction of the lock, which then releases the table that it read: a step may drop it.
    async fn status(&self, lock: &Transaction<'_>) -> Result<Vec<MigrationStatus>, MigrationError> {
        let read = async {
            lock.execute_unprepared("SAVEPOINT status").await?;
            let applied = applied(lock).await?;
            lock.execute_unprepared("ROLLBACK TO status").await?;
            Ok(applied)
        };
        let status = compare(read.await.map_err(|error| self.failed(&error))?);
        self.refuse_newer(&status)?;
        Ok(status)
    }

    fn refuse_newer(&self, status: &[MigrationStatus]) -> Result<(), MigrationError> {
        match names(status, MigrationState::Unknown) {
            names if names.is_empty() => Ok(()),
            names => Err(MigrationError::Newer { schema: self.schema_text(), names }),
        }
    }

    async fn refuse_foreign_tables(&self, lock: &Transaction<'_>) -> Result<(), MigrationError> {
        match texts(lock, TABLES_IN_THE_WAY).await.map_err(|error| self.failed(&error))? {
            names if names.is_empty() => Ok(()),
            names => Err(MigrationError::Foreign { schema: self.schema_text(), names }),
        }
    }

    /// A mistyped name would serve an empty schema beside the one with the data.
    async fn warn_of_other_schemas(&self, lock: &Transaction<'_>) -> Result<(), MigrationError> {
        let others = texts(lock, OTHER_SCHEMAS).await.map_err(|error| self.failed(&error))?;
        if !others.is_empty() {
            tracing::warn!(
                schema = self.schema().as_str(),
                ?others,
                "creating a new schema; others of this database already hold tables of this service: \
                 is DATABASE_SCHEMA the right one?"
            );
        }
        Ok(())
    }

    fn failed(&self, error: &DbErr) -> MigrationError {
        let (schema, reason) = (self.schema_text(), db_error::reason(error));
        match db_error::code(error) {
            Some("55P03") => MigrationError::Locked { schema },
            // insufficient_privilege, invalid_schema_name
            Some("42501" | "3F000") => MigrationError::Forbidden { schema, reason },
            _ => MigrationError::Failed { schema, reason },
        }
    }

    fn schema_text(&self) -> String {
        self.schema().as_str().to_owned()
    }
}

/// The steps that the schema has. It needs no privilege to create anything, and no schema.
async fn applied(connection: &impl ConnectionTrait) -> Result<BTreeSet<String>, DbErr> {
    if texts(connection, "SELECT 'there' AS text WHERE to_regclass('seaql_migrations') IS NOT NULL").await?.is_empty() {
        return Ok(BTreeSet::new());
    }
    Ok(texts(connection, "SELECT version AS text FROM seaql_migrations").await?.into_iter().collect())
}

/// The column `text` of the rows of `sql`.
async fn texts(connection: &impl ConnectionTrait, sql: &str) -> Result<Vec<String>, DbErr> {
    let rows = connection.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    rows.iter().map(|row| row.try_get("", "text")).collect()
}

/// What the program knows against what the schema has. Names begin with their date, so their order is that of time.
fn compare(mut applied: BTreeSet<String>) -> Vec<MigrationStatus> {
    let known = Migrator::migrations().into_iter().map(|migration| {
        let name = migration.name().to_owned();
        let state = if applied.remove(&name) { MigrationState::Applied } else { MigrationState::Pending };
        MigrationStatus { name, state }
    });
    let mut status: Vec<_> = known.collect();
    status.extend(applied.into_iter().map(|name| MigrationStatus { name, state: MigrationState::Unknown }));
    status
}

fn names(status: &[MigrationStatus], state: MigrationState) -> Vec<String> {
    status.iter().filter(|step| step.state == state).map(|step| step.name.clone()).collect()
}

/// The first `steps` of `names`, or all of them.
fn first(mut names: Vec<String>, steps: Option<u32>) -> Vec<String> {
    if let Some(steps) = steps {
        names.truncate(usize::try_from(steps).unwrap_or(usize::MAX));
    }
    names
}
