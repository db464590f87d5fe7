//! Why a well-formed request about time entries is refused.

use time::Date;

use crate::{AtividadeId, IterationId, TeamId, WorkItemId};

/// A refused request, or a refused item of a bulk request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The index of the item, counted from 0, if the request has many.
    pub item: Option<usize>,
    /// The reason.
    pub reason: RefusalReason,
}

/// The reasons to refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefusalReason {
    /// The entry belongs to another person.
    NotOwner,
    /// The person would have more than 24:00 on that day.
    DayFull {
        /// The day.
        data: Date,
        /// The minutes that are left on it.
        restantes: u16,
    },
    /// No atividade has that id.
    UnknownAtividade(AtividadeId),
    /// The atividade is not active.
    InactiveAtividade,
    /// No projeto has that id or name.
    UnknownProjeto(String),
    /// The deployment serves another organisation.
    OtherOrganisation {
        /// The organisation of this deployment.
        served: String,
        /// The organisation that was sent.
        sent: String,
    },
    /// The team does not exist, or the caller cannot see it.
    UnknownTeam(TeamId),
    /// The team does not have the iteration, or the caller cannot see it.
    UnknownIteration(IterationId),
    /// The work item does not exist, or the caller cannot see it.
    UnknownWorkItem(WorkItemId),
    /// The work item is in a state of the category Completed or Removed.
    ClosedWorkItem {
        /// The work item.
        id: WorkItemId,
        /// Its state.
        estado: String,
    },
    /// A report has more lines than a response can have.
    TooManyLines {
        /// The largest number of lines.
        max: usize,
    },
    /// The names in a report are larger than a response can have.
    ReportTooLarge,
}

impl RefusalReason {
    /// Returns the field of the request to which the reason belongs.
    #[must_use]
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Self::NotOwner | Self::TooManyLines { .. } | Self::ReportTooLarge => None,
            Self::DayFull { .. } => Some("duracao"),
            Self::UnknownAtividade(_) | Self::InactiveAtividade => Some("id_atividade"),
            Self::UnknownProjeto(_) => Some("project_id"),
            Self::OtherOrganisation { .. } => Some("organization_name"),
            Self::UnknownTeam(_) => Some("team_id"),
            Self::UnknownIteration(_) => Some("iteration_id"),
            Self::UnknownWorkItem(_) | Self::ClosedWorkItem { .. } => Some("work_item_id"),
        }
    }
}

impl From<RefusalReason> for crate::Error {
    fn from(reason: RefusalReason) -> Self {
        Self::Refused(vec![Refusal { item: None, reason }])
    }
}
