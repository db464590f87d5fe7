//! `aponta doctor`: checks everything that the service needs, one line for each.

mod azure;
mod backups;
mod certificate;
mod connections;
mod database;
mod events;
mod network;
mod report;
mod shared_memory;

use std::path::{Path, PathBuf};

use adapters_azure::AzureConfig;
use adapters_postgres::Config;
use adapters_redis::Config as MemoryConfig;
use clap::Args;

use crate::error::CliError;
use crate::settings::{ConfigError, Settings, Sources};
use crate::telemetry::{Format, TelemetryConfig};
use crate::wiring;
use connections::Demand;
use report::Report;

/// What the settings do not contain.
#[derive(Args)]
pub struct Options {
    /// The certificate of the proxy, PEM
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The file in which the backups record their last success (metrics in Prometheus' text format)
    #[arg(long, value_name = "FILE")]
    backups: Option<PathBuf>,
    /// The number of replicas that share the database
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=999))]
    replicas: u32,
}

/// Checks everything and prints a line for each check.
///
/// # Errors
/// If a check failed; its line names the action.
pub async fn run(options: Options) -> Result<(), CliError> {
    let mut report = Report::default();
    match Settings::parse(&Sources::load(Path::new(".")), validate) {
        Ok((settings, (database, azure, memory))) => {
            report.ok("settings", format_args!("{} of them, for {}", settings.lines.len(), settings.environment));
            for warning in settings.warnings() {
                report.warning("settings", warning);
            }
            let demand = Demand { replicas: options.replicas, pool_size: settings.database.pool_size };
            let archive = database::check(database, demand, &mut report).await;
            azure::check(&settings, &azure, &mut report).await;
            check_cors(&settings, &mut report);
            network::check(&settings, &mut report);
            events::check(&settings, &mut report).await;
            shared_memory::check(memory.as_ref(), &mut report).await;
            backups::check(options.backups.as_deref(), archive, &mut report);
        }
        Err(errors) => {
            for line in errors.to_string().lines().filter(|line| !line.trim().is_empty()) {
                report.wrong("settings", line.trim());
            }
        }
    }
    certificate::check(options.certificate.as_deref(), &mut report);
    report.finish()
}

/// Returns the configuration of the adapters, or every setting that `aponta serve` rejects.
fn validate(settings: &Settings) -> Result<(Config, AzureConfig, Option<MemoryConfig>), Vec<ConfigError>> {
    let telemetry = TelemetryConfig::from_settings(settings, Format::Text);
    let memory = wiring::shared_memory::config(settings);
    match (telemetry, wiring::database::config(settings), wiring::azure::config(settings), memory) {
        (Ok(_), Ok(database), Ok(azure), Ok(memory)) => Ok((database, azure, memory)),
        (telemetry, database, azure, memory) => {
            let errors = [telemetry.err(), database.err(), azure.err(), memory.err()];
            Err(errors.into_iter().flatten().flatten().collect())
        }
    }
}

fn check_cors(settings: &Settings, report: &mut Report) {
    let origins: Vec<_> = settings.cors_origins.iter().map(ToString::to_string).collect();
    if origins.is_empty() {
        report.note("CORS", "no web page may call the API: set CORS_ORIGINS to allow one");
    } else {
        report.ok("CORS", format_args!("{} origins: {}", origins.len(), origins.join(", ")));
    }
}
