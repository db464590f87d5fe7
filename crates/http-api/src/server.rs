//! The listening socket and the workers behind it.

use std::io;
use std::net::SocketAddr;

use actix_web::HttpServer;

use crate::app::app;
use crate::state::AppState;

/// The maximum time that a graceful stop waits for requests in flight, in seconds. Orchestrators kill after 30 s.
const SHUTDOWN_TIMEOUT: u64 = 25;

/// The number of threads per worker that compress bodies. Each has its own memory arena.
const ENCODER_THREADS: usize = 2;

/// How a server stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Requests in flight are completed.
    Graceful,
    /// Requests in flight are aborted.
    Immediate,
}

/// A server that is bound to its address.
pub struct Server {
    inner: actix_web::dev::Server,
    address: SocketAddr,
}

impl Server {
    /// Binds to `address`; port 0 selects a free port. Each worker calls `state` in its own thread.
    ///
    /// # Errors
    /// If the address is in use or not local.
    pub fn bind(
        state: impl Fn() -> AppState + Send + Clone + 'static,
        workers: usize,
        address: SocketAddr,
    ) -> io::Result<Self> {
        let server = HttpServer::new(move || app(&state())).workers(workers);
        let server = server.worker_max_blocking_threads(ENCODER_THREADS);
        // The binary handles signals, because it installs its handlers before the server starts.
        let server = server.disable_signals().shutdown_timeout(SHUTDOWN_TIMEOUT).bind(address)?;
        let address = server.addrs().first().copied().unwrap_or(address);
        Ok(Self { inner: server.run(), address })
    }

    /// Returns the address on which it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` resolves.
    ///
    /// # Errors
    /// If the socket fails.
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
