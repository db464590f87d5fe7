//! The binary `aponta`: the service and what an operator does with it.

mod cli;
mod error;
mod jobs;
mod settings;
mod shutdown;
mod telemetry;
mod wiring;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use error::CliError;

/// API Aponta: activities and projects tied to Azure DevOps, over REST.
#[derive(Parser)]
#[command(name = "aponta", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Try it: an embedded database with sample data, no authentication, this machine only
    #[cfg(feature = "embedded")]
    Dev(cli::dev::Options),
    /// Run the service on PostgreSQL, migrating the database first
    Serve,
    /// Move the database to another version, or say which one it has
    #[command(subcommand)]
    Migrate(cli::migrate::Direction),
    /// Print the effective settings and where each comes from, secrets masked
    Config,
    /// Look at everything that the service needs; each line says ok or what to do, the exit code whether all is well
    Doctor(cli::doctor::Options),
    /// Ask the running service whether it is ready; the exit code says
    Healthcheck,
    /// Print the OpenAPI description
    Openapi,
}

fn main() -> ExitCode {
    // TLS needs one cryptography provider for the whole process; a second installation would be refused, and is none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Cli { command } = Cli::parse();
    match actix_web::rt::System::new().block_on(run(command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("aponta: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), CliError> {
    match command {
        #[cfg(feature = "embedded")]
        Command::Dev(options) => cli::dev::run(options).await,
        Command::Serve => cli::serve::run().await,
        Command::Migrate(direction) => cli::migrate::run(direction).await,
        Command::Config => cli::config::run(),
        Command::Doctor(options) => Box::pin(cli::doctor::run(options)).await,
        Command::Healthcheck => cli::healthcheck::run().await,
        Command::Openapi => cli::openapi::run().await,
    }
}
