//! Migrating the schema of a tenant: everything in one transaction under one lock, so that any number of replicas may
//! start at once and a step that fails leaves nothing behind.

use std::collections::BTreeSet;

use migration::Migrator;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, FromQueryResult, TransactionTrait, raw_sql};
use sea_orm_migration::MigratorTrait;

use crate::{PostgresDatabase, db_error};

/// How long a replica waits for another one that migrates, or a step for a table that is in use.
const LOCK_TIMEOUT: &str = "5min";

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
        /// The error itself.
        #[source]
        source: DbErr,
    },
}

impl PostgresDatabase {
    /// Takes the steps that the schema lacks, or so many of them, and answers their names. It makes the schema if there
    /// is none. Of any number of calls at once, from any number of processes, one takes the steps and the others wait.
    ///
    /// # Errors
    /// See [`MigrationError`].
    pub async fn migrate_up(&self, steps: Option<u32>) -> Result<Vec<String>, MigrationError> {
        let transaction = self.lock_schema().await?;
        self.create_schema(&transaction).await.map_err(|error| self.failed(error))?;
        let status = self.status(&transaction).await?;
        let missing = first(names(&status, MigrationState::Pending), steps);
        if names(&status, MigrationState::Applied).is_empty() {
            self.refuse_foreign_tables(&transaction).await?;
        }
        // A role that may only read and write rows can start a service whose schema is complete.
        if !missing.is_empty() {
            Migrator::up(&transaction, steps).await.map_err(|error| self.failed(error))?;
        }
        transaction.commit().await.map_err(|error| self.failed(error))?;
        Ok(missing)
    }

    /// Undoes the steps that were taken, or the last so many of them, and answers their names, the last one first. With
    /// no step left, the schema is empty.
    ///
    /// # Errors
    /// See [`MigrationError`].
    pub async fn migrate_down(&self, steps: Option<u32>) -> Result<Vec<String>, MigrationError> {
        let transaction = self.lock_schema().await?;
        let mut taken = names(&self.status(&transaction).await?, MigrationState::Applied);
        taken.reverse();
        let undone = first(taken.clone(), steps);
        if !undone.is_empty() {
            Migrator::down(&transaction, steps).await.map_err(|error| self.failed(error))?;
        }
        if undone.len() == taken.len() {
            Migrator::uninstall(&transaction).await.map_err(|error| self.failed(error))?;
        }
        transaction.commit().await.map_err(|error| self.failed(error))?;
        Ok(undone)
    }

    /// Every step that this program or the schema knows, oldest first.
    ///
    /// # Errors
    /// See [`MigrationError`].
    pub async fn migration_status(&self) -> Result<Vec<MigrationStatus>, MigrationError> {
        let applied = self.within("migrations.status", self.limit(2), applied(self.connection())).await;
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
    async fn lock_schema(&self) -> Result<DatabaseTransaction, MigrationError> {
        let begin = async {
            let transaction = self.connection().begin().await?;
            let bounds = format!("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'");
            transaction.execute_unprepared(&bounds).await?;
            let key = format!("aponta migrate {}", self.schema().as_str());
            let lock = raw_sql!(Postgres, "SELECT pg_advisory_xact_lock(hashtextextended({key}, 0))");
            transaction.query_one_raw(lock).await?;
            Ok(transaction)
        };
        begin.await.map_err(|error| self.failed(error))
    }

    /// Not `IF NOT EXISTS`: that asks for the privilege to create schemas even when there is nothing to create.
    async fn create_schema(&self, transaction: &DatabaseTransaction) -> Result<(), DbErr> {
        let name = self.schema().as_str();
        let found = raw_sql!(Postgres, "SELECT nspname FROM pg_namespace WHERE nspname = {name}");
        if transaction.query_one_raw(found).await?.is_none() {
            transaction.execute_unprepared(&format!("CREATE SCHEMA {}", self.schema().quoted())).await?;
        }
        Ok(())
    }

    async fn status(&self, transaction: &DatabaseTransaction) -> Result<Vec<MigrationStatus>, MigrationError> {
        let status = compare(applied(transaction).await.map_err(|error| self.failed(error))?);
        self.refuse_newer(&status)?;
        Ok(status)
    }

    fn refuse_newer(&self, status: &[MigrationStatus]) -> Result<(), MigrationError> {
        match names(status, MigrationState::Unknown) {
            names if names.is_empty() => Ok(()),
            names => Err(MigrationError::Newer { schema: self.schema_text(), names }),
        }
    }

    async fn refuse_foreign_tables(&self, transaction: &DatabaseTransaction) -> Result<(), MigrationError> {
        let tables = NameRow::find_by_statement(raw_sql!(
            Postgres,
            "SELECT name FROM (VALUES ('atividades'), ('projetos')) AS ours (name) WHERE to_regclass(name) IS NOT NULL"
        ));
        let found = tables.all(transaction).await.map_err(|error| self.failed(error))?;
        match found {
            found if found.is_empty() => Ok(()),
            found => {
                let names = found.into_iter().map(|row| row.name).collect();
                Err(MigrationError::Foreign { schema: self.schema_text(), names })
            }
        }
    }

    fn failed(&self, error: DbErr) -> MigrationError {
        let (schema, reason) = (self.schema_text(), db_error::reason(&error));
        match db_error::code(&error).as_deref() {
            Some(db_error::LOCK_NOT_AVAILABLE) => MigrationError::Locked { schema },
            Some(db_error::INSUFFICIENT_PRIVILEGE | db_error::INVALID_SCHEMA_NAME) => {
                MigrationError::Forbidden { schema, reason }
            }
            _ => MigrationError::Failed { schema, reason, source: error },
        }
    }

    fn schema_text(&self) -> String {
        self.schema().as_str().to_owned()
    }
}

#[derive(FromQueryResult)]
struct NameRow {
    name: String,
}

/// The steps that the schema has. It needs no privilege to create anything, and no schema.
async fn applied<C: ConnectionTrait>(connection: &C) -> Result<BTreeSet<String>, DbErr> {
    let installed = raw_sql!(Postgres, "SELECT 1 WHERE to_regclass('seaql_migrations') IS NOT NULL");
    if connection.query_one_raw(installed).await?.is_none() {
        return Ok(BTreeSet::new());
    }
    let versions = raw_sql!(Postgres, "SELECT version AS name FROM seaql_migrations");
    Ok(NameRow::find_by_statement(versions).all(connection).await?.into_iter().map(|row| row.name).collect())
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
