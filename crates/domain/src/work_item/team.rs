//! Teams of a project and their iterations.

use time::Date;
use uuid::Uuid;

use crate::WorkItemId;

/// The id of a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TeamId(pub Uuid);

/// The id of an iteration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IterationId(pub Uuid);

/// A team of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// The id.
    pub id: TeamId,
    /// The name.
    pub nome: String,
    /// The description; empty without one.
    pub descricao: String,
    /// The address of the team in Azure DevOps.
    pub url: String,
    /// The address of its identity in Azure DevOps; empty if it is not known.
    pub identity_url: String,
    /// The id of its project.
    pub projeto_id: Uuid,
    /// The name of its project.
    pub projeto_nome: String,
}

/// The teams of a project.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Teams {
    /// All teams that the caller can see.
    pub teams: Vec<Team>,
    /// The team that a request without one is about.
    pub default: Option<TeamId>,
}

/// Whose iterations a request is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TeamSelector {
    /// The id or the name of the project in Azure DevOps.
    pub projeto: String,
    /// The team; `None` for the default team of the project.
    pub team: Option<TeamId>,
}

/// An iteration of a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Iteration {
    /// The id.
    pub id: IterationId,
    /// The name.
    pub nome: String,
    /// The path, which begins with the name of the project.
    pub path: String,
    /// The first day.
    pub inicio: Option<Date>,
    /// The last day.
    pub fim: Option<Date>,
    /// Its place in time; `None` if Azure DevOps does not say.
    pub time_frame: Option<TimeFrame>,
    /// The address of the iteration in Azure DevOps.
    pub url: String,
}

/// The place of an iteration in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeFrame {
    /// It has ended.
    Past,
    /// It contains today.
    Current,
    /// It has not begun, or has no dates.
    Future,
}

/// The work items of an iteration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IterationItems {
    /// The name of the iteration.
    pub nome: String,
    /// The work items, of any person, by id.
    pub ids: Vec<WorkItemId>,
}

/// What Azure DevOps does not have for the caller: it does not exist or is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The project.
    Projeto,
    /// The team.
    Team,
    /// The iteration.
    Iteration,
}
