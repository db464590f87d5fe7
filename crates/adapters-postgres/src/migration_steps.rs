//! The steps of the crate `migration`: `MigratorTrait` takes only sea-orm's own connection, so they run on one of its own,
//! in one transaction.

use migration::Migrator;
use sea_orm::sqlx::postgres::PgPoolOptions;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, TransactionTrait};
use sea_orm_migration::MigratorTrait;

use crate::connector::connect_options;
use crate::{Config, SchemaName, db_error};

/// sea-orm prepares its statements by names that every process uses. Behind a transaction pooler they stay on a backend that
/// others use next, so none may be there before, nor be left.
const FORGET_STATEMENTS: &str = r"
    DO $do$ DECLARE statement text; BEGIN
        FOR statement IN SELECT name FROM pg_prepared_statements WHERE name LIKE 'sqlx\_s\_%' LOOP
            EXECUTE format('DEALLOCATE %I', statement);
        END LOOP;
    END $do$";

/// What is to be done.
pub(crate) enum Steps<'a> {
    /// So many more steps, or all; first the schema, if it has to be created.
    Up { steps: Option<u32>, schema: Option<&'a SchemaName> },
    /// So many fewer, or all.
    Down { steps: Option<u32>, is_all: bool },
}

/// Does it, or nothing. Tables that are in use are waited for so long.
pub(crate) async fn apply(config: &Config, lock_timeout: &str, steps: Steps<'_>) -> Result<(), DbErr> {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(config.acquire_timeout);
    let pool = pool.connect_with(connect_options(config).await?).await.map_err(db_error::connect_failed)?;
    let database = DatabaseConnection::from(pool);
    let applied = async {
        let transaction = database.begin().await?;
        let bounds = format!(
            "SET LOCAL search_path = {}; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '{lock_timeout}'",
            config.schema.quoted()
        );
        transaction.execute_unprepared(&bounds).await?;
        transaction.execute_unprepared(FORGET_STATEMENTS).await?;
        run(&transaction, steps).await?;
        transaction.execute_unprepared(FORGET_STATEMENTS).await?;
        transaction.commit().await
    };
    let applied = applied.await;
    // Its own failure does not matter any more.
    drop(database.close().await);
    applied
}

async fn run(transaction: &DatabaseTransaction, steps: Steps<'_>) -> Result<(), DbErr> {
    match steps {
        Steps::Up { steps, schema } => {
            if let Some(schema) = schema {
                // Not `IF NOT EXISTS`: that asks for the privilege to create schemas even where there is one.
                transaction.execute_unprepared(&format!("CREATE SCHEMA {}", schema.quoted())).await?;
            }
            Migrator::up(transaction, steps).await
        }
        Steps::Down { steps, is_all } => {
            Migrator::down(transaction, steps).await?;
            if is_all { Migrator::uninstall(transaction).await } else { Ok(()) }
        }
    }
}
