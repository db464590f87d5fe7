//! `aponta migrate`.

use adapters_postgres::MigrationState;
use clap::Subcommand;

use crate::error::CliError;
use crate::wiring::database;

/// Which way.
#[derive(Subcommand)]
pub enum Direction {
    /// Take the steps that the schema lacks; `aponta serve` does so by itself
    Up {
        /// Only so many of them
        #[arg(long)]
        steps: Option<u32>,
    },
    /// Undo steps, the newest first; what they hold is lost
    Down {
        /// How many
        #[arg(long, default_value_t = 1)]
        steps: u32,
    },
    /// List the steps and whether the schema has them
    Status,
}

/// Moves the schema, or says where it stands.
///
/// # Errors
/// When a setting is wrong, the database cannot be reached, or a step fails; then nothing has changed.
pub async fn run(direction: Direction) -> Result<(), CliError> {
    let (_, config) = super::settings(database::config)?;
    let database = adapters_postgres::PostgresDatabase::connect(config).await.map_err(CliError::new)?;
    match direction {
        Direction::Up { steps } => report("applied", &database.migrate_up(steps).await.map_err(CliError::new)?),
        Direction::Down { steps } => {
            report("undone", &database.migrate_down(Some(steps)).await.map_err(CliError::new)?);
        }
        Direction::Status => {
            for step in database.migration_status().await.map_err(CliError::new)? {
                let state = match step.state {
                    MigrationState::Applied => "applied",
                    MigrationState::Pending => "pending",
                    MigrationState::Unknown => "unknown to this version",
                };
                println!("{}  {state}", step.name);
            }
        }
    }
    database.close().await;
    Ok(())
}

fn report(what: &str, names: &[String]) {
    if names.is_empty() {
        println!("nothing to do");
    }
    for name in names {
        println!("{name}  {what}");
    }
}
