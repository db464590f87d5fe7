//! `aponta serve`.

use std::sync::Arc;

use adapters_azure::{AzureConfig, AzureDevOps};
use adapters_postgres::{
    Config, PostgresAtividadeRepository, PostgresDatabase, PostgresProjetoRepository, PostgresReadiness,
};
use domain::{Credential, IdentityProvider, ProjectDirectory};
use http_actix::settings::{Environment, SettingFault, Settings};
use http_actix::{AppState, DevelopmentIdentity, NoOrganisation, Ports, ServiceInfo, SystemClock};
use tracing_subscriber::EnvFilter;

use super::{Failure, azure, bind, database};
use crate::logging::{self, Format};

/// Migrates the schema and serves until the process is told to stop.
///
/// # Errors
/// When a setting is wrong or unsafe, the database or the port cannot be used, or the schema is newer than this binary.
pub async fn run() -> Result<(), Failure> {
    let (settings, needs) = super::settings(Needs::of)?;
    let Needs { filter, database, azure } = needs;
    let format = match settings.environment {
        Environment::Development => Format::Text,
        Environment::Production => Format::Json,
    };
    logging::start(filter, format);
    let database = database::connect(database).await?;
    let applied = database.migrate_up(None).await.map_err(Failure::new)?;
    tracing::info!(?applied, "schema is up to date");
    let environment = match settings.environment {
        Environment::Development => "development",
        Environment::Production => "production",
    };
    let ports = ports(&database, &settings, &azure)?;
    let state = AppState::new(ports, ServiceInfo::new(environment), settings.cors_origins).await;
    let server = bind(state, settings.listen)?;
    if !settings.auth_enabled {
        tracing::warn!("AUTH_ENABLED=false: every request is the development user's");
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), environment, "listening on http://{}", server.address());
    let ended = server.run().await.map_err(Failure::new);
    database.close().await;
    tracing::info!("stopped");
    ended
}

/// What serving takes beyond the settings themselves.
struct Needs {
    filter: EnvFilter,
    database: Config,
    azure: AzureConfig,
}

impl Needs {
    fn of(settings: &Settings) -> Result<Self, Vec<SettingFault>> {
        let filter = logging::filter(&settings.log, settings.debug).map_err(|reason| {
            vec![SettingFault::value("LOG", &settings.log, format!("is not a filter for log lines: {reason}"))]
        });
        match (filter, database::config(settings), azure::config(settings)) {
            (Ok(filter), Ok(database), Ok(azure)) => Ok(Self { filter, database, azure }),
            (filter, database, azure) => {
                let faults = [filter.err(), database.err(), azure.err()];
                Err(faults.into_iter().flatten().flatten().collect())
            }
        }
    }
}

fn ports(database: &PostgresDatabase, settings: &Settings, azure: &AzureConfig) -> Result<Ports, Failure> {
    let clock = Arc::new(SystemClock);
    let (identity, directory): (Arc<dyn IdentityProvider>, Arc<dyn ProjectDirectory>) =
        match (settings.auth_enabled, &azure.org_url) {
            // Nobody to ask, so there is no need for certificates of authorities either.
            (false, None) => (Arc::new(DevelopmentIdentity), Arc::new(NoOrganisation)),
            (auth_enabled, _) => {
                let azure = Arc::new(AzureDevOps::new(azure, clock.clone()).map_err(|error| Failure::of(&error))?);
                let identity: Arc<dyn IdentityProvider> =
                    if auth_enabled { azure.clone() } else { Arc::new(DevelopmentIdentity) };
                (identity, azure)
            }
        };
    Ok(Ports {
        atividades: Arc::new(PostgresAtividadeRepository::new(database)),
        projetos: Arc::new(PostgresProjetoRepository::new(database)),
        readiness: Arc::new(PostgresReadiness::new(database)),
        identity,
        directory,
        service_credential: settings.azure.pat.clone().map(|pat| Credential::Basic { pat }),
        clock,
    })
}
