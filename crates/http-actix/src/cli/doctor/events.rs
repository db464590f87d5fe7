//! The server of the events of error tracking.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::report::Report;
use crate::error_tracking::parse_dsn;
use crate::settings::Settings;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Checks that the server of `SENTRY_DSN` accepts connections. The service runs without it, so a failure is a warning.
pub async fn check(settings: &Settings, report: &mut Report) {
    let Some(Ok(dsn)) = settings.sentry_dsn.as_ref().map(parse_dsn) else { return };
    let address = format!("{}:{}", dsn.host(), dsn.port());
    match timeout(CONNECT_TIMEOUT, TcpStream::connect(&address)).await {
        Ok(Ok(_)) => report.ok("events", format_args!("{address} accepts connections")),
        Ok(Err(error)) => report.warning("events", format_args!("SENTRY_DSN: {address} cannot be reached: {error}")),
        Err(_) => {
            report.warning("events", format_args!("SENTRY_DSN: {address} does not accept a connection within 5 s"));
        }
    }
}
