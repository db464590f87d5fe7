//! Work items with the items above them, in at most three requests besides those for batches.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use domain::{
    IterationId, Missing, StateCategory, TeamId, TeamSelector, TreeGap, TreeItem, TreeQuery, WorkItem, WorkItemId,
    WorkItemTree,
};
use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::time::Instant;

use super::payload::{LinkResult, QueryResult};
use super::reader::{WorkItems, call};
use super::teams::{Found, no_segment};
use super::wiql;
use crate::client::Traffic;
use crate::client::json::read;
use crate::directory::Principal;
use crate::error::AzureError;

/// The largest number of work items that are assigned to the caller, and likewise of those read by id. Their ids fit into a
/// query, which has at most 32,000 characters.
const MAX_TARGETS: usize = 1_000;
/// The largest number of work items of a tree.
const MAX_ITEMS: usize = 2_000;
/// The largest number of projects whose states are read for one tree.
const MAX_PROJECTS: usize = 8;
/// How many of them at once. Types come with all their fields, so the responses are large.
const MAX_CONCURRENT_TYPES: usize = 2;

/// What the query of a tree is about.
struct Targets {
    ids: Vec<WorkItemId>,
    /// The project and the path of the iteration.
    iteration: Option<(String, String)>,
}

impl WorkItems {
    /// Returns the work items of `query` with those above them.
    pub(crate) async fn tree(
        &self,
        principal: &Principal,
        query: TreeQuery,
    ) -> Result<Found<WorkItemTree>, AzureError> {
        let key = (principal.credential.fingerprint, query.clone());
        let tree = self.trees.try_get_with(key, self.fetch_tree(principal, &query)).await;
        tree.map_err(|error| (*error).clone())
    }

    async fn fetch_tree(&self, principal: &Principal, query: &TreeQuery) -> Result<Found<WorkItemTree>, AzureError> {
        let deadline = Instant::now() + self.timeout;
        let user = self.users.of(&principal.user_id).await;
        let _user_slot = user.acquire(deadline).await?;
        let mut gaps = Vec::new();
        let targets = match self.targets(principal, query, deadline, &mut gaps).await? {
            Ok(targets) => targets,
            Err(missing) => return Ok(Err(missing)),
        };
        let links = match self.links(principal, &targets, deadline).await {
            Ok(links) => links,
            Err(error) if targets.ids.is_empty() => return Err(error),
            Err(error) => {
                tracing::warn!(?error, "the work items above others cannot be read");
                // Those of an iteration are found by the same query.
                gaps.extend(targets.iteration.as_ref().map(|_| TreeGap::Assigned));
                gaps.push(TreeGap::Parents);
                None
            }
        };
        let mut known = HashSet::new();
        let linked = links.iter().flat_map(|links| links.ids.iter());
        let mut ids: Vec<_> = targets.ids.iter().chain(linked).copied().filter(|&id| known.insert(id)).collect();
        if MAX_ITEMS < ids.len() {
            ids.truncate(MAX_ITEMS);
            gaps.push(TreeGap::TooMany);
        }
        let mut items = self.fetch_batches(principal, &ids, Traffic::WorkItems, deadline).await?;
        if let Some(links) = links {
            for item in &mut items {
                item.parent = links.parents.get(&item.id).copied();
            }
        }
        let items = self.with_categories(principal, query.projeto.as_deref(), items, deadline, &mut gaps).await;
        let mut known = HashSet::new();
        gaps.retain(|&gap| known.insert(gap));
        Ok(Ok(Arc::new(WorkItemTree { items, gaps })))
    }

    /// Returns what to read. Without any other work item, a failure is an error instead of a gap.
    async fn targets(
        &self,
        principal: &Principal,
        query: &TreeQuery,
        deadline: Instant,
        gaps: &mut Vec<TreeGap>,
    ) -> Result<Result<Targets, Missing>, AzureError> {
        let mut targets = Targets { ids: query.ids.iter().take(MAX_TARGETS).copied().collect(), iteration: None };
        if targets.ids.len() < query.ids.len() {
            gaps.push(TreeGap::TooMany);
        }
        let Some(projeto) = &query.projeto else {
            gaps.push(TreeGap::Projeto);
            return Ok(Ok(targets));
        };
        let failed = match query.iteration {
            Some(iteration) => match self.iteration_path(principal, projeto, iteration, deadline).await {
                Ok(Ok(path)) => {
                    targets.iteration = Some((projeto.clone(), path));
                    return Ok(Ok(targets));
                }
                Ok(Err(Missing::Projeto)) => None,
                Ok(Err(missing)) => return Ok(Err(missing)),
                Err(error) => Some(error),
            },
            None => match self.assigned(principal, projeto, deadline).await {
                Ok(mut assigned) => {
                    if MAX_TARGETS < assigned.len() {
                        assigned.truncate(MAX_TARGETS);
                        gaps.push(TreeGap::TooMany);
                    }
                    targets.ids.extend(assigned);
                    return Ok(Ok(targets));
                }
                Err(AzureError::ProjectNotFound { .. }) => None,
                Err(error) => Some(error),
            },
        };
        match failed {
            Some(error) if targets.ids.is_empty() => return Err(error),
            Some(error) => {
                tracing::warn!(?error, "the work items that are assigned to a caller cannot be read");
                gaps.push(TreeGap::Assigned);
            }
            None => gaps.push(TreeGap::Projeto),
        }
        Ok(Ok(targets))
    }

