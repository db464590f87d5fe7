//! What API Aponta does, without how: entities, values that cannot be invalid, errors, ports and use cases.
//!
//! Nothing here knows HTTP, SQL or Azure DevOps' JSON. A use case is tested with mocked ports in milliseconds
//! (feature `mocks`, module `testing`).

mod atividade;
mod clock;
mod error;
mod idempotency;
mod paging;
mod patch;
mod projeto;
mod readiness;
mod text;
mod usuario;
mod violation;

#[cfg(any(test, feature = "mocks"))]
pub mod testing;

pub use atividade::{
    Atividade, AtividadeCampo, AtividadeFiltro, AtividadeId, AtividadePatch, AtividadeQuery, AtividadeRecord,
    AtividadeRepository, AtividadeSortKey, Atividades, NomeAtividade, NovaAtividade,
};
pub use clock::Clock;
pub use error::{Cause, Conflict, Error, Resource, Service};
pub use idempotency::{Idempotency, IdempotencyKey};
pub use paging::{
    Batch, BatchBuilder, BatchReader, Batches, Busca, Cursor, Limit, Listable, Ordem, PAGE_BYTES, Page, Query, Skip,
    SortKey,
};
pub use patch::Patch;
pub use projeto::{
    AzureProjectId, NomeProjeto, NovoProjeto, ProjectDirectory, Projeto, ProjetoId, ProjetoPatch, ProjetoQuery,
    ProjetoRecord, ProjetoRef, ProjetoRepository, Projetos, RemoteProjeto, Sincronizacao, SyncSummary,
};
pub use readiness::Readiness;
pub use text::{Descricao, folded, without_control};
pub use usuario::{Caller, Credential, IdentityProvider, Usuario};
pub use violation::{InvalidField, Violation};

#[cfg(any(test, feature = "mocks"))]
pub use {
    atividade::MockAtividadeRepository,
    clock::MockClock,
    projeto::{MockProjectDirectory, MockProjetoRepository},
    readiness::MockReadiness,
    usuario::MockIdentityProvider,
};
