//! `aponta serve`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use adapters_azure::{AzureConfig, AzureDevOps};
use adapters_postgres::{
    Config, PostgresAtividadeRepository, PostgresDatabase, PostgresProjetoRepository, PostgresReadiness,
};
use domain::{Credential, IdentityProvider, ProjectDirectory};
use http_actix::settings::{Environment, SettingFault, Settings};
use http_actix::{
    AppState, DevelopmentIdentity, MetricsServer, NoOrganisation, Ports, ServiceInfo, SystemClock, TrustedProxies,
};
use prometheus_client::registry::Registry;

use super::stop_signal::StopSignal;
use super::{Failure, azure, bind, database};
use crate::telemetry::{Format, Wanted};

/// Migrates the schema and serves until the process is told to stop.
///
/// # Errors
/// When a setting is wrong or unsafe, the database or the port cannot be used, or the schema is newer than this binary.
pub async fn run() -> Result<(), Failure> {
    let (settings, needs) = super::settings(Needs::of)?;
    let Needs { telemetry, database, azure } = needs;
    let stop = StopSignal::new().map_err(Failure::new)?;
    let telemetry = telemetry.start()?;
    let ended = serve(settings, database, &azure, stop).await;
    telemetry.stop().await;
    ended
}

async fn serve(settings: Settings, config: Config, azure: &AzureConfig, mut stop: StopSignal) -> Result<(), Failure> {
    let environment = match settings.environment {
        Environment::Development => "development",
        Environment::Production => "production",
    };
    let warnings = settings.warnings();
    let shares = tokio::select! {
        biased;
        () = stop.told() => {
            tracing::info!("stopped before it listened");
            return Ok(());
        }
        shares = shares(config.clone()) => shares?,
    };
    // From here to the server, which listens for the signals itself, nothing waits, so none is lost.
    let cutting = actix_web::rt::spawn(PostgresDatabase::keep_cutting_ranges(config));
    let clock = Arc::new(SystemClock);
    // Where nobody is asked there is no need for certificates of authorities either.
    let azure = if settings.auth_enabled || azure.org_url.is_some() {
        Some(Arc::new(AzureDevOps::new(azure, clock.clone()).map_err(|error| Failure::of(&error))?))
    } else {
        None
    };
    let credential = settings.azure.pat.map(|pat| Credential::Basic { pat });
    let Some(first) = shares.first() else { return Err(Failure::new("there are no connections to share")) };
    let wiring = Wiring { azure, auth_enabled: settings.auth_enabled, credential, clock };
    let proxies = TrustedProxies::new(settings.trusted_proxies);
    let info = ServiceInfo::new(environment);
    let state = AppState::new(wiring.ports(first), info, settings.cors_origins).behind(proxies);
    let state = if settings.auth_enabled { state } else { state.loopback_only() };
    let metrics = match settings.metrics {
        Some(address) => {
            let mut registry = Registry::default();
            state.metrics().register(&mut registry);
            PostgresDatabase::register(&shares, &mut registry);
            if let Some(azure) = &wiring.azure {
                azure.register(&mut registry);
            }
            Some(MetricsServer::start(registry, address).map_err(|error| super::cannot_bind(address, &error))?)
        }
        None => None,
    };
    let workers = shares.len();
    let worker = Arc::new(AtomicUsize::new(0));
    let of_workers = shares.clone();
    let state = move || {
        // A worker that fell is replaced by another one, which takes a share that is there already.
        let share = of_workers.iter().cycle().nth(worker.fetch_add(1, Ordering::Relaxed));
        share.map_or_else(|| state.clone(), |share| state.over(wiring.ports(share)))
    };
    let server = bind(state, workers, settings.listen)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    if let Some(metrics) = &metrics {
        tracing::info!("metrics at http://{}/metrics", metrics.address());
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), environment, "listening on http://{}", server.address());
    let ended = server.run().await.map_err(Failure::new);
    cutting.abort();
    for share in shares {
        share.close().await;
    }
    if let Some(metrics) = metrics {
        metrics.stop().await;
    }
    tracing::info!("stopped");
    ended
}

/// The database, as soon as it is there and has the schema of this binary, as a share for each worker.
async fn shares(config: Config) -> Result<Vec<PostgresDatabase>, Failure> {
    let database = database::connect(config).await?;
    let applied = database.migrate_up(None).await.map_err(Failure::new)?;
    tracing::info!(?applied, "schema is up to date");
    let shares = database.divide(u32::try_from(super::threads()).unwrap_or(u32::MAX));
    database.close().await;
    Ok(shares)
}

/// What serving takes beyond the settings themselves.
struct Needs {
    telemetry: Wanted,
    database: Config,
    azure: AzureConfig,
}

impl Needs {
    fn of(settings: &Settings) -> Result<Self, Vec<SettingFault>> {
        let format = match settings.environment {
            Environment::Development => Format::Text,
            Environment::Production => Format::Json,
        };
        match (Wanted::of(settings, format), database::config(settings), azure::config(settings)) {
            (Ok(telemetry), Ok(database), Ok(azure)) => Ok(Self { telemetry, database, azure }),
            (telemetry, database, azure) => {
                let faults = [telemetry.err(), database.err(), azure.err()];
                Err(faults.into_iter().flatten().flatten().collect())
            }
        }
    }
}

/// What the ports of every worker have in common.
#[derive(Clone)]
struct Wiring {
    azure: Option<Arc<AzureDevOps>>,
    auth_enabled: bool,
    credential: Option<Credential>,
    clock: Arc<SystemClock>,
}

impl Wiring {
    /// Ports on a share of the database.
    fn ports(&self, database: &PostgresDatabase) -> Ports {
        let (identity, directory): (Arc<dyn IdentityProvider>, Arc<dyn ProjectDirectory>) = match &self.azure {
            None => (Arc::new(DevelopmentIdentity), Arc::new(NoOrganisation)),
            Some(azure) if self.auth_enabled => (azure.clone(), azure.clone()),
            Some(azure) => (Arc::new(DevelopmentIdentity), azure.clone()),
        };
        Ports {
            atividades: Arc::new(PostgresAtividadeRepository::new(database)),
            projetos: Arc::new(PostgresProjetoRepository::new(database)),
            readiness: Arc::new(PostgresReadiness::new(database)),
            identity,
            directory,
            service_credential: self.credential.clone(),
            clock: self.clock.clone(),
        }
    }
}
