//! What API Aponta does, without how: entities, values that cannot be invalid, errors, ports and use cases.
//!
//! Nothing here knows HTTP, SQL or Azure DevOps' JSON. A use case is tested with mocked ports in milliseconds
//! (feature `mocks`, module `testing`).

mod atividade;
mod batch;
mod error;
mod idempotency;
mod listagem;
mod patch;
mod ports;
mod projeto;
mod texto;
mod use_cases;
mod usuario;
mod violation;

#[cfg(any(test, feature = "mocks"))]
pub mod testing;

pub use atividade::{Atividade, AtividadeId, AtividadePatch, AtividadeRecord, NomeAtividade, NovaAtividade};
pub use batch::{Batch, BatchBuilder, PAGE_BYTES, TextSize};
pub use error::{Cause, Conflict, Error, Resource, Service};
pub use idempotency::{Idempotency, IdempotencyKey};
pub use listagem::{AtividadeQuery, Busca, Campo, Chave, Cursor, Filtro, Limit, Ordem, Pagina, Skip};
pub use patch::Patch;
pub use ports::{AtividadeRepository, Clock, IdentityProvider, ProjectDirectory, ProjetoRepository, Readiness};
pub use projeto::{
    AzureProjectId, NomeProjeto, NovoProjeto, Projeto, ProjetoCursor, ProjetoId, ProjetoPatch, ProjetoQuery,
    ProjetoRecord, ProjetoRef, RemoteProjeto, Sincronizacao, SyncSummary,
};
pub use texto::{Descricao, folded, without_control};
pub use use_cases::{AtividadeBatches, Atividades, Batches, ProjetoBatches, Projetos};
pub use usuario::{Caller, Credential, Usuario};
pub use violation::{InvalidField, Violation};

#[cfg(any(test, feature = "mocks"))]
pub use ports::{
    MockAtividadeRepository, MockClock, MockIdentityProvider, MockProjectDirectory, MockProjetoRepository,
    MockReadiness,
};
