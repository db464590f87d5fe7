//! Migrating the schema of a tenant: all steps in one transaction under one lock, so that any number of replicas may
//! start concurrently and a step that fails leaves nothing behind.

use std::collections::BTreeSet;

use migration::Migrator;
use sea_orm::sqlx::postgres::PgPoolOptions;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, IsolationLevel, Statement,
    TransactionTrait, raw_sql,
};
use sea_orm_migration::MigratorTrait;

use crate::connector::connect_options;
use crate::migration_error::{LOCK_TIMEOUT, MigrationError, MigrationFailure};
use crate::{Config, PostgresDatabase, SchemaName, db_error};

/// sea-orm names prepared statements alike in every process. Behind a transaction pooler they stay on a backend that other
/// sessions use, so the transaction neither relies on existing ones nor leaves its own.
pub(crate) const DEALLOCATE_STATEMENTS: &str = r"
    DO $do$ DECLARE statement text; BEGIN
        FOR statement IN SELECT name FROM pg_prepared_statements WHERE name LIKE 'sqlx\_s\_%' LOOP
            EXECUTE format('DEALLOCATE %I', statement);
        END LOOP;
    END $do$";

const FOREIGN_TABLES: &str =
    "SELECT text FROM (VALUES ('atividades'), ('projetos')) AS ours (text) WHERE to_regclass(text) IS NOT NULL";

const OTHER_SCHEMAS: &str = "
    SELECT n.nspname::text AS text FROM pg_namespace n
    WHERE (SELECT count(*) FROM pg_class c
           WHERE c.relnamespace = n.oid AND c.relname IN ('atividades', 'projetos', 'seaql_migrations')) = 3
    ORDER BY 1";

/// A migration step and its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    /// The name of the step.
    pub name: String,
    /// Whether the schema has the step.
    pub state: MigrationState,
}

/// Whether a schema has a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationState {
    /// The schema has it.
    Applied,
    /// The schema does not have it yet.
    Pending,
    /// The schema has it, but this program does not contain it: a newer version applied it.
    Unknown,
}

#[derive(Debug, Clone, Copy)]
enum Direction {
    Up,
    Down,
}

impl PostgresDatabase {
    /// Applies the steps that the schema lacks, or the first `steps` of them, and returns their names. Creates the schema
    /// if it does not exist. Of concurrent calls, from any number of processes, one applies the steps and the others wait.
    ///
    /// # Errors
    /// See [`MigrationError`].
    pub async fn migrate_up(&self, steps: Option<u32>) -> Result<Vec<String>, MigrationError> {
        self.migrate(Direction::Up, steps).await
    }

    /// Reverts the applied steps, or the last `steps` of them, and returns their names, the last one first. With no step
    /// left, the schema is empty.
    ///
    /// # Errors
    /// See [`MigrationError`].
    pub async fn migrate_down(&self, steps: Option<u32>) -> Result<Vec<String>, MigrationError> {
        self.migrate(Direction::Down, steps).await
    }

    /// Returns every step that this program or the schema contains, oldest first.
    ///
    /// # Errors
    /// See [`MigrationError`].
    pub async fn migration_status(&self) -> Result<Vec<MigrationStatus>, MigrationError> {
        let applied = applied(&self.read("migrations.status")).await;
        applied.map(compare).map_err(|error| self.migration_error(error.into()))
    }

    /// Checks that the schema is the one that this program was written for.
    ///
    /// # Errors
    /// `Newer` or `Pending` if it is another one.
    pub async fn check_schema(&self) -> Result<(), MigrationError> {
        let status = self.migration_status().await?;
        let checked = refuse_newer(&status).and_then(|()| match names(&status, MigrationState::Pending) {
            names if names.is_empty() => Ok(()),
            names => Err(MigrationFailure::Pending(names)),
        });
        checked.map_err(|reason| self.migration_error(reason))
    }

    async fn migrate(&self, direction: Direction, steps: Option<u32>) -> Result<Vec<String>, MigrationError> {
        let migrated = migrate(&self.config, direction, steps).await;
        migrated.map_err(|reason| self.migration_error(reason))
    }

    fn migration_error(&self, reason: MigrationFailure) -> MigrationError {
        MigrationError { schema: self.config.schema.as_str().to_owned(), reason }
    }
}

