//! `aponta openapi`.

use std::io::Write;

use http_actix::Document;

use super::Failure;

/// Prints the description of the API as JSON.
///
/// # Errors
/// When standard output is closed.
pub async fn run() -> Result<(), Failure> {
    let document = Document::new().await;
    let mut out = std::io::stdout().lock();
    out.write_all(document.json()).and_then(|()| writeln!(out)).map_err(Failure::new)
}
