//! The commands of the binary, one file each.

pub mod config;
#[cfg(feature = "embedded")]
pub mod dev;
pub mod doctor;
pub mod healthcheck;
pub mod import;
pub mod migrate;
mod new_file;
pub mod openapi;
mod output;
pub mod privacidade;
pub mod serve;

use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::Path;

use crate::settings::{ConfigError, Settings, Sources};
use http_api::{AppState, Server};

use crate::error::CliError;

/// Reads the settings of this directory and environment, and applies `validate` to them. The error names every wrong
/// setting.
fn settings<T>(validate: impl FnOnce(&Settings) -> Result<T, Vec<ConfigError>>) -> Result<(Settings, T), CliError> {
    Settings::parse(&Sources::load(Path::new(".")), validate).map_err(CliError::new)
}

/// Binds the port.
///
/// # Errors
/// If the port is in use or cannot be bound.
fn bind(
    state: impl Fn() -> AppState + Send + Clone + 'static,
    workers: usize,
    address: SocketAddr,
) -> Result<Server, CliError> {
    Server::bind(state, workers, address).map_err(|error| cannot_bind(address, &error))
}

/// The number of worker threads: one per CPU.
fn worker_count() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

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
