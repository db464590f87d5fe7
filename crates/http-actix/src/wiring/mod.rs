//! The composition root: connects the ports of the domain with the adapters that the settings choose.

pub mod azure;
mod clock;
pub mod database;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod jobs;
pub mod shared_memory;

use std::sync::Arc;

use adapters_azure::{AzureDevOps, AzureWorkItemWriter};
use adapters_postgres::{
    PostgresApontamentoRepository, PostgresAtividadeRepository, PostgresDatabase, PostgresProjetoRepository,
    PostgresReadiness, PostgresWriteBackQueue,
};
use domain::{Credential, IdentityProvider, ProjectDirectory, WorkItemDirectory, WorkItemWriter, WriteBackQueue};
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
    /// Whether hours are written to Azure DevOps if the service can.
    pub write_back: bool,
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
        let apontamentos = PostgresApontamentoRepository::new(database);
        let write_back = self.write_back_queue(database);
        let apontamentos = if write_back.is_some() { apontamentos.with_write_back() } else { apontamentos };
        Ports {
            apontamentos: Arc::new(apontamentos),
            atividades: Arc::new(PostgresAtividadeRepository::new(database)),
            projetos: Arc::new(PostgresProjetoRepository::new(database)),
            readiness: Arc::new(PostgresReadiness::new(database)),
            identity,
            directory,
            work_items,
            write_back,
            organizacao: self.organizacao.clone(),
            service_credential: self.credential.clone(),
            clock: self.clock.clone(),
        }
    }

    /// Returns the work items whose hours are to be written to Azure DevOps. `None` if this deployment does not write them.
    pub fn write_back_queue(&self, database: &PostgresDatabase) -> Option<Arc<dyn WriteBackQueue>> {
        let organizacao = self.organizacao.as_ref().filter(|_| self.write_back && self.credential.is_some())?;
        Some(Arc::new(PostgresWriteBackQueue::new(database, organizacao)))
    }

    /// Returns the port that writes hours with the service's own PAT.
    pub fn work_item_writer(&self) -> Option<Arc<dyn WorkItemWriter>> {
        let (azure, credential) = (self.azure.as_ref()?, self.credential.clone()?);
        Some(Arc::new(AzureWorkItemWriter::new(AzureDevOps::clone(azure), credential)))
    }
}
