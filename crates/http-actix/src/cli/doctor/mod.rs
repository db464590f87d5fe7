//! `aponta doctor`: one look at everything that the service needs, for an operator in a hurry.

mod azure;
mod backups;
mod certificate;
mod database;
mod report;

use std::path::{Path, PathBuf};

use crate::settings::{Settings, Sources};
use clap::Args;

use crate::error::CliError;
use crate::telemetry::{Format, Wanted};
use crate::wiring;
use report::Report;

/// What cannot be known from the settings.
#[derive(Args)]
pub struct Options {
    /// The certificate that the proxy shows, PEM
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Where the backups note when they last ran (metrics in Prometheus' text format)
    #[arg(long, value_name = "FILE")]
    backups: Option<PathBuf>,
}

/// Looks at everything and prints a line for each thing.
///
/// # Errors
/// When something is not as it should be; the lines say what to do.
pub async fn run(options: Options) -> Result<(), CliError> {
    let mut report = Report::default();
    let read = Settings::parse(&Sources::load(Path::new(".")), |settings| {
        let telemetry = Wanted::of(settings, Format::Text);
        match (telemetry, wiring::database::config(settings), wiring::azure::config(settings)) {
            (Ok(_), Ok(database), Ok(azure)) => Ok((database, azure)),
            (telemetry, database, azure) => {
                Err([telemetry.err(), database.err(), azure.err()].into_iter().flatten().flatten().collect())
            }
        }
    });
    match read {
        Ok((settings, (database, azure))) => {
            report.ok("settings", format_args!("{} of them, for {}", settings.lines.len(), settings.environment));
            for warning in settings.warnings() {
                report.warning("settings", warning);
            }
            let archive = database::look(database, &mut report).await;
            azure::look(&settings, &azure, &mut report).await;
            look_at_origins(&settings, &mut report);
            look_at_metrics(&settings, &mut report);
            backups::look(options.backups.as_deref(), archive, &mut report);
        }
        Err(faults) => {
            for line in faults.to_string().lines().filter(|line| !line.trim().is_empty()) {
                report.wrong("settings", line.trim());
            }
        }
    }
    certificate::look(options.certificate.as_deref(), &mut report);
    match report.totals() {
        (_, 0) => {
            println!("all is well");
            Ok(())
        }
        (lines, wrongs) => Err(CliError::new(format_args!("{wrongs} of {lines} things are not as they should be"))),
    }
}

fn look_at_origins(settings: &Settings, report: &mut Report) {
    let line = settings.lines.iter().find_map(|line| line.strip_prefix("CORS_ORIGINS="));
    let origins = line.and_then(|line| line.rsplit_once("  # ")).map_or("", |(origins, _)| origins);
    match settings.cors_origins.len() {
        0 => report.note("CORS", "no page in a browser may call: set CORS_ORIGINS if one should"),
        count => report.ok("CORS", format_args!("{count} origins: {origins}")),
    }
}

fn look_at_metrics(settings: &Settings, report: &mut Report) {
    if let Some(address) = settings.metrics.filter(|address| !address.ip().is_loopback()) {
        report.note("metrics", format_args!("{address} needs no token: only Prometheus should reach that port"));
    }
}
