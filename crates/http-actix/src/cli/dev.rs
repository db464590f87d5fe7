//! `aponta dev`: the service and its database in one process, to try it out and to develop clients.

mod hours;
mod planning;
mod samples;
mod work_items;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::settings::{Settings, Sources};
use adapters_sqlite::{SqliteDatabase, SqliteSampleHours};
use clap::Args;
use etcetera::BaseStrategy;
use http_api::{AppState, ServiceInfo};
use tokio::task::JoinSet;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

use super::bind;
use super::output::print_line;
use crate::error::CliError;
use crate::shutdown::ShutdownSignal;
use crate::telemetry::{Format, TelemetryConfig};
use crate::wiring::embedded;

/// The options of `aponta dev`.
#[derive(Args)]
pub struct Options {
    /// The directory of the data [default: a directory `aponta` in the user's data directory]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The port to listen on; 0 lets the system choose [default: `API_PORT`, or 8000]
    #[arg(long)]
    port: Option<u16>,
}

/// Serves the embedded database on loopback until a signal.
///
/// # Errors
/// If the directory or the port cannot be used.
pub async fn run(options: Options) -> Result<(), CliError> {
    TelemetryConfig::logs_only(
        Targets::new().with_default(LevelFilter::WARN).with_target("http_api", LevelFilter::INFO),
        Format::Text,
    )
    .start()?;
    let port = match options.port {
        Some(port) => port,
        None => port()?,
    };
    let directory = match options.data {
        Some(directory) => directory,
        None => etcetera::choose_base_strategy()
            .map_err(|_| CliError::new("there is no data directory for this user; name one with --data DIR"))?
            .data_dir()
            .join("aponta"),
    };
    let mut shutdown = ShutdownSignal::new().map_err(CliError::new)?;
    let database = SqliteDatabase::open(&directory).await.map_err(CliError::new)?;
    let work_items = work_items::SampleWorkItems::new(SqliteSampleHours::new(&database));
    let work_items = Arc::new(work_items.map_err(|error| CliError::of(&error))?);
    let ports = embedded::ports(&database, work_items.clone());
    let state = AppState::new(ports, ServiceInfo::new("development"), Vec::new()).loopback_only();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let shared = state.clone();
    let server = bind(move || shared.clone(), super::worker_count(), address)?;
    if database.needs_samples().await.map_err(|error| CliError::of(&error))? {
        samples::add(state.projetos(), state.atividades(), state.apontamentos())
            .await
            .map_err(|error| CliError::of(&error))?;
        database.mark_samples_loaded().await.map_err(|error| CliError::of(&error))?;
    }
    // `dev | head` closes standard output; the service runs on.
    let _ = print_line(banner(server.address(), &directory));
    let mut jobs = JoinSet::new();
    jobs.spawn(hours::write_back(database.clone(), work_items));
    let ended = server.run(async move { shutdown.recv().await }).await.map_err(CliError::new);
    jobs.shutdown().await;
    database.close().await;
    ended
}

/// `API_PORT`. Other settings have no effect, but a wrong one is an error here as well.
fn port() -> Result<u16, CliError> {
    let overrides = [("ENVIRONMENT", "development"), ("AUTH_ENABLED", "false")];
    let sources = Sources::load(Path::new(".")).with_overrides(overrides);
    Ok(Settings::parse(&sources, |_| Ok(())).map_err(CliError::new)?.0.listen.port())
}

fn banner(address: SocketAddr, directory: &Path) -> String {
    format!(
        "API Aponta {version}, listening on http://{address} (development: no authentication, this machine only)

  API         http://{address}/api/v1
  Docs        http://{address}/docs
  Data        {data}
  Try         curl http://{address}/api/v1/atividades
  Stop        Ctrl+C; the data stays
  PostgreSQL  ENVIRONMENT=development AUTH_ENABLED=false DATABASE_URL=postgresql://user:password@host/database aponta serve
",
        version = env!("CARGO_PKG_VERSION"),
        data = directory.display(),
    )
}
