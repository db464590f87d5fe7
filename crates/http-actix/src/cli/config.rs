//! `aponta config`.

use super::output::print_line;
use crate::error::CliError;
use crate::settings::{ConfigError, Settings};
use crate::telemetry::{Format, TelemetryConfig};
use crate::wiring::{azure, database, shared_memory};

/// Prints every setting with its value and its source, secrets masked, and the effective CORS patterns.
///
/// # Errors
/// If a setting is wrong, or standard output cannot be written.
pub fn run() -> Result<(), CliError> {
    let (settings, ()) = super::settings(validate)?;
    settings.lines.iter().try_for_each(print_line)?;
    // Comments, so that the output stays a valid `.env`.
    print_line("# Web pages that may call the API, by the effective patterns of CORS_ORIGINS:")?;
    if settings.cors_origins.is_empty() {
        return print_line("#   none");
    }
    settings.cors_origins.iter().try_for_each(|pattern| print_line(format_args!("#   {pattern}")))
}

/// Finds every setting that `aponta serve` rejects. The database may be unset.
fn validate(settings: &Settings) -> Result<(), Vec<ConfigError>> {
    let database = match settings.database.url() {
        Ok(_) => database::config(settings).map(drop),
        Err(_) => database::schema(settings).map(drop).map_err(|error| vec![error]),
    };
    let results = [
        TelemetryConfig::from_settings(settings, Format::Text).map(drop),
        database,
        azure::config(settings).map(drop),
        shared_memory::config(settings).map(drop),
    ];
    let errors: Vec<_> = results.into_iter().filter_map(Result::err).flatten().collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}
