//! Checks that work items exist for the caller and take hours.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{Caller, Conflict, Error, RefusalReason, WorkItem, WorkItemDirectory, WorkItemId, WorkItemVisto};

/// What Azure DevOps says about work items.
pub(super) struct WorkItemChecks(BTreeMap<WorkItemId, Check>);

enum Check {
    /// The caller can see it. Whether it takes hours is unknown if Azure DevOps did not say.
    Visible { item: Box<WorkItem>, is_closed: Option<bool> },
    /// The caller cannot see it.
    Missing,
    /// Azure DevOps failed.
    Unchecked,
    /// There is no organisation, or no credential whose view could be asked for.
    Unasked,
}

impl WorkItemChecks {
    /// Asks Azure DevOps with the credential of `caller`. If Azure DevOps fails, the work items count as not checked.
    ///
    /// # Errors
    /// `Forbidden` and `CredentialRejected`, which are about the caller. `Overloaded`, which is about this service: a
    /// caller who keeps it busy must not disable the check.
    pub(super) async fn run(
        directory: &dyn WorkItemDirectory,
        caller: &Caller,
        ids: BTreeSet<WorkItemId>,
    ) -> Result<Self, Error> {
        let found = match ids.first() {
            Some(id) if ids.len() == 1 => {
                directory.find(caller.credential.clone(), *id).await.map(|item| item.into_iter().collect())
            }
            _ => directory.find_many(caller.credential.clone(), ids.iter().copied().collect()).await,
        };
        if matches!(found, Err(Error::Conflict(Conflict::SemOrganizacao))) {
            return Ok(Self(ids.into_iter().map(|id| (id, Check::Unasked)).collect()));
        }
        let Some(found) = or_unchecked(found)? else {
            return Ok(Self(ids.into_iter().map(|id| (id, Check::Unchecked)).collect()));
        };
        let mut checks: BTreeMap<_, _> = ids.into_iter().map(|id| (id, Check::Missing)).collect();
        let mut states = HashMap::new();
        for item in found {
            let key = (item.projeto.clone(), item.tipo.clone());
            let states = match states.entry(key) {
                std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::hash_map::Entry::Vacant(vacant) => {
                    let (projeto, tipo) = vacant.key().clone();
                    let states = directory.states(caller.credential.clone(), projeto, tipo).await;
                    vacant.insert(or_unchecked(states)?)
                }
            };
            let is_closed = states
                .as_ref()
                .map(|states| states.category(&item.estado).is_some_and(crate::StateCategory::is_closed));
            checks.insert(item.id, Check::Visible { is_closed, item: Box::new(item) });
        }
        Ok(Self(checks))
    }

    /// Returns why the work item takes no hours.
    pub(super) fn refusal(&self, id: WorkItemId) -> Option<RefusalReason> {
        match self.0.get(&id)? {
            Check::Missing => Some(RefusalReason::UnknownWorkItem(id)),
            Check::Visible { is_closed: Some(true), item } => {
                Some(RefusalReason::ClosedWorkItem { id, estado: item.estado.clone() })
            }
            Check::Visible { .. } | Check::Unchecked | Check::Unasked => None,
        }
    }

    /// Returns the title and the type of a work item that was seen.
    pub(super) fn seen(&self, id: WorkItemId) -> Option<WorkItemVisto> {
        match self.0.get(&id)? {
            Check::Visible { item, .. } => Some(WorkItemVisto { titulo: item.titulo.clone(), tipo: item.tipo.clone() }),
            Check::Missing | Check::Unchecked | Check::Unasked => None,
        }
    }

    /// Returns whether nothing is hidden from the caller: they see the work item, or there is no view of theirs.
    pub(super) fn is_verified(&self, id: WorkItemId) -> bool {
        matches!(self.0.get(&id), Some(Check::Visible { .. } | Check::Unasked))
    }

    /// Returns the work items of which something was not checked.
    pub(super) fn into_unchecked(self) -> Vec<WorkItemId> {
        let is_unchecked =
            |check: &Check| matches!(check, Check::Unchecked | Check::Unasked | Check::Visible { is_closed: None, .. });
        self.0.into_iter().filter(|(_, check)| is_unchecked(check)).map(|(id, _)| id).collect()
    }
}

/// Returns `None` if Azure DevOps fails.
fn or_unchecked<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Unavailable { .. } | Error::TimedOut { .. } | Error::BadUpstream { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
