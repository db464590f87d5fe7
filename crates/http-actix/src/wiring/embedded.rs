//! The ports of `aponta dev`: an embedded database, no authentication, no organisation.

use std::sync::Arc;

use adapters_sqlite::{
    SqliteApontamentoRepository, SqliteAtividadeRepository, SqliteDatabase, SqliteProjetoRepository, SqliteReadiness,
    SqliteWriteBackQueue,
};
use domain::WorkItemDirectory;
use http_api::{DevelopmentIdentity, NoOrganisation, Ports};

use super::SystemClock;

/// The name of the organisation of the samples. Without a configured one, any name is taken.
pub const SAMPLE_ORGANISATION: &str = "exemplo";

/// Connects every port of the domain with the adapter over `database`, and the port to work items with `work_items`.
pub fn ports(database: &SqliteDatabase, work_items: Arc<dyn WorkItemDirectory>) -> Ports {
    Ports {
        apontamentos: Arc::new(SqliteApontamentoRepository::new(database).with_write_back()),
        atividades: Arc::new(SqliteAtividadeRepository::new(database)),
        projetos: Arc::new(SqliteProjetoRepository::new(database)),
        readiness: Arc::new(SqliteReadiness::new(database)),
        identity: Arc::new(DevelopmentIdentity),
        directory: Arc::new(NoOrganisation),
        work_items,
        write_back: Some(Arc::new(SqliteWriteBackQueue::new(database, SAMPLE_ORGANISATION))),
        organizacao: None,
        service_credential: None,
        clock: Arc::new(SystemClock),
    }
}
