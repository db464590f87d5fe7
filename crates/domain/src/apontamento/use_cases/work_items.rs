//! Checks that work items exist for the caller and take hours.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{Caller, Conflict, Error, RefusalReason, WorkItem, WorkItemDirectory, WorkItemId, WorkItemVisto};

/// What Azure DevOps says about work items.
pub(super) struct WorkItemChecks(BTreeMap<WorkItemId, Check>);

enum Check {
    /// The caller can see it, and it takes hours unless `is_closed`.
    Visible { item: Box<WorkItem>, is_closed: bool },
    /// The caller cannot see it.
    Missing,
    /// Azure DevOps could not be asked.
    Unchecked,
}

impl WorkItemChecks {
    /// Asks Azure DevOps with the credential of `caller`. If Azure DevOps fails, the work items count as not checked.
    ///
    /// # Errors
    /// `Forbidden` and `CredentialRejected`, which are about the caller.
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
            let check = states.as_ref().map_or(Check::Unchecked, |states| {
                let is_closed = states.category(&item.estado).is_some_and(crate::StateCategory::is_closed);
                Check::Visible { is_closed, item: Box::new(item.clone()) }
            });
            checks.insert(item.id, check);
        }
        Ok(Self(checks))
    }

    /// Returns why the work item takes no hours.
    pub(super) fn refusal(&self, id: WorkItemId) -> Option<RefusalReason> {
        match self.0.get(&id)? {
            Check::Missing => Some(RefusalReason::UnknownWorkItem(id)),
            Check::Visible { is_closed: true, item } => {
                Some(RefusalReason::ClosedWorkItem { id, estado: item.estado.clone() })
            }
            Check::Visible { .. } | Check::Unchecked => None,
        }
    }

    /// Returns the title and the type of a work item that was seen.
    pub(super) fn seen(&self, id: WorkItemId) -> Option<WorkItemVisto> {
        match self.0.get(&id)? {
            Check::Visible { item, .. } => Some(WorkItemVisto { titulo: item.titulo.clone(), tipo: item.tipo.clone() }),
            Check::Missing | Check::Unchecked => None,
        }
    }

    /// Returns the work items that were not checked.
    pub(super) fn into_unchecked(self) -> Vec<WorkItemId> {
        self.0.into_iter().filter(|(_, check)| matches!(check, Check::Unchecked)).map(|(id, _)| id).collect()
    }
}

/// Returns `None` if Azure DevOps cannot be asked: it fails, or there is no organisation.
fn or_unchecked<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(
            Error::Unavailable { .. }
            | Error::TimedOut { .. }
            | Error::BadUpstream { .. }
            | Error::Conflict(Conflict::SemOrganizacao),
        ) => Ok(None),
        Err(error) => Err(error),
    }
}
