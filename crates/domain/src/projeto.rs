//! Projects: those of Azure DevOps, and those that exist only here.

use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Descricao, Limit, Patch, Violation, texto};

/// The id of a projeto that is stored. Of a synchronised projeto it is Azure's own GUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjetoId(pub Uuid);

impl ProjetoId {
    /// A new id for a projeto created here at `now`: UUID version 7 (RFC 9562).
    #[must_use]
    pub fn new(now: OffsetDateTime) -> Self {
        Self(crate::ports::new_uuid(now))
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
        texto::parse_nome(text.into()).map(Self)
    }

    /// Returns `text`, which was stored, as a name. It may be older than the rule about control characters.
    ///
    /// # Errors
    /// [`Violation::TooShort`] when nothing is left, [`Violation::TooLong`], [`Violation::ContainsNul`].
    pub fn from_stored(text: impl Into<String>) -> Result<Self, Violation> {
        texto::stored_nome(text.into()).map(Self)
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

/// The GUID by which Azure DevOps knows a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AzureProjectId(Uuid);

impl AzureProjectId {
    /// Reads a GUID in any of its usual spellings.
    ///
    /// # Errors
    /// [`Violation::NotAGuid`], also for the GUID of zeros, which Azure DevOps uses for «none».
    pub fn parse(text: &str) -> Result<Self, Violation> {
        Uuid::parse_str(text).map_or(Err(Violation::NotAGuid), Self::new)
    }

    /// Answers `guid` as a project's.
    ///
    /// # Errors
    /// [`Violation::NotAGuid`] for the GUID of zeros.
    pub fn new(guid: Uuid) -> Result<Self, Violation> {
        if guid.is_nil() { Err(Violation::NotAGuid) } else { Ok(Self(guid)) }
    }

    /// The GUID.
    #[must_use]
    pub const fn get(self) -> Uuid {
        self.0
    }
}

/// Lower case with hyphens, as the API shows it.
impl std::fmt::Display for AzureProjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.as_hyphenated().fmt(f)
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

/// Which projetos to list, in the order of their names: case and accents do not count, unless names differ in nothing
/// else; equal names are ordered by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjetoQuery {
    /// Only those that come after this one.
    pub apos: Option<ProjetoCursor>,
    /// How many to return at most.
    pub limit: Limit,
}

impl Default for ProjetoQuery {
    /// From the first one on, as many as a page can have.
    fn default() -> Self {
        Self { apos: None, limit: Limit::LARGEST }
    }
}

/// A place in the list of projetos, whether the projeto still exists or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjetoCursor {
    /// The name.
    pub nome: NomeProjeto,
    /// The id, which breaks ties.
    pub id: ProjetoId,
}

impl ProjetoCursor {
    /// Returns the place of `projeto`.
    #[must_use]
    pub fn of(projeto: &Projeto) -> Self {
        Self { nome: projeto.nome.clone(), id: projeto.id }
    }
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

/// A project as Azure DevOps reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteProjeto {
    /// Azure's GUID, which becomes its id here.
    pub id: AzureProjectId,
    /// Its name.
    pub nome: NomeProjeto,
    /// Its description; Azure leaves it out when it is empty.
    pub descricao: Option<Descricao>,
    /// Its address.
    pub url: Option<String>,
    /// Its state, for example `wellFormed`.
    pub estado: Option<String>,
}

impl RemoteProjeto {
    /// What `estado` says once a projeto is gone from Azure DevOps.
    pub const DELETED: &'static str = "deleted";
}

/// What a synchronisation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SyncSummary {
    /// How many projects Azure DevOps listed, each counted once.
    pub synced: u64,
    /// How many of them were new here.
    pub created: u64,
    /// How many of them differed from what was kept.
    pub updated: u64,
    /// How many were kept as Azure's and are gone, those left out that were so before.
    pub removed: u64,
}

/// A synchronisation that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sincronizacao {
    /// What it did.
    pub summary: SyncSummary,
    /// When it began, UTC.
    pub em: OffsetDateTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn azure_project_id_is_a_guid_in_lower_case() {
        let id = AzureProjectId::parse("EB6E4656-77FC-42A1-9181-4C6D8E9DA5D1").unwrap();

        assert_eq!(id.to_string(), "eb6e4656-77fc-42a1-9181-4c6d8e9da5d1");
        for text in ["", "projeto", "00000000-0000-0000-0000-000000000000"] {
            assert_eq!(AzureProjectId::parse(text), Err(Violation::NotAGuid), "{text:?}");
        }
    }
}
