//! Work items with the items above them.

use crate::{IterationId, StateCategory, TeamId, WorkItem, WorkItemId};

/// Which work items to read with the items above them, up to the top.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TreeQuery {
    /// The project whose work items to read, if they are assigned to the caller. `None` for those of `ids` alone.
    pub projeto: Option<String>,
    /// Only those of this iteration of this team, or of the default team.
    pub iteration: Option<(Option<TeamId>, IterationId)>,
    /// Work items to read, whoever they are assigned to.
    pub ids: Vec<WorkItemId>,
}

/// Work items with the items above them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WorkItemTree {
    /// The work items that the caller can see, each once, in any order. Their `parent` may be an item that is not among
    /// them, and may lead in a circle.
    pub items: Vec<TreeItem>,
    /// What could not be read.
    pub gaps: Vec<TreeGap>,
}

/// A work item of a tree.
#[derive(Debug, Clone, PartialEq)]
pub struct TreeItem {
    /// The work item.
    pub item: WorkItem,
    /// The category of its state, if it could be read.
    pub categoria: Option<StateCategory>,
}

/// A part that a tree lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreeGap {
    /// The caller can see no such project, so no assigned work items are in the tree.
    Projeto,
    /// The work items that are assigned to the caller.
    Assigned,
    /// The items above the others.
    Parents,
    /// The categories of some states.
    States,
    /// The work items beyond the largest number of a tree.
    TooMany,
}
