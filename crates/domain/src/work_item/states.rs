//! The states of a type of work item.

/// What a state means. The names of states are free, their categories are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateCategory {
    /// Not begun.
    Proposed,
    /// Being worked on.
    InProgress,
    /// Done, and to be verified.
    Resolved,
    /// Finished.
    Completed,
    /// Given up.
    Removed,
}

impl StateCategory {
    /// Returns whether a work item in this category takes no more hours.
    #[must_use]
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Completed | Self::Removed)
    }
}

/// The states of one type of work item in one project.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkItemStates(Vec<(String, StateCategory)>);

impl WorkItemStates {
    /// Returns the category of the state `estado`. As in Azure DevOps, case does not matter. `None` for a state that the
    /// type does not have, which happens while a process changes.
    #[must_use]
    pub fn category(&self, estado: &str) -> Option<StateCategory> {
        let estado = estado.to_lowercase();
        self.0.iter().find(|(name, _)| name.to_lowercase() == estado).map(|&(_, category)| category)
    }
}

impl FromIterator<(String, StateCategory)> for WorkItemStates {
    fn from_iter<I: IntoIterator<Item = (String, StateCategory)>>(states: I) -> Self {
        Self(states.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn category_is_found_by_name_in_any_case() {
        let states = [("A Fazer", StateCategory::Proposed), ("Concluído", StateCategory::Completed)];
        let states: WorkItemStates = states.into_iter().map(|(name, category)| (name.to_owned(), category)).collect();

        assert_eq!(states.category("CONCLUÍDO"), Some(StateCategory::Completed));
        assert_eq!(states.category("A Fazer").map(StateCategory::is_closed), Some(false));
        assert_eq!(states.category("Closed"), None);
    }

    #[test]
    fn completed_and_removed_are_closed() {
        use StateCategory::{Completed, InProgress, Proposed, Removed, Resolved};

        let closed = [Proposed, InProgress, Resolved, Completed, Removed].map(StateCategory::is_closed);

        assert_eq!(closed, [false, false, false, true, true]);
    }
}
