//! Projects: those of Azure DevOps, and those that exist only here.

mod azure;
mod directory;
mod query;
mod repository;
mod use_cases;

pub use azure::{AzureProjectId, RemoteProjeto, Sincronizacao, SyncSummary};
pub use directory::ProjectDirectory;
pub use query::ProjetoQuery;
pub use repository::ProjetoRepository;
pub use use_cases::Projetos;

#[cfg(any(test, feature = "mocks"))]
pub use directory::MockProjectDirectory;
#[cfg(any(test, feature = "mocks"))]
pub use repository::MockProjetoRepository;

use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Descricao, Patch, Violation, text};

/// The id of a projeto that is stored. Of a synchronised projeto it is Azure's own GUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjetoId(pub Uuid);

impl ProjetoId {
    /// A new id for a projeto created here at `now`: UUID version 7 (RFC 9562).
    #[must_use]
    pub fn new(now: OffsetDateTime) -> Self {
        Self(crate::clock::new_uuid(now))
    }
}

/// An id that somebody calls a projeto's: only a repository knows whether it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjetoRef(pub Uuid);

/// The name of a projeto: 1..=255 characters, no NUL, no surrounding white space. A new
/// one has no control characters but tabs and line breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NomeProjeto(String);

impl NomeProjeto {
    /// Trims `text` and returns it as a new name.
    ///
    /// # Errors
    /// Those of [`Self::from_stored`], [`Violation::ControlCharacter`].
    pub fn parse(text: impl Into<String>) -> Result<Self, Violation> {
        text::parse_nome(text.into()).map(Self)
    }

    /// Returns `text`, which was stored, as a name. It may be older than the rule about control characters.
    ///
    /// # Errors
    /// [`Violation::TooShort`] when nothing is left, [`Violation::TooLong`], [`Violation::ContainsNul`].
    pub fn from_stored(text: impl Into<String>) -> Result<Self, Violation> {
        text::stored_nome(text.into()).map(Self)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, without a copy.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// A projeto as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projeto {
    /// Its id; Azure's GUID when it is Azure's.
    pub id: ProjetoId,
    /// Its name.
    pub nome: NomeProjeto,
    /// More about it.
    pub descricao: Option<Descricao>,
    /// Azure's GUID; none for a projeto that exists only here.
    pub azure_project_id: Option<AzureProjectId>,
    /// Its address at Azure DevOps.
    pub url: Option<String>,
    /// Its state as Azure DevOps reports it (`wellFormed`, `deleting`, …), or `deleted` once it is gone from there.
    pub estado: Option<String>,
    /// How old what is kept of Azure DevOps is: when it began to be asked for what was last taken over.
    pub sincronizado_em: Option<OffsetDateTime>,
    /// When it was created here, UTC, to the microsecond.
    pub criado_em: OffsetDateTime,
    /// When it last changed here, UTC, to the microsecond.
    pub atualizado_em: OffsetDateTime,
}

/// What a caller says about a projeto that is to exist only here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NovoProjeto {
    /// Its name.
    pub nome: NomeProjeto,
    /// More about it.
    pub descricao: Option<Descricao>,
}

/// A projeto that exists only here, ready to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjetoRecord {
    /// Its id.
    pub id: ProjetoId,
    /// Its name.
    pub nome: NomeProjeto,
    /// More about it.
    pub descricao: Option<Descricao>,
    /// Now: it becomes `criado_em` and `atualizado_em`.
    pub criado_em: OffsetDateTime,
}

/// A partial update of a projeto that exists only here: what is absent stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProjetoPatch {
    /// A new name.
    pub nome: Option<NomeProjeto>,
    /// A new description, or none any more.
    pub descricao: Patch<Descricao>,
    /// Only while `atualizado_em` still is this.
    pub expected: Option<OffsetDateTime>,
}
