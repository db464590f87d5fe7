//! The ports of `aponta dev`: an embedded database, no authentication, no organisation.

use std::sync::Arc;

use adapters_sqlite::{
    SqliteApontamentoRepository, SqliteAtividadeRepository, SqliteDatabase, SqliteProjetoRepository, SqliteReadiness,
};
use domain::WorkItemDirectory;
use http_api::{DevelopmentIdentity, NoOrganisation, Ports};

use super::SystemClock;

/// Connects every port of the domain with the adapter over `database`, and the port to work items with `work_items`.
pub fn ports(database: &SqliteDatabase, work_items: Arc<dyn WorkItemDirectory>) -> Ports {
    Ports {
        apontamentos: Arc::new(SqliteApontamentoRepository::new(database)),
        atividades: Arc::new(SqliteAtividadeRepository::new(database)),
        projetos: Arc::new(SqliteProjetoRepository::new(database)),
        readiness: Arc::new(SqliteReadiness::new(database)),
        identity: Arc::new(DevelopmentIdentity),
        directory: Arc::new(NoOrganisation),
        work_items,
        write_back: None,
        organizacao: None,
        service_credential: None,
        clock: Arc::new(SystemClock),
    }
}
