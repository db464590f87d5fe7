//! Work items of Azure DevOps: what people spend their hours on.

mod directory;
mod search;
mod states;
mod team;
mod tree;
mod use_cases;

pub use directory::WorkItemDirectory;
pub use search::{WorkItemLimit, WorkItemSearch, WorkItemText, WorkItemTypes};
pub use states::{StateCategory, WorkItemStates};
pub use team::{Iteration, IterationId, IterationItems, Missing, Team, TeamId, TeamSelector, Teams, TimeFrame};
pub use tree::{TreeGap, TreeItem, TreeQuery, WorkItemTree};
pub use use_cases::{BuscaDeWorkItems, ProjetoConsultado, WorkItems};
pub(crate) use use_cases::{missing_refusal, name_in_azure};

#[cfg(any(test, feature = "mocks"))]
pub use directory::MockWorkItemDirectory;

use crate::Violation;

/// The id of a work item, unique in its organisation: 1 to 2 147 483 647.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkItemId(i32);

impl WorkItemId {
    /// Parses an id.
    ///
    /// # Errors
    /// [`Violation::LessThan`], [`Violation::GreaterThan`].
    pub fn new(id: i64) -> Result<Self, Violation> {
        match i32::try_from(id) {
            Ok(id) if 1 <= id => Ok(Self(id)),
            Err(_) if 0 < id => Err(Violation::GreaterThan { max: i32::MAX.into() }),
            _ => Err(Violation::LessThan { min: 1 }),
        }
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }
}

impl std::fmt::Display for WorkItemId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A work item as one caller sees it in Azure DevOps.
///
/// The hours exist only in some types of some processes: a task of Scrum has `remaining_work` alone.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkItem {
    /// The id.
    pub id: WorkItemId,
    /// The title.
    pub titulo: String,
    /// The type, for example `Task`. The names are those of the process and may be translated.
    pub tipo: String,
    /// The state, for example `Active`. [`WorkItemDirectory::states`] says to which category it belongs.
    pub estado: String,
    /// The name of its project.
    pub projeto: String,
    /// The address of its page in Azure DevOps; empty without an organisation.
    pub url: String,
    /// The item above it.
    pub parent: Option<WorkItemId>,
    /// The display name of the person to whom it is assigned.
    pub assigned_to: Option<String>,
    /// The estimated hours.
    pub original_estimate: Option<f64>,
    /// The hours left.
    pub remaining_work: Option<f64>,
    /// The hours done.
    pub completed_work: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_is_a_positive_32_bit_integer() {
        assert_eq!(WorkItemId::new(41).map(WorkItemId::get), Ok(41));
        assert_eq!(WorkItemId::new(2_147_483_647).map(|id| id.to_string()), Ok("2147483647".to_owned()));
        for id in [0, -1, i64::MIN] {
            assert_eq!(WorkItemId::new(id), Err(Violation::LessThan { min: 1 }), "{id}");
        }
        for id in [2_147_483_648, i64::MAX] {
            assert_eq!(WorkItemId::new(id), Err(Violation::GreaterThan { max: 2_147_483_647 }), "{id}");
        }
    }
}
