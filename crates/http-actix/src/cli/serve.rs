//! `aponta serve`.

use std::sync::Arc;
use std::time::Duration;

use crate::settings::{ConfigError, Environment, Settings};
use adapters_azure::{AzureConfig, AzureDevOps, OrgUrl};
use adapters_postgres::{Config, PostgresDatabase};
use adapters_redis::SharedMemory;
use domain::{Credential, SharedIdentities, SharedRates};
use http_api::{AppState, MetricsServer, ServiceInfo, Stop, TrustedProxies};
use prometheus_client::registry::Registry;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::bind;
use crate::error::CliError;
use crate::error_tracking::{self, ErrorTracker, ErrorTracking};
use crate::jobs::{JobMetrics, JobRunner, WriteBackMetrics};
use crate::shutdown::ShutdownSignal;
use crate::telemetry::{Format, TelemetryConfig};
use crate::wiring::{self, SystemClock, Wiring, azure, database, shared_memory};

/// The time in which the database has to become reachable at start.
const CONNECT_DEADLINE: Duration = Duration::from_mins(1);

/// The time that a background job may take to end after SIGTERM: less than a call to Azure DevOps takes at most (8 s).
const JOB_GRACE: Duration = Duration::from_secs(5);

/// The pause between two attempts to connect.
const RECONNECT_INTERVAL: Duration = Duration::from_secs(1);

/// Migrates the schema and serves until a signal.
///
/// # Errors
/// If a setting is wrong or unsafe, the database or the port cannot be used, or the schema is newer than this binary.
pub async fn run() -> Result<(), CliError> {
    let (settings, config) = super::settings(ServeConfig::from_settings)?;
    let ServeConfig { telemetry, database, azure, shared_memory } = config;
    let shutdown = ShutdownSignal::new().map_err(CliError::new)?;
    let telemetry = telemetry.start()?;
    let tracking = start_error_tracking(&settings)?;
    let tracker = tracking.as_ref().map(ErrorTracking::tracker).cloned();
    let ended = serve(settings, database, &azure, shared_memory.as_ref(), shutdown, tracker).await;
    if let Some(tracking) = tracking {
        tracking.stop().await;
    }
    telemetry.stop().await;
    ended
}

async fn serve(
    settings: Settings,
    config: Config,
    azure: &AzureConfig,
    shared_memory: Option<&adapters_redis::Config>,
    mut shutdown: ShutdownSignal,
    tracker: Option<ErrorTracker>,
) -> Result<(), CliError> {
    let environment = settings.environment.name();
    let warnings = settings.warnings();
    let database = tokio::select! {
        biased;
        _ = shutdown.recv() => {
            tracing::info!("stopped before listening");
            return Ok(());
        }
        database = migrated(config) => database?,
    };
    let clock = Arc::new(SystemClock);
    let shared_memory = start_shared_memory(shared_memory, &clock).await;
    let organizacao = azure.org_url.as_ref().map(OrgUrl::name);
    // The client needs root certificates, which a service without Azure DevOps does not.
    let azure = if settings.auth_enabled || azure.org_url.is_some() {
        let identities = shared_memory.clone().map(|memory| memory as Arc<dyn SharedIdentities>);
        Some(Arc::new(AzureDevOps::new(azure, clock.clone(), identities).map_err(|error| CliError::of(&error))?))
    } else {
        None
    };
    let credential = settings.azure.pat.map(|pat| Credential::Basic { pat });
    let (auth_enabled, write_back) = (settings.auth_enabled, settings.write_back);
    let wiring = Wiring { azure, organizacao, auth_enabled, credential, write_back, clock };
    let mut jobs = vec![wiring::jobs::expire_idempotency_keys(&database)];
    if let (Some(interval), Some(credential)) = (settings.sync_interval, wiring.credential.clone()) {
        jobs.push(wiring::jobs::synchronize_projects(&wiring, &database, interval, credential));
    }
    let write_back = wiring.write_back_queue(&database).zip(wiring.work_item_writer());
    let write_back = write_back.map(|(queue, writer)| {
        jobs.push(wiring::jobs::write_back(queue.clone(), writer, tracker.clone()));
        (queue, WriteBackMetrics::default())
    });
    let job_metrics = JobMetrics::default();
    let proxies = TrustedProxies::new(settings.trusted_proxies);
    let info = ServiceInfo::new(environment);
    let state = AppState::new(wiring.ports(&database), info, settings.cors_origins).with_trusted_proxies(proxies);
    let state = state.with_root_path(settings.root_path);
    let state = match tracker.clone() {
        Some(tracker) => state.with_server_errors(Arc::new(move |error| tracker.server_error(error))),
        None => state,
    };
    let state = if settings.auth_enabled { state } else { state.loopback_only() };
    let state = match settings.rate_per_person.filter(|_| settings.auth_enabled) {
        Some(limit) => {
            state.with_rate_per_person(limit, shared_memory.clone().map(|memory| memory as Arc<dyn SharedRates>))
        }
        None => state,
    };
    let metrics = match settings.metrics {
        Some(address) => {
            let mut registry = Registry::default();
            state.metrics().register(&mut registry);
            database.register(&mut registry);
            job_metrics.register(&mut registry);
            if let Some(tracker) = &tracker {
                tracker.metrics().register(&mut registry);
            }
            if let Some((_, metrics)) = &write_back {
                metrics.register(&mut registry);
            }
            if let Some(azure) = &wiring.azure {
                azure.register(&mut registry);
            }
            if let Some(memory) = &shared_memory {
                memory.register(&mut registry);
            }
            Some(MetricsServer::start(registry, address).map_err(|error| super::cannot_bind(address, &error))?)
        }
        None => None,
    };
    let server = bind(move || state.clone(), super::worker_count(), settings.listen)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    if let Some(metrics) = &metrics {
        tracing::info!("metrics at http://{}/metrics", metrics.address());
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), environment, "listening on http://{}", server.address());
    let jobs = JobRunner::start(jobs, &wiring::jobs::leases(&database), &job_metrics);
    let stop_jobs = jobs.stop_handle();
    let mut watches = JoinSet::new();
    if let Some((queue, metrics)) = write_back.filter(|_| metrics.is_some()) {
        watches.spawn(metrics.watch(queue, wiring.clock.clone()));
    }
    let stopped = async move {
        let how = shutdown.recv().await;
        stop_jobs(if how == Stop::Graceful { JOB_GRACE } else { Duration::ZERO });
        how
    };
    let ended = server.run(stopped).await.map_err(CliError::new);
    jobs.join().await;
    watches.shutdown().await;
    database.close().await;
    if let Some(metrics) = metrics {
        metrics.stop().await;
    }
    tracing::info!("stopped");
    ended
}