    async fn iteration_path(
        &self,
        principal: &Principal,
        projeto: &str,
        (team, id): (Option<TeamId>, IterationId),
        deadline: Instant,
    ) -> Result<Result<String, Missing>, AzureError> {
        let team = TeamSelector { projeto: projeto.to_owned(), team };
        let iteration = self.fetch_iteration(principal, &team, id, deadline).await?;
        Ok(iteration.map(|iteration| iteration.path))
    }

    /// Returns the work items that are assigned to the caller, at most one more than [`MAX_TARGETS`].
    async fn assigned(
        &self,
        principal: &Principal,
        projeto: &str,
        deadline: Instant,
    ) -> Result<Vec<WorkItemId>, AzureError> {
        let mut url = self.org.at_segments(&[projeto, "_apis", "wit", "wiql"]).ok_or_else(no_segment)?;
        url.query_pairs_mut().append_pair("$top", &(MAX_TARGETS + 1).to_string());
        let body = json!({"query": wiql::assigned()}).to_string();
        let call = call(principal, "/{project}/_apis/wit/wiql", url, Some(body), deadline);
        Ok(read::<QueryResult>(&self.upstream.send(&call).await?.body)?.into_ids())
    }

    /// Returns the targets that the caller may see with all work items above them; `None` without a target.
    async fn links(
        &self,
        principal: &Principal,
        targets: &Targets,
        deadline: Instant,
    ) -> Result<Option<Links>, AzureError> {
        let (projeto, path) = targets.iteration.as_ref().map(|(projeto, path)| (projeto, path.as_str())).unzip();
        let Some(query) = wiql::with_parents(&targets.ids, path) else { return Ok(None) };
        let (template, url) = match projeto {
            Some(projeto) => ("/{project}/_apis/wit/wiql", self.org.at_segments(&[projeto, "_apis", "wit", "wiql"])),
            None => ("/_apis/wit/wiql", self.org.at_segments(&["_apis", "wit", "wiql"])),
        };
        let body = json!({"query": query}).to_string();
        let call = call(principal, template, url.ok_or_else(no_segment)?, Some(body), deadline);
        let pairs = read::<LinkResult>(&self.upstream.send(&call).await?.body)?.into_pairs();
        let mut links = Links::default();
        for (parent, id) in pairs {
            links.ids.push(id);
            if let Some(parent) = parent {
                links.parents.insert(id, parent);
            }
        }
        Ok(Some(links))
    }

    /// Adds the category of its state to each item.
    async fn with_categories(
        &self,
        principal: &Principal,
        projeto: Option<&str>,
        items: Vec<WorkItem>,
        deadline: Instant,
        gaps: &mut Vec<TreeGap>,
    ) -> Vec<TreeItem> {
        let types: BTreeSet<_> = items.iter().map(|item| (item.projeto.clone(), item.tipo.clone())).collect();
        let mut states = HashMap::new();
        let mut unknown = BTreeSet::new();
        for key in types {
            match self.states.get(&key).await {
                Some(known) => drop(states.insert(key, known)),
                None => drop(unknown.insert(key.0)),
            }
        }
        let mut unknown: Vec<_> = unknown.into_iter().collect();
        // The project of the query comes first, because the number is limited.
        unknown.sort_by_key(|name| projeto.is_none_or(|projeto| name.to_lowercase() != projeto.to_lowercase()));
        let is_cut = MAX_PROJECTS < unknown.len();
        unknown.truncate(MAX_PROJECTS);
        let reads: Vec<_> = unknown.iter().map(|projeto| self.fetch_types(principal, projeto, deadline)).collect();
        let read: Vec<_> = stream::iter(reads).buffered(MAX_CONCURRENT_TYPES).collect().await;
        let mut is_gap = is_cut;
        for (projeto, types) in unknown.into_iter().zip(read) {
            match types {
                Ok(types) => states.extend(types.into_iter().map(|(tipo, states)| ((projeto.clone(), tipo), states))),
                Err(error) => {
                    tracing::warn!(?error, "the states of a project cannot be read");
                    is_gap = true;
                }
            }
        }
        let category = |item: &WorkItem| -> Option<StateCategory> {
            states.get(&(item.projeto.clone(), item.tipo.clone()))?.category(&item.estado)
        };
        let items: Vec<_> = items.into_iter().map(|item| TreeItem { categoria: category(&item), item }).collect();
        if is_gap {
            gaps.push(TreeGap::States);
        }
        items
    }
}

/// The links of a tree.
#[derive(Default)]
struct Links {
    ids: Vec<WorkItemId>,
    parents: HashMap<WorkItemId, WorkItemId>,
}
