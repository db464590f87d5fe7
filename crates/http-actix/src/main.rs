//! The binary `aponta`: the service and the commands of its operator.

mod cli;
mod error;
mod error_tracking;
mod jobs;
mod settings;
mod shutdown;
mod telemetry;
mod wiring;

use std::io::{self, Write as _};
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
    /// Serve an embedded database with sample data, without authentication, on loopback only
    #[cfg(feature = "embedded")]
    Dev(cli::dev::Options),
    /// Migrate the PostgreSQL database, then serve it
    Serve,
    /// Apply, undo or list the migrations of the database
    #[command(subcommand)]
    Migrate(cli::migrate::Direction),
    /// Print the effective settings and their sources, secrets masked
    Config,
    /// Import the database of the FastAPI service; without --yes, report what an import would do
    Import(cli::import::Options),
    /// Export the personal data of somebody, or replace it by a pseudonym
    #[command(subcommand)]
    Privacidade(cli::privacidade::Action),
    /// Check everything that the service needs; each line is ok or names the action, and the exit code is the result
    Doctor(cli::doctor::Options),
    /// Request /health of the running service; the exit code is the result
    Healthcheck,
    /// Print the OpenAPI document
    Openapi,
}

fn main() -> ExitCode {
    // TLS needs one cryptography provider per process. Installing it fails only if one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Cli { command } = Cli::parse();
    match actix_web::rt::System::new().block_on(run(command)) {
        // If the reader closed standard output, it has what it wanted; a failure would surprise a script with `pipefail`.
        Ok(()) | Err(CliError::OutputClosed) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed as well, where `eprintln!` would panic.
            let _ = writeln!(io::stderr(), "aponta: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), CliError> {
    match command {
        #[cfg(feature = "embedded")]
        Command::Dev(options) => cli::dev::run(options).await,
        Command::Serve => Box::pin(cli::serve::run()).await,
        Command::Migrate(direction) => cli::migrate::run(direction).await,
        Command::Import(options) => Box::pin(cli::import::run(options)).await,
        Command::Privacidade(action) => cli::privacidade::run(action).await,
        Command::Config => cli::config::run(),
        Command::Doctor(options) => Box::pin(cli::doctor::run(options)).await,
        Command::Healthcheck => cli::healthcheck::run().await,
        Command::Openapi => cli::openapi::run().await,
    }
}
