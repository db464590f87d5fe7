//! The composition root: connects the ports of the domain with the adapters that the settings choose.

pub mod azure;
mod clock;
pub mod database;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod jobs;

use std::sync::Arc;

use adapters_azure::AzureDevOps;
use adapters_postgres::{
    PostgresApontamentoRepository, PostgresAtividadeRepository, PostgresDatabase, PostgresProjetoRepository,
    PostgresReadiness,
};
use domain::{Credential, IdentityProvider, ProjectDirectory, WorkItemDirectory};
use http_api::{DevelopmentIdentity, NoOrganisation, Ports};

pub use clock::SystemClock;

/// The adapters of `aponta serve` besides the database.
pub struct Wiring {
    /// Azure DevOps, unless authentication is off and no organisation is configured.
    pub azure: Option<Arc<AzureDevOps>>,
    /// The name of the organisation, if one is configured.
    pub organizacao: Option<String>,
    /// Whether requests need a credential.
    pub auth_enabled: bool,
    /// The service's own PAT.
    pub credential: Option<Credential>,
    /// The clock of the process.
    pub clock: Arc<SystemClock>,
}

impl Wiring {
    /// Connects every port of the domain with its adapter.
    pub fn ports(&self, database: &PostgresDatabase) -> Ports {
        let (identity, directory): (Arc<dyn IdentityProvider>, Arc<dyn ProjectDirectory>) = match &self.azure {
            None => (Arc::new(DevelopmentIdentity), Arc::new(NoOrganisation)),
            Some(azure) if self.auth_enabled => (azure.clone(), azure.clone()),
            Some(azure) => (Arc::new(DevelopmentIdentity), azure.clone()),
        };
        let work_items: Arc<dyn WorkItemDirectory> = match &self.azure {
            None => Arc::new(NoOrganisation),
            Some(azure) => azure.clone(),
        };
        Ports {
            apontamentos: Arc::new(PostgresApontamentoRepository::new(database)),
            atividades: Arc::new(PostgresAtividadeRepository::new(database)),
            projetos: Arc::new(PostgresProjetoRepository::new(database)),
            readiness: Arc::new(PostgresReadiness::new(database)),
            identity,
            directory,
            work_items,
            organizacao: self.organizacao.clone(),
            service_credential: self.credential.clone(),
            clock: self.clock.clone(),
        }
    }
}
