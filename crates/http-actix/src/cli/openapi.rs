//! `aponta openapi`.

use std::io::Write;

use crate::error::CliError;

/// Prints the description of the API as JSON.
///
/// # Errors
/// When standard output is closed.
pub async fn run() -> Result<(), CliError> {
    let document = http_api::generate_spec().await;
    let mut out = std::io::stdout().lock();
    out.write_all(&document).and_then(|()| writeln!(out)).map_err(CliError::new)
}
