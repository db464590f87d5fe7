//! `aponta healthcheck`: for the container's HEALTHCHECK, whose image has no curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::header::HOST;

use crate::error::CliError;

/// How long the service has to answer; Docker's default for the whole check is 30 s.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks the service on this machine whether it is ready.
///
/// # Errors
/// When it does not answer, or answers that it is not.
pub async fn run() -> Result<(), CliError> {
    let (settings, ()) = super::settings(|_| Ok(()))?;
    let address = reachable(settings.listen);
    let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build().map_err(CliError::new)?;
    // Where authentication is off, the service takes no other host than loopback, whatever address it listens on.
    let answer = client.get(format!("http://{address}/health")).header(HOST, "localhost").send().await;
    let answer = answer.map_err(|_| CliError::new(format_args!("no answer from http://{address}/health")))?;
    let status = answer.status();
    if status.is_success() {
        println!("healthy");
        Ok(())
    } else {
        Err(CliError::new(format_args!("http://{address}/health answered {status}")))
    }
}

/// Where a service that listens on `address` is found on this machine: one that listens everywhere, on loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}
