//! The error of a command: one line for the operator, and exit code 1.

use std::error::Error as _;
use std::{fmt, io};

/// Why a command failed.
#[derive(Debug)]
pub enum CliError {
    /// The reason, in one line.
    Failed(String),
    /// The reader of standard output closed it, as `head` does. There is nothing to report.
    OutputClosed,
}

impl CliError {
    /// An error with `reason` as its text.
    pub fn new(reason: impl fmt::Display) -> Self {
        Self::Failed(reason.to_string())
    }

    /// An error of the domain or an adapter, with its chain of sources.
    pub fn of(error: &domain::Error) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        Self::Failed(text)
    }

    /// An error of writing to standard output.
    pub fn of_output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::new(format_args!("cannot write to standard output: {error}")),
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(reason) => f.write_str(reason),
            Self::OutputClosed => f.write_str("standard output is closed"),
        }
    }
}
