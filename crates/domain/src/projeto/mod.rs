//! Projetos (projects): copies of those in Azure DevOps, and local ones.

mod azure;
mod directory;
mod import;
mod query;
mod repository;
mod use_cases;

pub use azure::{AzureProjectId, DeletionEvidence, ProjectList, RemoteProjeto, Sincronizacao, SyncSummary};
pub use directory::ProjectDirectory;
pub use query::ProjetoQuery;
pub use repository::ProjetoRepository;
pub use use_cases::Projetos;

pub(crate) use import::ProjectImporter;

#[cfg(any(test, feature = "mocks"))]
pub use directory::MockProjectDirectory;
#[cfg(any(test, feature = "mocks"))]
pub use repository::MockProjetoRepository;

use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Descricao, Patch, Violation, text};

/// The id of a stored projeto. A project of Azure DevOps keeps its GUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjetoId(pub Uuid);

impl ProjetoId {
    /// Returns a new id for a local projeto: UUID version 7 (RFC 9562).
    #[must_use]
    pub fn new(now: OffsetDateTime) -> Self {
        Self(crate::clock::new_uuid(now))
    }
}

/// An id in a request that may or may not be the id of a projeto. Only a repository can resolve it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjetoRef(pub Uuid);

/// The name of a projeto: 1..=255 characters, no NUL, no surrounding white space. A new name has no control
/// characters except tabs and line breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NomeProjeto(String);

impl NomeProjeto {
    /// Parses a new name from `text`, without surrounding white space.
    ///
    /// # Errors
    /// Those of [`Self::from_stored`], [`Violation::ControlCharacter`].
    pub fn parse(text: impl Into<String>) -> Result<Self, Violation> {
        text::parse_nome(text.into()).map(Self)
    }

    /// Parses a name that was stored, possibly before control characters were rejected.
    ///
    /// # Errors
    /// [`Violation::TooShort`] without a visible character, [`Violation::TooLong`], [`Violation::ContainsNul`].
    pub fn from_stored(text: impl Into<String>) -> Result<Self, Violation> {
        text::stored_nome(text.into()).map(Self)
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text without a copy.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// A stored projeto.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projeto {
    /// The id: Azure's GUID for a project of Azure DevOps.
    pub id: ProjetoId,
    /// The name.
    pub nome: NomeProjeto,
    /// The description.
    pub descricao: Option<Descricao>,
    /// Azure's GUID; `None` for a local projeto.
    pub azure_project_id: Option<AzureProjectId>,
    /// The URL in Azure DevOps.
    pub url: Option<String>,
    /// The state that Azure DevOps reports (`wellFormed`, `deleting`, …), or `deleted` after a confirmed deletion.
    pub estado: Option<String>,
    /// The start of the synchronisation that last changed this row.
    pub sincronizado_em: Option<OffsetDateTime>,
    /// The time of creation in this database, UTC, to the microsecond.
    pub criado_em: OffsetDateTime,
    /// The time of the last change in this database, UTC, to the microsecond.
    pub atualizado_em: OffsetDateTime,
}

/// The fields that a caller sends to create a local projeto.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NovoProjeto {
    /// The name.
    pub nome: NomeProjeto,
    /// The description.
    pub descricao: Option<Descricao>,
}

/// A new local projeto, complete for the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjetoRecord {
    /// The id.
    pub id: ProjetoId,
    /// The name.
    pub nome: NomeProjeto,
    /// The description.
    pub descricao: Option<Descricao>,
    /// The value of both `criado_em` and `atualizado_em`.
    pub criado_em: OffsetDateTime,
}

/// A partial update of a local projeto. Absent fields do not change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProjetoPatch {
    /// The new name.
    pub nome: Option<NomeProjeto>,
    /// The new description, or `Null` to clear it.
    pub descricao: Patch<Descricao>,
    /// The `atualizado_em` that the update requires.
    pub expected: Option<OffsetDateTime>,
}
