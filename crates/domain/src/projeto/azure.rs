//! Projects as Azure DevOps reports them, and their synchronisation.

use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{Descricao, NomeProjeto, Violation};

/// The GUID of a project in Azure DevOps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AzureProjectId(Uuid);

impl AzureProjectId {
    /// Parses a GUID in any of its usual spellings.
    ///
    /// # Errors
    /// [`Violation::NotAGuid`], also for the all-zero GUID, which Azure DevOps uses for «none».
    pub fn parse(text: &str) -> Result<Self, Violation> {
        Uuid::parse_str(text).map_or(Err(Violation::NotAGuid), Self::new)
    }

    /// Returns `guid` as the id of a project.
    ///
    /// # Errors
    /// [`Violation::NotAGuid`] for the all-zero GUID.
    pub fn new(guid: Uuid) -> Result<Self, Violation> {
        if guid.is_nil() { Err(Violation::NotAGuid) } else { Ok(Self(guid)) }
    }

    /// Returns the GUID.
    #[must_use]
    pub const fn get(self) -> Uuid {
        self.0
    }
}

/// Lower case with hyphens, as in the API.
impl std::fmt::Display for AzureProjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// A project as Azure DevOps reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteProjeto {
    /// The GUID, which becomes the id of the projeto.
    pub id: AzureProjectId,
    /// The name.
    pub nome: NomeProjeto,
    /// The description; Azure DevOps omits an empty one.
    pub descricao: Option<Descricao>,
    /// The URL.
    pub url: Option<String>,
    /// The state, for example `wellFormed`.
    pub estado: Option<String>,
}

impl RemoteProjeto {
    /// How far ahead of a synchronisation a stored `sincronizado_em` may be. A concurrent request for a list takes at most
    /// two minutes, so a later time comes from a clock that was wrong, and does not count as newer.
    pub const MAX_CLOCK_SKEW: Duration = Duration::minutes(5);
    /// The `estado` of a projeto whose deletion in Azure DevOps was confirmed.
    pub const DELETED: &'static str = "deleted";
}

/// The projects that Azure DevOps lists for a caller, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProjectList {
    /// The projects that could be read.
    pub projects: Vec<RemoteProjeto>,
    /// The ids of the entries that could not be read, for example without a name. `None` if the id is invalid, too.
    pub failed: Vec<Option<AzureProjectId>>,
}

/// A list in which every entry could be read.
impl From<Vec<RemoteProjeto>> for ProjectList {
    fn from(projects: Vec<RemoteProjeto>) -> Self {
        Self { projects, failed: Vec::new() }
    }
}

/// What proves to a lookup that a project is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletionEvidence {
    /// That the credential finds no such project. Only for a credential that may see every project.
    NotFound,
    /// That Azure DevOps lists the project as deleted. A project that is hidden from the caller is never listed.
    ListedAsDeleted,
}

/// The counts of a synchronisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SyncSummary {
    /// Listed projects, each counted once.
    pub synced: u64,
    /// Listed projects that were created.
    pub created: u64,
    /// Listed projects that were changed.
    pub updated: u64,
    /// Projects that were newly marked deleted.
    pub removed: u64,
}

/// A completed synchronisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sincronizacao {
    /// Its counts.
    pub summary: SyncSummary,
    /// The listed projects that could not be read, as in [`ProjectList::failed`]. They stay as they are stored.
    pub failed: Vec<Option<AzureProjectId>>,
    /// The number of stored projects that are not listed and whose deletion is not proven. They stay as they are.
    pub unconfirmed: u64,
    /// Its start, UTC.
    pub em: OffsetDateTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn azure_project_id_prints_in_lower_case_and_rejects_other_texts() {
        let id = AzureProjectId::parse("EB6E4656-77FC-42A1-9181-4C6D8E9DA5D1").unwrap();

        assert_eq!(id.to_string(), "eb6e4656-77fc-42a1-9181-4c6d8e9da5d1");
        for text in ["", "projeto", "00000000-0000-0000-0000-000000000000"] {
            assert_eq!(AzureProjectId::parse(text), Err(Violation::NotAGuid), "{text:?}");
        }
    }
}
