//! Where log lines go: standard error, so that what a command prints can be piped.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people: one short line each.
    Text,
    /// For machines: one JSON object each.
    Json,
}

/// Reads a filter: a level, or `target=level` pairs separated by commas.
///
/// # Errors
/// When it is no filter.
pub fn filter(text: &str) -> Result<EnvFilter, ParseError> {
    // sqlx passes on every notice of the server as information; a migration alone has a handful.
    EnvFilter::builder().parse(format!("sqlx::postgres::notice=warn,{text}"))
}

/// Starts logging what `filter` lets through.
pub fn start(filter: EnvFilter, format: Format) {
    let is_terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(is_terminal);
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        Format::Text => registry.with(lines.compact()).init(),
        Format::Json => registry.with(lines.json().flatten_event(true)).init(),
    }
}
