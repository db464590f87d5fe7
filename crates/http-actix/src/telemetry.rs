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

/// The crates of this service, whose details `debug` shows.
const OURS: &str = "adapters_azure=debug,adapters_postgres=debug,aponta=debug,http_actix=debug,sqlx::query=debug";

/// Reads a filter: a level, or `target=level` pairs separated by commas; with `debug` our own crates say more.
///
/// # Errors
/// When it is no filter.
pub fn filter(text: &str, debug: bool) -> Result<EnvFilter, ParseError> {
    let ours = if debug { OURS } else { "" };
    // sqlx passes on every notice of the server as information; a migration alone has a handful.
    EnvFilter::builder().parse(format!("sqlx::postgres::notice=warn,{ours},{text}"))
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
