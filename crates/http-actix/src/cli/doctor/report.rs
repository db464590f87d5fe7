//! The lines of `aponta doctor`.

use std::fmt;

use super::super::output::print_line;
use crate::error::CliError;

/// Counts and prints the results. Each line is printed at once, because the next check may take seconds.
#[derive(Default)]
pub struct Report {
    lines: usize,
    wrongs: usize,
}

impl Report {
    /// A check that passed.
    pub fn ok(&mut self, topic: &str, text: impl fmt::Display) {
        self.line("ok", topic, &text);
    }

    /// A check that was not made, or a state that may be intended.
    pub fn note(&mut self, topic: &str, text: impl fmt::Display) {
        self.line("--", topic, &text);
    }

    /// A setting that exposes the service, which may be intended.
    pub fn warning(&mut self, topic: &str, text: impl fmt::Display) {
        self.line("WARN", topic, &text);
    }

    /// A check that failed, with the action.
    pub fn wrong(&mut self, topic: &str, text: impl fmt::Display) {
        self.wrongs += 1;
        self.line("WRONG", topic, &text);
    }

    /// Prints the total.
    ///
    /// # Errors
    /// If a check failed.
    pub fn finish(self) -> Result<(), CliError> {
        match (self.lines, self.wrongs) {
            (_, 0) => print_line("all is well"),
            (lines, wrongs) => Err(CliError::new(format_args!("{wrongs} of {lines} checks failed"))),
        }
    }

    /// If standard output is closed, the checks go on: the exit code is their result.
    fn line(&mut self, verdict: &str, topic: &str, text: &dyn fmt::Display) {
        self.lines += 1;
        let _ = print_line(format_args!("{verdict:<5}  {topic:<12}  {text}"));
    }
}
