//! Queries for work items and the states of their types.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use domain::{
    Iteration, IterationId, IterationItems, TeamSelector, Teams, TreeQuery, WorkItem, WorkItemId, WorkItemSearch,
    WorkItemStates, WorkItemTree,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use moka::future::Cache;
use reqwest::Url;
use serde_json::json;
use tokio::time::Instant;

use super::payload::{Batch, Item, States, Types, fields};
use super::teams::{Found, no_segment};
use super::weight::weighed;
use crate::client::{Body, Call, Traffic, Upstream, UserBulkheads, Version, json};
use crate::config::AzureConfig;
use crate::credential::Fingerprint;
use crate::directory::Principal;
use crate::error::AzureError;
use crate::service_url::ServiceUrl;

/// Per response: enough for 20,000 ids of a query.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Per response to a check: enough for 200 work items, of which only short fields are requested.
const MAX_CHECK_BYTES: usize = 1024 * 1024;
/// Types come with all their fields and rules.
const MAX_TYPES_BYTES: usize = 8 * 1024 * 1024;
/// The largest batch that Azure DevOps accepts.
const MAX_BATCH: usize = 200;
/// Maximum number of concurrent batches per query.
const MAX_CONCURRENT_BATCHES: usize = 4;
/// The unit of the capacities of caches.
const MIB: u64 = 1024 * 1024;
/// How long states are cached. A process changes rarely.
const STATES_TTL: Duration = Duration::from_mins(5);
/// Maximum number of cached types.
const MAX_CACHED_TYPES: u64 = 10_000;

/// Work items by the credential and the ids that were asked for, in that order.
type ItemsKey = (Fingerprint, Box<[WorkItemId]>);

pub(crate) struct WorkItems {
    pub(super) upstream: Arc<Upstream>,
    pub(super) org: ServiceUrl,
    pub(super) users: Arc<UserBulkheads>,
    /// So that no query of a user delays what the same user stores.
    checks: UserBulkheads,
    pub(super) timeout: Duration,
    /// Merges equal concurrent queries of one credential into one.
    items: Cache<ItemsKey, Arc<[WorkItem]>>,
    /// Merges equal concurrent searches of one credential into one. `None` if the project is unknown.
    pub(super) searches: Cache<(Fingerprint, WorkItemSearch), Option<Arc<[WorkItemId]>>>,
    /// Each of these merges equal concurrent queries of one credential into one.
    pub(super) trees: Cache<(Fingerprint, TreeQuery), Found<WorkItemTree>>,
    pub(super) teams: Cache<(Fingerprint, String), Found<Teams>>,
    pub(super) iterations: Cache<(Fingerprint, TeamSelector), Found<Vec<Iteration>>>,
    pub(super) iteration_items: Cache<(Fingerprint, TeamSelector, IterationId), Found<IterationItems>>,
    /// By project and type, for all callers: they learn the names of both from a work item that they can see.
    pub(super) states: Cache<(String, String), WorkItemStates>,
}

impl WorkItems {
    pub(crate) fn new(
        config: &AzureConfig,
        org: ServiceUrl,
        upstream: Arc<Upstream>,
        users: Arc<UserBulkheads>,
    ) -> Self {
        Self {
            upstream,
            org,
            users,
            checks: UserBulkheads::new(config),
            timeout: config.timeouts.work_items,
            trees: weighed(6 * MIB),
            teams: weighed(2 * MIB),
            iterations: weighed(MIB),
            iteration_items: weighed(2 * MIB),
            items: weighed(6 * MIB),
            searches: weighed(MIB),
            states: Cache::builder().max_capacity(MAX_CACHED_TYPES).time_to_live(STATES_TTL).build(),
        }
    }

    /// Returns those work items among `ids` that the caller may see, each once, in the order of `ids`.
    pub(crate) async fn read(
        &self,
        principal: &Principal,
        ids: &[WorkItemId],
        traffic: Traffic,
    ) -> Result<Arc<[WorkItem]>, AzureError> {
        let mut known = HashSet::new();
        let ids: Box<[_]> = ids.iter().copied().filter(|&id| known.insert(id)).collect();
        let key = (principal.credential.fingerprint, ids.clone());
        let items = self.items.try_get_with(key, self.fetch(principal, &ids, traffic)).await;
        items.map_err(|error| (*error).clone())
    }

    async fn fetch(
        &self,
        principal: &Principal,
        ids: &[WorkItemId],
        traffic: Traffic,
    ) -> Result<Arc<[WorkItem]>, AzureError> {
        if ids.is_empty() {
            return Ok(Arc::default());
        }
        let deadline = Instant::now() + self.timeout;
        let users = if traffic == Traffic::Checks { &self.checks } else { &*self.users };
        let user = users.of(&principal.user_id).await;
        let _user_slot = user.acquire(deadline).await?;
        if let [id] = *ids {
            return Ok(self.fetch_one(principal, id, traffic, deadline).await?.into_iter().collect());
        }
        Ok(self.fetch_batches(principal, ids, traffic, deadline).await?.into())
    }

