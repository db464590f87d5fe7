//! The weekly timesheet: the hours of one person by work item and day.

mod build;
mod semana;
mod use_cases;

pub use semana::Semana;
pub use use_cases::Timesheets;

use time::Date;

use crate::{Apontamento, IterationId, Organizacao, ProjetoSelector, StateCategory, TeamId, TreeGap, WorkItemId};

/// A request for the timesheet of the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsultaDeTimesheet {
    /// The organisation.
    pub organizacao: Organizacao,
    /// The projeto whose work items are shown besides those with hours.
    pub projeto: ProjetoSelector,
    /// The week.
    pub semana: Semana,
    /// The only iteration whose work items are shown besides those with hours.
    pub iteration: Option<IterationId>,
    /// The team of the iteration; `None` for the default team.
    pub team: Option<TeamId>,
    /// Whether to show the work items that carry hours without those above them.
    pub is_flat: bool,
}

/// The hours of one person in one week.
#[derive(Debug, Clone, PartialEq)]
pub struct Timesheet {
    /// The week.
    pub semana: Semana,
    /// Today in Brasília.
    pub hoje: Date,
    /// The work items at the top, by id.
    pub linhas: Vec<LinhaDoTimesheet>,
    /// The sum of each day in minutes.
    pub minutos_por_dia: [u64; 7],
    /// The number of work items that carry hours: those without others below them, and those with own entries.
    pub total_work_items: usize,
    /// The sum of the estimated hours of the work items without others below them.
    pub total_esforco: f64,
    /// The sum of the hours done of the work items without others below them.
    pub total_historico: f64,
    /// What is missing.
    pub avisos: Vec<AvisoDoTimesheet>,
}

/// A work item in a timesheet.
#[derive(Debug, Clone, PartialEq)]
pub struct LinhaDoTimesheet {
    /// The id.
    pub id: WorkItemId,
    /// The title, or the last known one if the caller cannot see the work item.
    pub titulo: String,
    /// The type, or the last known one.
    pub tipo: String,
    /// The state.
    pub estado: Option<String>,
    /// The category of the state.
    pub categoria: Option<StateCategory>,
    /// The display name of the person to whom it is assigned.
    pub assigned_to: Option<String>,
    /// The hours in Azure DevOps; sums if others are below it.
    pub horas: HorasNoAzure,
    /// The number of work items above it, at most [`Self::MAX_NIVEL`].
    pub nivel: u8,
    /// The work item above it.
    pub parent: Option<WorkItemId>,
    /// Whether entries can be made and changed.
    pub pode_editar: bool,
    /// Whether entries can be deleted.
    pub pode_excluir: bool,
    /// The seven days.
    pub dias: [DiaDoTimesheet; 7],
    /// The work items below it, by id.
    pub filhas: Vec<Self>,
}

impl LinhaDoTimesheet {
    /// The largest `nivel`: clients know four.
    pub const MAX_NIVEL: u8 = 3;

    /// Returns the sum of the week in minutes.
    #[must_use]
    pub fn minutos(&self) -> u64 {
        self.dias.iter().map(|dia| dia.minutos).sum()
    }
}

/// The hours that a work item has in Azure DevOps.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct HorasNoAzure {
    /// The estimated hours.
    pub original_estimate: Option<f64>,
    /// The hours done.
    pub completed_work: Option<f64>,
    /// The hours left.
    pub remaining_work: Option<f64>,
}

/// One day of a work item.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DiaDoTimesheet {
    /// The entries on the work item itself, the oldest first.
    pub apontamentos: Vec<Apontamento>,
    /// The sum in minutes, with that of the work items below.
    pub minutos: u64,
}

/// What a timesheet lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AvisoDoTimesheet {
    /// Azure DevOps failed, so only work items with hours are shown, with the last known titles.
    SemAzure,
    /// This service asks Azure DevOps as much as it does at once, with the same consequence.
    Sobrecarga,
    /// The credential may not read work items, with the same consequence.
    SemPermissao,
    /// No organisation or credential is configured, with the same consequence.
    SemOrganizacao,
    /// Azure DevOps gave a part.
    Parte(TreeGap),
}
