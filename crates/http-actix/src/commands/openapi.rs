//! `aponta openapi`.

use std::io::Write;

use super::Failure;

/// Prints the description of the API as JSON.
///
/// # Errors
/// When standard output is closed.
pub async fn run() -> Result<(), Failure> {
    let document = http_actix::describe().await;
    let mut out = std::io::stdout().lock();
    out.write_all(&document).and_then(|()| writeln!(out)).map_err(Failure::new)
}