/// Connects to the shared memory, if there is one.
async fn start_shared_memory(
    config: Option<&adapters_redis::Config>,
    clock: &Arc<SystemClock>,
) -> Option<Arc<SharedMemory>> {
    Some(Arc::new(SharedMemory::start(config?, clock.clone()).await))
}

/// Starts the sending of events, if a server for them is set.
fn start_error_tracking(settings: &Settings) -> Result<Option<ErrorTracking>, CliError> {
    let Some(dsn) = &settings.sentry_dsn else { return Ok(None) };
    let dsn = error_tracking::parse_dsn(dsn).map_err(|problem| CliError::new(format_args!("SENTRY_DSN {problem}")))?;
    let tracking = ErrorTracking::start(dsn, settings.environment.name())?;
    tracking.watch_panics();
    Ok(Some(tracking))
}

/// Connects to the database and migrates it.
async fn migrated(config: Config) -> Result<PostgresDatabase, CliError> {
    let database = connect(config).await?;
    let applied = database.migrate_up(None).await.map_err(CliError::new)?;
    tracing::info!(?applied, "schema is up to date");
    if database.is_behind_pooler() {
        tracing::warn!(
            "a pooler shares the connections to the database: each statement runs in a transaction of its own"
        );
    }
    Ok(database.with_read_replicas())
}

/// Connects; retries while the server is still starting.
async fn connect(config: Config) -> Result<PostgresDatabase, CliError> {
    let deadline = Instant::now() + CONNECT_DEADLINE;
    loop {
        match PostgresDatabase::connect(config.clone()).await {
            Err(error) if error.is_temporary() && Instant::now() < deadline => {
                tracing::warn!("{error}; retrying");
                tokio::time::sleep(RECONNECT_INTERVAL).await;
            }
            done => return done.map_err(CliError::new),
        }
    }
}

/// The configuration of telemetry and adapters, made from the settings.
struct ServeConfig {
    telemetry: TelemetryConfig,
    database: Config,
    azure: AzureConfig,
    shared_memory: Option<adapters_redis::Config>,
}

impl ServeConfig {
    fn from_settings(settings: &Settings) -> Result<Self, Vec<ConfigError>> {
        let format = match settings.environment {
            Environment::Development => Format::Text,
            Environment::Production => Format::Json,
        };
        let telemetry = TelemetryConfig::from_settings(settings, format);
        let shared_memory = shared_memory::config(settings);
        match (telemetry, database::config(settings), azure::config(settings), shared_memory) {
            (Ok(telemetry), Ok(database), Ok(azure), Ok(shared_memory)) => {
                Ok(Self { telemetry, database, azure, shared_memory })
            }
            (telemetry, database, azure, shared_memory) => {
                let errors = [telemetry.err(), database.err(), azure.err(), shared_memory.err()];
                Err(errors.into_iter().flatten().flatten().collect())
            }
        }
    }
}
