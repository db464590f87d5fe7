//! `aponta healthcheck`: for the container's HEALTHCHECK, whose image has no curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::header::HOST;

use super::output::print_line;
use crate::error::CliError;

/// The time in which the service has to respond; Docker's default for the whole check is 30 s.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Requests `/health` of the service on this machine.
///
/// # Errors
/// If the service does not respond, or is not ready.
pub async fn run() -> Result<(), CliError> {
    let (settings, ()) = super::settings(|_| Ok(()))?;
    let address = local_address(settings.listen);
    let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build().map_err(CliError::new)?;
    // With AUTH_ENABLED=false the service accepts only loopback names as Host, on every address that it listens on.
    let response = client.get(format!("http://{address}/health")).header(HOST, "localhost").send().await;
    let response = response.map_err(|_| CliError::new(format_args!("no response from http://{address}/health")))?;
    let status = response.status();
    if status.is_success() {
        print_line("healthy")
    } else {
        Err(CliError::new(format_args!("http://{address}/health returned {status}")))
    }
}

/// The address by which this machine reaches a service that listens on `address`: loopback for the unspecified one.
fn local_address(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}
