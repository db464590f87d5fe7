//! Where the connections to Azure live: on a thread of their own.
//!
//! A connection belongs to the runtime that made it, and a worker of the server is a runtime that ends when the process
//! is told to stop, before others that still work on a request over a connection from the common pool.

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::error::Failure;

/// See the module.
pub(crate) struct Lines(Option<Runtime>);

impl Lines {
    pub(crate) fn new() -> Result<Self, domain::Error> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("azure").enable_all().build();
        runtime.map(|runtime| Self(Some(runtime))).map_err(domain::Error::internal)
    }

    /// Runs `exchange` there and answers what it answers. It ends when nobody waits for it any more.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        exchange: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Failure> {
        let broken = || Failure::senseless("the exchange broke off");
        let runtime = self.0.as_ref().ok_or_else(broken)?;
        let mut exchanges = JoinSet::new();
        exchanges.spawn_on(exchange.in_current_span(), runtime.handle());
        exchanges.join_next().await.and_then(Result::ok).ok_or_else(broken)
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // Waiting for it is forbidden in an asynchronous context, and nobody needs its work any more.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
