//! `aponta config`.

use std::io::Write;

use super::Failure;

/// Prints every setting with its value and where it comes from, secrets masked.
///
/// # Errors
/// When a setting is wrong, or standard output is closed.
pub fn run() -> Result<(), Failure> {
    let (settings, ()) = super::settings(|_| Ok(()))?;
    let mut out = std::io::stdout().lock();
    settings.lines.iter().try_for_each(|line| writeln!(out, "{line}")).map_err(Failure::new)
}
