//! The endpoint for Prometheus, on a port of its own, so that clients of the API cannot reach it.

use std::io;
use std::net::SocketAddr;

use actix_web::dev::ServerHandle;
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// OpenMetrics (<https://prometheus.io/docs/specs/om/open_metrics_spec/>), which Prometheus reads since 2.5.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The server of `/metrics`.
pub struct MetricsServer {
    handle: ServerHandle,
    address: SocketAddr,
}

impl MetricsServer {
    /// Listens on `address` and serves the metrics of `registry`. With port 0 the system selects a port.
    ///
    /// # Errors
    /// If the address is in use or not one of this machine.
    pub fn start(registry: Registry, address: SocketAddr) -> io::Result<Self> {
        let registry = Data::new(registry);
        let server =
            HttpServer::new(move || App::new().app_data(registry.clone()).route("/metrics", web::get().to(metrics)))
                .workers(1)
                .disable_signals()
                .bind(address)?;
        let address = server.addrs().first().copied().unwrap_or(address);
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Ok(Self { handle, address })
    }

    /// The address it listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the server.
    pub async fn stop(self) {
        self.handle.stop(false).await;
    }
}

async fn metrics(registry: Data<Registry>) -> HttpResponse {
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => HttpResponse::Ok().content_type(CONTENT_TYPE).body(text),
        Err(error) => {
            tracing::error!(%error, "cannot encode the metrics");
            HttpResponse::InternalServerError().finish()
        }
    }
}
