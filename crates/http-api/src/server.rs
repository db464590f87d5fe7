//! The listening socket and the workers behind it.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpSocket;

use crate::connection;
use crate::state::AppState;

/// The maximum time that a graceful stop waits for requests in flight, in seconds. Orchestrators kill after 30 s.
const SHUTDOWN_TIMEOUT: u64 = 25;

/// The number of threads per worker that compress bodies. Each has its own memory arena.
const ENCODER_THREADS: usize = 2;

/// The number of connections that the kernel completes before a worker accepts them.
const BACKLOG: u32 = 1024;

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
    inner: actix_server::Server,
    address: SocketAddr,
}

impl Server {
    /// Binds to `address`; port 0 selects a free port. Each worker calls `state` in its own thread. Needs a runtime of
    /// tokio.
    ///
    /// # Errors
    /// If the address is in use or not local.
    pub fn bind(
        state: impl Fn() -> AppState + Send + Clone + 'static,
        workers: usize,
        address: SocketAddr,
    ) -> io::Result<Self> {
        let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?.into_std()?;
        let address = listener.local_addr()?;
        let server = actix_server::Server::build().workers(workers).worker_max_blocking_threads(ENCODER_THREADS);
        // The binary handles signals, because it installs its handlers before the server starts.
        let server = server.disable_signals().shutdown_timeout(SHUTDOWN_TIMEOUT);
        let shutdown = server.graceful_shutdown_signal();
        let service = move || connection::service(&state(), address, shutdown.clone());
        Ok(Self { inner: server.listen("http", listener, service)?.run(), address })
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