/// Runs on a connection of its own, because `MigratorTrait` accepts only sea-orm's connections.
async fn migrate(config: &Config, direction: Direction, steps: Option<u32>) -> Result<Vec<String>, MigrationFailure> {
    let database = connect_alone(config).await?;
    let migrated = async {
        let transaction = begin_locked(&database, &config.schema).await?;
        let status = compare(applied(&transaction).await?);
        refuse_newer(&status)?;
        let names = match direction {
            Direction::Up => up(&transaction, &config.schema, &status, steps).await?,
            Direction::Down => down(&transaction, &status, steps).await?,
        };
        transaction.execute_unprepared(DEALLOCATE_STATEMENTS).await?;
        transaction.commit().await?;
        Ok(names)
    };
    let migrated = migrated.await;
    // The migration has ended, so an error while closing changes nothing.
    drop(database.close().await);
    migrated
}

/// Opens a connection for one transaction.
pub(crate) async fn connect_alone(config: &Config) -> Result<DatabaseConnection, DbErr> {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(config.acquire_timeout);
    let pool = pool.connect_with(connect_options(config).await?).await.map_err(db_error::connect_failed)?;
    Ok(pool.into())
}

/// Applies all missing steps in `transaction`.
pub(crate) async fn complete(transaction: &DatabaseTransaction, schema: &SchemaName) -> Result<(), MigrationFailure> {
    let status = compare(applied(transaction).await?);
    refuse_newer(&status)?;
    up(transaction, schema, &status, None).await.map(drop)
}

/// Begins a transaction in which no other process migrates `schema`.
pub(crate) async fn begin_locked(
    database: &DatabaseConnection,
    schema: &SchemaName,
) -> Result<DatabaseTransaction, DbErr> {
    let transaction = database.begin_with_config(Some(IsolationLevel::ReadCommitted), None).await?;
    let bounds = format!(
        "SET LOCAL search_path = {}; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'",
        schema.quoted()
    );
    transaction.execute_unprepared(&bounds).await?;
    transaction.execute_unprepared(DEALLOCATE_STATEMENTS).await?;
    let key = format!("aponta migrate {}", schema.as_str());
    let lock = raw_sql!(Postgres, "SELECT pg_advisory_xact_lock(hashtextextended({key}, 0))");
    transaction.execute_raw(lock).await?;
    Ok(transaction)
}

async fn up(
    transaction: &DatabaseTransaction,
    schema: &SchemaName,
    status: &[MigrationStatus],
    steps: Option<u32>,
) -> Result<Vec<String>, MigrationFailure> {
    let missing = first(names(status, MigrationState::Pending), steps);
    if names(status, MigrationState::Applied).is_empty() {
        match texts(transaction, FOREIGN_TABLES).await? {
            names if names.is_empty() => {}
            names => return Err(MigrationFailure::Foreign(names)),
        }
    }
    // A role without the privilege to create tables can start a service whose schema is complete.
    if missing.is_empty() {
        return Ok(missing);
    }
    let name = schema.as_str();
    let found = raw_sql!(Postgres, "SELECT 1 FROM pg_namespace WHERE nspname = {name}");
    // Not `IF NOT EXISTS`, which requires the privilege to create schemas even if the schema exists.
    if transaction.query_one_raw(found).await?.is_none() {
        warn_of_other_schemas(transaction, schema).await?;
        transaction.execute_unprepared(&format!("CREATE SCHEMA {}", schema.quoted())).await?;
    }
    Migrator::up(transaction, steps).await?;
    Ok(missing)
}

async fn down(
    transaction: &DatabaseTransaction,
    status: &[MigrationStatus],
    steps: Option<u32>,
) -> Result<Vec<String>, MigrationFailure> {
    let mut applied = names(status, MigrationState::Applied);
    applied.reverse();
    let undone = first(applied.clone(), steps);
    if !undone.is_empty() {
        Migrator::down(transaction, steps).await?;
        if undone.len() == applied.len() {
            Migrator::uninstall(transaction).await?;
        }
    }
    Ok(undone)
}

/// Warns because a mistyped name would serve an empty schema beside the one with the data.
async fn warn_of_other_schemas(transaction: &DatabaseTransaction, schema: &SchemaName) -> Result<(), DbErr> {
    let others = texts(transaction, OTHER_SCHEMAS).await?;
    if !others.is_empty() {
        tracing::warn!(
            schema = schema.as_str(),
            ?others,
            "creating a new schema; others of this database already hold tables of this service: \
             is DATABASE_SCHEMA the right one?"
        );
    }
    Ok(())
}

fn refuse_newer(status: &[MigrationStatus]) -> Result<(), MigrationFailure> {
    match names(status, MigrationState::Unknown) {
        names if names.is_empty() => Ok(()),
        names => Err(MigrationFailure::Newer(names)),
    }
}

/// Returns the steps that the schema has. The schema does not have to exist.
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

/// Compares the steps of this program with those of the schema.
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
