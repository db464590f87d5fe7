//! Standard output of commands, whose reader may close it at any time (`aponta doctor | head -1`).

use std::fmt;
use std::io::{self, Write as _};

use crate::error::CliError;

/// Prints `text` and a newline. `println!` would panic if standard output is closed.
///
/// # Errors
/// If standard output is closed or cannot be written.
pub fn print_line(text: impl fmt::Display) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| CliError::of_output(&error))
}
