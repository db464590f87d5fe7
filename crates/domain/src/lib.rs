//! The business rules of API Aponta: entities, validated values, errors, ports and use cases.
//!
//! | module | content |
//! |---|---|
//! | `apontamento`, `atividade`, `projeto`, `usuario` | one noun each: entity and values, query, port to its storage, use cases |
//! | `work_item` | the work items of Azure DevOps: values, port and use cases |
//! | `timesheet` | the week of one person: work items with their time entries |
//! | `write_back` | the hours of time entries written into work items: state, ports and background job |
//! | `paging` | queries, cursors and pages of every noun that implements [`Listable`] |
//! | `text`, `violation`, `patch` | rules for values |
//! | `error`, `idempotency`, `clock`, `readiness` | shared by all nouns |
//! | `rate_limit` | the rate at which one person may send requests |
//! | `shared_memory` | the ports to the memory that the replicas share |
//! | `testing` (feature `mocks`) | fixtures, mocks of the ports, and the suite that every repository passes |
//!
//! The crate depends on no HTTP, SQL or JSON library. Its unit tests use mocked ports and take milliseconds.

mod apontamento;
mod atividade;
mod clock;
mod error;
mod idempotency;
mod jobs;
mod paging;
mod patch;
mod projeto;
mod rate_limit;
mod readiness;
mod shared_memory;
mod text;
mod timesheet;
mod usuario;
mod violation;
mod work_item;
mod write_back;

#[cfg(any(test, feature = "mocks"))]
pub mod testing;

pub use apontamento::{
    Agrupamento, Apontamento, ApontamentoFiltro, ApontamentoId, ApontamentoPatch, ApontamentoQuery, ApontamentoRecord,
    ApontamentoRepository, ApontamentoSortKey, Apontamentos, Chave, Comentario, Gravado, LinhaDeHoras, Minutos,
    NovoApontamento, Organizacao, ProjetoSelector, REPORT_BYTES, Refusal, RefusalReason, ReportBuilder, Totais,
    UsuarioRef, WorkItemVisto, date_text, hours_and_minutes, hundredths_of_hours, monday_of, parse_date,
};
pub use atividade::{
    Atividade, AtividadeCampo, AtividadeFiltro, AtividadeId, AtividadePatch, AtividadeQuery, AtividadeRecord,
    AtividadeRepository, AtividadeSortKey, Atividades, NomeAtividade, NovaAtividade, ProjetoDaAtividade, ProjetoRefs,
};
pub use clock::Clock;
pub use error::{Cause, Conflict, Error, Resource, Service, UnknownReference};
pub use idempotency::{Idempotency, IdempotencyKey};
pub use jobs::{JobClaim, JobLease, JobLeases, JobOutcome, JobSchedule};
pub use paging::{
    Batch, BatchBuilder, BatchReader, Batches, Busca, Cursor, Limit, Listable, Ordem, PAGE_BYTES, Page, Query, Skip,
    SortKey,
};
pub use patch::Patch;
pub use projeto::{
    AzureProjectId, DeletionEvidence, NomeProjeto, NovoProjeto, ProjectDirectory, ProjectList, Projeto, ProjetoId,
    ProjetoPatch, ProjetoQuery, ProjetoRecord, ProjetoRef, ProjetoRepository, Projetos, RemoteProjeto, Sincronizacao,
    SyncSummary,
};
pub use rate_limit::{NotARateLimit, RateDecision, RateLimit};
pub use readiness::Readiness;
pub use shared_memory::{SharedIdentities, SharedIdentity, SharedRates};
pub use text::{Descricao, search_key, strip_control_characters};
pub use timesheet::{
    AvisoDoTimesheet, ConsultaDeTimesheet, DiaDoTimesheet, HorasNoAzure, LinhaDoTimesheet, Semana, Timesheet,
    Timesheets,
};
pub use usuario::{Caller, Credential, IdentityProvider, Usuario};
pub use violation::{InvalidField, Violation};
pub use work_item::{
    BuscaDeWorkItems, Iteration, IterationId, IterationItems, Missing, ProjetoConsultado, StateCategory, Team, TeamId,
    TeamSelector, Teams, TimeFrame, TreeGap, TreeItem, TreeQuery, WorkItem, WorkItemDirectory, WorkItemId,
    WorkItemLimit, WorkItemSearch, WorkItemStates, WorkItemText, WorkItemTree, WorkItemTypes, WorkItems,
};
pub use write_back::{
    BookedHours, BookedHoursFilter, Escrita, EscritaFiltro, Escritas, HourFields, HoursChange, HoursWrite, KnownHours,
    MotivoDoErro, PendingWrite, WorkItemHours, WorkItemType, WorkItemWriter, WriteAttempt, WriteBack, WriteBackQueue,
    WriteBackSummary, WriteBackTotals, WriteEnd, WriteResult,
};

#[cfg(any(test, feature = "mocks"))]
pub use {
    apontamento::MockApontamentoRepository,
    atividade::MockAtividadeRepository,
    clock::MockClock,
    jobs::MockJobLeases,
    projeto::{MockProjectDirectory, MockProjetoRepository},
    readiness::MockReadiness,
    shared_memory::{MockSharedIdentities, MockSharedRates},
    usuario::MockIdentityProvider,
    work_item::MockWorkItemDirectory,
    write_back::{MockWorkItemWriter, MockWriteBackQueue},
};
