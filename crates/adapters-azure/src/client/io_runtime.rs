//! A dedicated runtime for the connections to Azure DevOps.
//!
//! A pooled connection is driven by the runtime that opened it. The HTTP server's workers are separate runtimes that end
//! one by one during shutdown, so a worker's connection would break the requests that other workers still send over it.

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::error::AzureError;

pub(crate) struct IoRuntime(Option<Runtime>);

impl IoRuntime {
    pub(crate) fn new() -> Result<Self, domain::Error> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("azure").enable_all().build();
        runtime.map(|runtime| Self(Some(runtime))).map_err(domain::Error::internal)
    }

    /// Runs `exchange` on the runtime and returns its output. Dropping the returned future aborts the exchange.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        exchange: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, AzureError> {
        let aborted = || AzureError::invalid_response("the exchange was aborted");
        let runtime = self.0.as_ref().ok_or_else(aborted)?;
        let mut exchanges = JoinSet::new();
        exchanges.spawn_on(exchange.in_current_span(), runtime.handle());
        exchanges.join_next().await.and_then(Result::ok).ok_or_else(aborted)
    }
}

impl Drop for IoRuntime {
    fn drop(&mut self) {
        // A plain drop blocks, which panics in an asynchronous context.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
