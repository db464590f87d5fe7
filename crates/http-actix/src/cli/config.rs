//! `aponta config`.

use std::io::Write;

use crate::settings::{SettingFault, Settings};

use crate::error::CliError;
use crate::telemetry::{Format, Wanted};
use crate::wiring::{azure, database};

/// Prints every setting with its value and where it comes from, secrets masked.
///
/// # Errors
/// When a setting is wrong, or standard output is closed.
pub fn run() -> Result<(), CliError> {
    let (settings, ()) = super::settings(judge)?;
    let mut out = std::io::stdout().lock();
    settings.lines.iter().try_for_each(|line| writeln!(out, "{line}")).map_err(CliError::new)
}

/// All that `aponta serve` would refuse, but for a database that is not set yet.
fn judge(settings: &Settings) -> Result<(), Vec<SettingFault>> {
    let database = match settings.database.url() {
        Ok(_) => database::config(settings).map(drop),
        Err(_) => database::schema(settings).map(drop).map_err(|fault| vec![fault]),
    };
    let judged = [Wanted::of(settings, Format::Text).map(drop), database, azure::config(settings).map(drop)];
    let faults: Vec<_> = judged.into_iter().filter_map(Result::err).flatten().collect();
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}
