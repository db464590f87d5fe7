//! Where Prometheus asks: a port of its own, so that nobody reaches it by way of the API.

use std::io;
use std::net::SocketAddr;

use actix_web::dev::ServerHandle;
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// OpenMetrics (<https://prometheus.io/docs/specs/om/open_metrics_spec/>), which Prometheus reads since 2.5.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The server of `/metrics`, which runs until it is told to stop.
pub struct MetricsServer {
    handle: ServerHandle,
    address: SocketAddr,
}

impl MetricsServer {
    /// Takes `address` and answers with what `registry` has; with port 0 the system picks one.
    ///
    /// # Errors
    /// When the address is taken or is not this machine's.
    pub fn start(registry: Registry, address: SocketAddr) -> io::Result<Self> {
        let registry = Data::new(registry);
        let server =
            HttpServer::new(move || App::new().app_data(registry.clone()).route("/metrics", web::get().to(show)))
                .workers(1)
                .disable_signals()
                .bind(address)?;
        let address = server.addrs().first().copied().unwrap_or(address);
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Ok(Self { handle, address })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it.
    pub async fn stop(self) {
        self.handle.stop(false).await;
    }
}

async fn show(registry: Data<Registry>) -> HttpResponse {
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => HttpResponse::Ok().content_type(CONTENT_TYPE).body(text),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written down");
            HttpResponse::InternalServerError().finish()
        }
    }
}
