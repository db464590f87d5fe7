//! What the binary can be told to do. A failure is one line for the person at the terminal, and exit code 1.

mod azure;
pub mod config;
mod database;
#[cfg(feature = "embedded")]
pub mod dev;
pub mod doctor;
pub mod healthcheck;
pub mod migrate;
pub mod openapi;
pub mod serve;
mod stop_signal;

use std::error::Error as _;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::Path;

use http_actix::settings::{SettingFault, Settings, Sources};
use http_actix::{AppState, Server};

/// Why a command could not do its work, in one line.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// A failure that `reason` tells.
    pub fn new(reason: impl fmt::Display) -> Self {
        Self(reason.to_string())
    }

    /// A failure of the domain or an adapter, with all that lies behind it.
    pub fn of(error: &domain::Error) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        Self(text)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The settings of this directory and environment, and what `demand` makes of them; or all faults in one message.
fn settings<T>(demand: impl FnOnce(&Settings) -> Result<T, Vec<SettingFault>>) -> Result<(Settings, T), Failure> {
    Settings::parse(&Sources::load(Path::new(".")), demand).map_err(Failure::new)
}

/// Takes the port, or says what is in the way.
fn bind(
    state: impl Fn() -> AppState + Send + Clone + 'static,
    workers: usize,
    address: SocketAddr,
) -> Result<Server, Failure> {
    Server::bind(state, workers, address).map_err(|error| cannot_bind(address, &error))
}

/// How many threads the machine runs at once.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Why a port could not be had.
fn cannot_bind(address: SocketAddr, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::AddrInUse => Failure::new(format_args!(
            "port {} of {} is taken by another program; choose another one (0 lets the system choose)",
            address.port(),
            address.ip()
        )),
        _ => Failure::new(format_args!("cannot listen on {address}: {error}")),
    }
}