    /// Returns those of `ids` that the caller may see, in their order.
    pub(super) async fn fetch_batches(
        &self,
        principal: &Principal,
        ids: &[WorkItemId],
        traffic: Traffic,
        deadline: Instant,
    ) -> Result<Vec<WorkItem>, AzureError> {
        // Collected first: as a closure of a stream, `fetch_batch` would not be general over lifetimes.
        let batch = |ids| self.fetch_batch(principal, ids, traffic, deadline);
        let batches: Vec<_> = ids.chunks(MAX_BATCH).map(batch).collect();
        let batches: Vec<_> = stream::iter(batches).buffered(MAX_CONCURRENT_BATCHES).try_collect().await?;
        // The order of a batch is not promised.
        let mut found: HashMap<_, _> = batches.into_iter().flatten().map(|item| (item.id, item)).collect();
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }

    async fn fetch_one(
        &self,
        principal: &Principal,
        id: WorkItemId,
        traffic: Traffic,
        deadline: Instant,
    ) -> Result<Option<WorkItem>, AzureError> {
        let fields = fields(self.has_parent_field()).join(",");
        let url = self.org.at(&format!("/_apis/wit/workitems/{id}"), &[("fields", &fields)]);
        let call = call(principal, "/_apis/wit/workitems/{id}", url, None, deadline);
        let call = Call { traffic, max_bytes: MAX_CHECK_BYTES, ..call };
        let item = match self.upstream.send(&call).await {
            Ok(response) => json::read::<Item>(&response.body)?.into_domain(&self.org)?,
            Err(AzureError::WorkItemNotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        if item.id == id {
            Ok(Some(item))
        } else {
            Err(AzureError::invalid_response("the response is about another work item"))
        }
    }

    async fn fetch_batch(
        &self,
        principal: &Principal,
        ids: &[WorkItemId],
        traffic: Traffic,
        deadline: Instant,
    ) -> Result<Vec<WorkItem>, AzureError> {
        let numbers: Vec<_> = ids.iter().map(|id| id.get()).collect();
        let fields = fields(self.has_parent_field());
        let body = json!({"ids": numbers, "fields": fields, "errorPolicy": "omit"}).to_string();
        let url = self.org.at("/_apis/wit/workitemsbatch", &[]);
        let call = call(principal, "/_apis/wit/workitemsbatch", url, Some(body), deadline);
        let call = Call { traffic, max_bytes: MAX_CHECK_BYTES, ..call };
        Ok(json::read::<Batch>(&self.upstream.send(&call).await?.body)?.into_domain(&self.org))
    }

    fn has_parent_field(&self) -> bool {
        self.upstream.version().has_parent_field()
    }

    /// Returns the states of the type `tipo` in the project `projeto`.
    pub(crate) async fn states(
        &self,
        principal: &Principal,
        projeto: String,
        tipo: String,
    ) -> Result<WorkItemStates, AzureError> {
        let key = (projeto, tipo);
        if let Some(states) = self.states.get(&key).await {
            return Ok(states);
        }
        let deadline = Instant::now() + self.timeout;
        let user = self.checks.of(&principal.user_id).await;
        let _user_slot = user.acquire(deadline).await?;
        let (projeto, tipo) = &key;
        let url = self.org.at_segments(&[projeto, "_apis", "wit", "workitemtypes", tipo, "states"]);
        let url = url.ok_or_else(no_segment)?;
        let template = "/{project}/_apis/wit/workitemtypes/{type}/states";
        let call = call(principal, template, url, None, deadline);
        let call = Call { traffic: Traffic::Checks, max_bytes: MAX_CHECK_BYTES, ..call };
        let states = json::read::<States>(&self.upstream.send(&call).await?.body)?.into_domain()?;
        self.states.insert(key, states.clone()).await;
        Ok(states)
    }
}

impl WorkItems {
    /// Returns the states of every type of a project, and caches them.
    pub(super) async fn fetch_types(
        &self,
        principal: &Principal,
        projeto: &str,
        deadline: Instant,
    ) -> Result<Vec<(String, WorkItemStates)>, AzureError> {
        let url = self.org.at_segments(&[projeto, "_apis", "wit", "workitemtypes"]).ok_or_else(no_segment)?;
        let call = call(principal, "/{project}/_apis/wit/workitemtypes", url, None, deadline);
        let call = Call { max_bytes: MAX_TYPES_BYTES, ..call };
        let types = json::read::<Types>(&self.upstream.send(&call).await?.body)?.into_domain();
        for (tipo, states) in &types {
            self.states.insert((projeto.to_owned(), tipo.clone()), states.clone()).await;
        }
        Ok(types)
    }
}

pub(super) fn call<'a>(
    principal: &'a Principal,
    url_template: &'static str,
    url: Url,
    body: Option<String>,
    deadline: Instant,
) -> Call<'a> {
    let (credential, scheme, traffic) = (&principal.credential, principal.scheme, Traffic::WorkItems);
    Call {
        url_template,
        url,
        body: body.map(Body::Query),
        version: Version::Released,
        credential,
        scheme,
        traffic,
        max_bytes: MAX_BYTES,
        deadline,
    }
}
