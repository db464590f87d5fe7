//! Migrating the schema of a tenant: all steps in one transaction under one lock, so that any number of replicas may
//! start at once and a step that fails leaves nothing behind.

use std::collections::BTreeSet;

use migration::Migrator;
use sea_orm_migration::MigratorTrait;
use tokio_postgres::error::SqlState;

use crate::db_error::{self, DbError};
use crate::migration_steps::{Refusal, Steps};
use crate::pool::Lease;
use crate::{PostgresDatabase, migration_steps};

/// How long a replica waits for another one that migrates, or a step for a table that is in use.
const LOCK_TIMEOUT: &str = "5min";

const TABLES_IN_THE_WAY: &str =
    "SELECT name FROM (VALUES ('atividades'), ('projetos')) AS ours (name) WHERE to_regclass(name) IS NOT NULL";

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
    /// Takes the steps that the schema lacks, or so many of them, and answers their names. It makes the schema if there
    /// is none. Of any number of calls at once, from any number of processes, one takes the steps and the others wait.
    ///
    /// # Errors
    /// See [`MigrationError`].
    pub async fn migrate_up(&self, steps: Option<u32>) -> Result<Vec<String>, MigrationError> {
        let mut lock = self.lock_schema().await?;
        let status = self.status(&mut lock).await?;
        let missing = first(names(&status, MigrationState::Pending), steps);
        if names(&status, MigrationState::Applied).is_empty() {
            self.refuse_foreign_tables(&mut lock).await?;
        }
        // A role that may only read and write rows can start a service whose schema is complete.
        if !missing.is_empty() {
            let schema = if self.has_schema(&mut lock).await? { None } else { Some(self.schema()) };
            self.take(Steps::Up { steps, schema }).await?;
        }
        lock.commit().await.map_err(|error| self.failed(error))?;
        Ok(missing)
    }

    /// Undoes the steps that were taken, or the last so many of them, and answers their names, the last one first. With
    /// no step left, the schema is empty.
    ///
    /// # Errors
    /// See [`MigrationError`].
    pub async fn migrate_down(&self, steps: Option<u32>) -> Result<Vec<String>, MigrationError> {
        let mut lock = self.lock_schema().await?;
        let mut taken = names(&self.status(&mut lock).await?, MigrationState::Applied);
        taken.reverse();
        let undone = first(taken.clone(), steps);
        if !undone.is_empty() {
            self.take(Steps::Down { steps, is_all: undone.len() == taken.len() }).await?;
        }
        lock.commit().await.map_err(|error| self.failed(error))?;
        Ok(undone)
    }

    /// Every step that this program or the schema knows, oldest first.
    ///
    /// # Errors
    /// See [`MigrationError`].
    pub async fn migration_status(&self) -> Result<Vec<MigrationStatus>, MigrationError> {
        let applied = self.alone("migrations.status", 2, |mut lease| async move { applied(&mut lease).await }).await;
        Ok(compare(applied.map_err(|error| self.failed(error))?))
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

    /// A transaction in which nobody else migrates this schema. Its end is the end of the lock.
    async fn lock_schema(&self) -> Result<Lease, MigrationError> {
        let begin = async {
            let mut lease = self.lease().await?;
            lease.begin().await?;
            let bounds = format!("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'");
            lease.run(&bounds).await?;
            let key = format!("aponta migrate {}", self.schema().as_str());
            lease.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", &[&key]).await?;
            Ok(lease)
        };
        begin.await.map_err(|error| self.failed(error))
    }

    /// Takes or undoes steps, while the caller holds the lock.
    async fn take(&self, steps: Steps<'_>) -> Result<(), MigrationError> {
        let taken = migration_steps::take(&self.config, LOCK_TIMEOUT, steps).await;
        taken.map_err(|Refusal { code, reason }| self.refused(code.as_deref(), reason))
    }

    async fn has_schema(&self, lease: &mut Lease) -> Result<bool, MigrationError> {
        let name = self.schema().as_str();
        let found = lease.query("SELECT FROM pg_namespace WHERE nspname = $1", &[&name]).await;
        Ok(!found.map_err(|error| self.failed(error))?.is_empty())
    }

    /// Within the transaction of the lock, which lets go of the table that it read: a step may drop it.
    async fn status(&self, lease: &mut Lease) -> Result<Vec<MigrationStatus>, MigrationError> {
        let look = async {
            lease.run("SAVEPOINT look").await?;
            let applied = applied(lease).await?;
            lease.run("ROLLBACK TO look").await?;
            Ok(applied)
        };
        let status = compare(look.await.map_err(|error| self.failed(error))?);
        self.refuse_newer(&status)?;
        Ok(status)
    }

    fn refuse_newer(&self, status: &[MigrationStatus]) -> Result<(), MigrationError> {
        match names(status, MigrationState::Unknown) {
            names if names.is_empty() => Ok(()),
            names => Err(MigrationError::Newer { schema: self.schema_text(), names }),
        }
    }

    async fn refuse_foreign_tables(&self, lease: &mut Lease) -> Result<(), MigrationError> {
        let found = texts(lease, TABLES_IN_THE_WAY).await.map_err(|error| self.failed(error))?;
        match found {
            names if names.is_empty() => Ok(()),
            names => Err(MigrationError::Foreign { schema: self.schema_text(), names }),
        }
    }

    fn failed(&self, error: DbError) -> MigrationError {
        match error {
            DbError::Statement(cause) | DbError::Connect(cause) => {
                self.refused(cause.code().map(SqlState::code), db_error::reason(&cause))
            }
            other => self.refused(None, other.to_string()),
        }
    }

    fn refused(&self, code: Option<&str>, reason: String) -> MigrationError {
        let schema = self.schema_text();
        match code.map(SqlState::from_code) {
            Some(SqlState::LOCK_NOT_AVAILABLE) => MigrationError::Locked { schema },
            Some(SqlState::INSUFFICIENT_PRIVILEGE | SqlState::INVALID_SCHEMA_NAME) => {
                MigrationError::Forbidden { schema, reason }
            }
            _ => MigrationError::Failed { schema, reason },
        }
    }

    fn schema_text(&self) -> String {
        self.schema().as_str().to_owned()
    }
}

/// The steps that the schema has. It needs no privilege to create anything, and no schema.
async fn applied(lease: &mut Lease) -> Result<BTreeSet<String>, DbError> {
    if lease.query("SELECT WHERE to_regclass('seaql_migrations') IS NOT NULL", &[]).await?.is_empty() {
        return Ok(BTreeSet::new());
    }
    Ok(texts(lease, "SELECT version FROM seaql_migrations").await?.into_iter().collect())
}

/// The first column of what `sql` answers.
async fn texts(lease: &mut Lease, sql: &str) -> Result<Vec<String>, DbError> {
    let rows = lease.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
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
