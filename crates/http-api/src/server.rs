//! The listening socket and the workers behind it.

use std::io;
use std::net::SocketAddr;

use actix_web::HttpServer;

use crate::app::{AppState, app};

/// How long a stop waits for the requests in flight, in seconds: less than the 30 s after which an orchestrator kills.
const SHUTDOWN_TIMEOUT: u64 = 25;

/// How many threads of a worker compress bodies. Each keeps memory of its own.
const ENCODER_THREADS: usize = 2;

/// How a server is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// What is in flight is finished.
    Graceful,
    /// What is in flight is cut.
    Immediate,
}

/// A server that has its port and can run.
pub struct Server {
    inner: actix_web::dev::Server,
    address: SocketAddr,
}

impl Server {
    /// Takes `address`; with port 0 the system picks one. Each of the `workers` has the state that `state` makes in its
    /// own thread.
    ///
    /// # Errors
    /// When the address is taken or is not this machine's.
    pub fn bind(
        state: impl Fn() -> AppState + Send + Clone + 'static,
        workers: usize,
        address: SocketAddr,
    ) -> io::Result<Self> {
        let server = HttpServer::new(move || app(&state())).workers(workers);
        let server = server.worker_max_blocking_threads(ENCODER_THREADS);
        // Its own handlers would hear only what comes after they were installed.
        let server = server.disable_signals().shutdown_timeout(SHUTDOWN_TIMEOUT).bind(address)?;
        let address = server.addrs().first().copied().unwrap_or(address);
        Ok(Self { inner: server.run(), address })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` says how to end.
    ///
    /// # Errors
    /// When the socket breaks.
    pub async fn run(self, stop: impl Future<Output = Stop> + 'static) -> io::Result<()> {
        let handle = self.inner.handle();
        let stopper = actix_web::rt::spawn(async move {
            let graceful = stop.await == Stop::Graceful;
            handle.stop(graceful).await;
        });
        let ended = self.inner.await;
        stopper.abort();
        ended
    }
}
