//! The commands of the binary, one file each.

pub mod config;
#[cfg(feature = "embedded")]
pub mod dev;
pub mod doctor;
pub mod healthcheck;
pub mod migrate;
pub mod openapi;
pub mod serve;

use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::Path;

use crate::settings::{SettingFault, Settings, Sources};
use http_api::{AppState, Server};

use crate::error::CliError;

/// The settings of this directory and environment, and what `demand` makes of them; or all faults in one message.
fn settings<T>(demand: impl FnOnce(&Settings) -> Result<T, Vec<SettingFault>>) -> Result<(Settings, T), CliError> {
    Settings::parse(&Sources::load(Path::new(".")), demand).map_err(CliError::new)
}

/// Takes the port, or says what is in the way.
fn bind(
    state: impl Fn() -> AppState + Send + Clone + 'static,
    workers: usize,
    address: SocketAddr,
) -> Result<Server, CliError> {
    Server::bind(state, workers, address).map_err(|error| cannot_bind(address, &error))
}

/// How many threads the machine runs at once.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Why a port could not be had.
fn cannot_bind(address: SocketAddr, error: &io::Error) -> CliError {
    match error.kind() {
        io::ErrorKind::AddrInUse => CliError::new(format_args!(
            "port {} of {} is taken by another program; choose another one (0 lets the system choose)",
            address.port(),
            address.ip()
        )),
        _ => CliError::new(format_args!("cannot listen on {address}: {error}")),
    }
}
