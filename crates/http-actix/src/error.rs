//! The error of a command: one line for the operator, and exit code 1.

use std::error::Error as _;
use std::fmt;

/// The reason why a command failed, in one line.
#[derive(Debug)]
pub struct CliError(String);

impl CliError {
    /// An error with `reason` as its text.
    pub fn new(reason: impl fmt::Display) -> Self {
        Self(reason.to_string())
    }

    /// An error of the domain or an adapter, with its chain of sources.
    pub fn of(error: &domain::Error) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        Self(text)
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
