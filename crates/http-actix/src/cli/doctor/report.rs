//! The lines that an operator reads.

use std::fmt;

/// What was found so far. Every line is printed at once, since the next look may take seconds.
#[derive(Default)]
pub struct Report {
    lines: usize,
    wrongs: usize,
}

impl Report {
    /// A thing that is as it should be.
    pub fn ok(&mut self, topic: &str, text: impl fmt::Display) {
        self.line("ok", topic, &text);
    }

    /// A thing that was not looked at, or that may be meant so.
    pub fn note(&mut self, topic: &str, text: impl fmt::Display) {
        self.line("--", topic, &text);
    }

    /// A setting that exposes the service, which the operator may have meant.
    pub fn warning(&mut self, topic: &str, text: impl fmt::Display) {
        self.line("WARN", topic, &text);
    }

    /// A thing that is not as it should be, and what to do.
    pub fn wrong(&mut self, topic: &str, text: impl fmt::Display) {
        self.wrongs += 1;
        self.line("WRONG", topic, &text);
    }

    /// What all lines come to: how many there are, and how many things are not as they should be.
    pub const fn totals(&self) -> (usize, usize) {
        (self.lines, self.wrongs)
    }

    fn line(&mut self, verdict: &str, topic: &str, text: &dyn fmt::Display) {
        self.lines += 1;
        println!("{verdict:<5}  {topic:<12}  {text}");
    }
}
