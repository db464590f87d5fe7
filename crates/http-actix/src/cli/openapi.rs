//! `aponta openapi`.

use super::output::print_line;
use crate::error::CliError;

/// Prints the OpenAPI document as JSON.
///
/// # Errors
/// If standard output cannot be written.
pub async fn run() -> Result<(), CliError> {
    print_line(String::from_utf8_lossy(&http_api::generate_spec().await))
}
