//! Projects as Azure DevOps reports them, and their synchronisation.

use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Descricao, NomeProjeto, Violation};

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
