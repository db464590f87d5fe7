//! `aponta migrate`.

use adapters_postgres::{MigrationState, PostgresDatabase};
use clap::Subcommand;

use super::output::print_line;
use crate::error::CliError;
use crate::wiring::database;

/// The direction of a migration.
#[derive(Subcommand)]
pub enum Direction {
    /// Apply the pending migrations; `aponta serve` does so at its start
    Up {
        /// Apply at most this many
        #[arg(long)]
        steps: Option<u32>,
    },
    /// Undo migrations, the newest first; their data is lost
    Down {
        /// How many
        #[arg(long, default_value_t = 1)]
        steps: u32,
    },
    /// List the migrations and whether each is applied
    Status,
}

/// Migrates the schema, or lists its migrations.
///
/// # Errors
/// If a setting is wrong, the database is unreachable, or a migration fails; a failed migration changes nothing.
pub async fn run(direction: Direction) -> Result<(), CliError> {
    let (_, config) = super::settings(database::config)?;
    let database = PostgresDatabase::connect(config).await.map_err(CliError::new)?;
    let lines = migrate(&database, direction).await;
    database.close().await;
    lines?.iter().try_for_each(print_line)
}

/// Returns the lines to print.
async fn migrate(database: &PostgresDatabase, direction: Direction) -> Result<Vec<String>, CliError> {
    Ok(match direction {
        Direction::Up { steps } => report("applied", &database.migrate_up(steps).await.map_err(CliError::new)?),
        Direction::Down { steps } => {
            report("undone", &database.migrate_down(Some(steps)).await.map_err(CliError::new)?)
        }
        Direction::Status => {
            let steps = database.migration_status().await.map_err(CliError::new)?;
            let line = |state: MigrationState| match state {
                MigrationState::Applied => "applied",
                MigrationState::Pending => "pending",
                MigrationState::Unknown => "unknown to this version",
            };
            steps.into_iter().map(|step| format!("{}  {}", step.name, line(step.state))).collect()
        }
    })
}

fn report(action: &str, names: &[String]) -> Vec<String> {
    if names.is_empty() {
        return vec!["nothing to do".to_owned()];
    }
    names.iter().map(|name| format!("{name}  {action}")).collect()
}
