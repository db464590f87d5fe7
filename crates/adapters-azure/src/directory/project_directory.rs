//! Queries for the projects of the organisation that a caller may see.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use domain::{AzureProjectId, RemoteProjeto};
use futures_util::{StreamExt, stream};
use moka::Expiry;
use moka::future::Cache;
use reqwest::Url;
use serde_json::value::RawValue;
use tokio::time::Instant;
use uuid::Uuid;

use super::payload::{Page, Project, project_id};
use crate::client::{Bulkhead, Call, Traffic, Upstream, UserBulkheads, Version, json};
use crate::config::AzureConfig;
use crate::credential::{Fingerprint, PresentedCredential, Scheme};
use crate::error::AzureError;
use crate::service_url::ServiceUrl;

/// Per page. Each project may have a long description.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// All pages of one list: enough for a thousand projects with long descriptions, and bounds the memory of a request.
const MAX_TOTAL_BYTES: usize = 16 * 1024 * 1024;
/// Azure DevOps allows 1,000 projects per organisation, so more pages indicate an endless sequence.
const MAX_PAGES: usize = 200;
/// How long a found project is cached: until concurrent requests find it in the database, where the first one stores it.
const LOOKUP_TTL: Duration = Duration::from_secs(5);
/// Maximum number of concurrent look-ups by id. For more ids, a second list first excludes those that it contains.
const MAX_CONCURRENT_LOOKUPS: usize = 8;
/// Maximum number of look-ups by id per list. The remaining ids follow in later synchronisations.
const MAX_LOOKUPS: usize = 200;

/// Maximum number of concurrent lists, each of which is held in memory.
const MAX_CONCURRENT_LISTS: usize = 4;

pub(crate) struct Directory {
    upstream: Arc<Upstream>,
    org: ServiceUrl,
    page_size: usize,
    timeout: Duration,
    /// Merges concurrent look-ups of one project by one credential into one call.
    lookups: Cache<(Fingerprint, AzureProjectId), Option<RemoteProjeto>>,
    users: Arc<UserBulkheads>,
    lists: Bulkhead,
}

/// The user whose projects are queried, with an accepted credential.
pub(crate) struct Principal {
    pub(crate) credential: PresentedCredential,
    pub(crate) scheme: Scheme,
    pub(crate) user_id: String,
}

impl Directory {
    pub(crate) fn new(
        config: &AzureConfig,
        org: ServiceUrl,
        upstream: Arc<Upstream>,
        users: Arc<UserBulkheads>,
    ) -> Self {
        Self {
            upstream,
            org,
            page_size: config.page_size,
            timeout: config.timeouts.directory,
            lookups: Cache::builder().max_capacity(config.cache_capacity).expire_after(LookupExpiry).build(),
            users,
            lists: Bulkhead::new(MAX_CONCURRENT_LISTS),
        }
    }

    /// Returns all projects as raw JSON, each once. If pages overlap, the last occurrence wins. Entries without a valid id
    /// are kept.
    ///
    /// A partial list is an error, because a synchronisation treats missing projects as candidates for deletion.
    pub(crate) async fn list(&self, principal: &Principal) -> Result<Vec<Box<RawValue>>, AzureError> {
        let deadline = Instant::now() + self.timeout;
        let user = self.users.of(&principal.user_id).await;
        let _user_slot = user.acquire(deadline).await?;
        self.list_until(deadline, principal, "all").await
    }

    async fn list_until(
        &self,
        deadline: Instant,
        principal: &Principal,
        state: &str,
    ) -> Result<Vec<Box<RawValue>>, AzureError> {
        let _list_slot = self.lists.acquire(deadline).await?;
        let mut projects = Vec::new();
        let mut indexes = HashMap::new();
        let mut pages = HashSet::new();
        let mut page = None;
        let mut received = 0;
        let mut bytes = 0;
        for _ in 0..MAX_PAGES {
            let call = principal.call("/_apis/projects", self.page_url(state, page.as_ref()), deadline);
            let response = self.upstream.send(&call).await?;
            bytes += response.body.len();
            if MAX_TOTAL_BYTES < bytes {
                return Err(AzureError::invalid_response(format!("more than {MAX_TOTAL_BYTES} bytes of projects")));
            }
            let Page { value } = json::read(&response.body)?;
            let is_full = self.page_size <= value.len();
            received += value.len();
            for project in value {
                let index = match project_id(&project) {
                    Ok(id) => *indexes.entry(id).or_insert(projects.len()),
                    Err(_) => projects.len(),
                };
                match projects.get_mut(index) {
                    Some(earlier) => *earlier = project,
                    None => projects.push(project),
                }
            }
            let next = match response.continuation {
                Some(token) => ("continuationToken", token),
                None if is_full && !self.upstream.version().has_continuation_tokens() => {
                    ("$skip", received.to_string())
                }
                None => return Ok(projects),
            };
            if !pages.insert(next.clone()) {
                return Err(AzureError::invalid_response("a continuation token repeats"));
            }
            page = Some(next);
        }
        Err(AzureError::invalid_response(format!("more than {MAX_PAGES} pages of projects")))
    }

    /// Returns one project if the caller may see it. Concurrent look-ups share one call.
    pub(crate) async fn find(
        &self,
        principal: &Principal,
        id: AzureProjectId,
    ) -> Result<Option<RemoteProjeto>, AzureError> {
        let key = (principal.credential.fingerprint, id);
        let found = self.lookups.try_get_with(key, self.look_up(principal, id)).await;
        found.map_err(|error| (*error).clone())
    }

    /// Returns those of `ids` that Azure DevOps lists as deleted for the caller. All other ids remain undecided.
    pub(crate) async fn listed_as_deleted(
        &self,
        principal: &Principal,
        ids: Vec<AzureProjectId>,
    ) -> Result<Vec<AzureProjectId>, AzureError> {
        let deadline = self.confirmation_deadline();
        let user = self.users.of(&principal.user_id).await;
        let _user_slot = user.acquire(deadline).await?;
        let listed = self.list_until(deadline, principal, "deleted").await?;
        let deleted: HashSet<_> = listed
            .iter()
            .filter_map(|raw| json::read::<Project>(raw.get().as_bytes()).ok()?.into_domain().ok())
            .filter(|project| project.estado.as_deref() == Some(RemoteProjeto::DELETED))
            .map(|project| project.id)
            .collect();
        Ok(ids.into_iter().filter(|id| deleted.contains(id)).collect())
    }

    /// The time limit is half that of a list, because the request has already waited for one.
    fn confirmation_deadline(&self) -> Instant {
        Instant::now() + self.timeout / 2
    }

    /// Returns those of `ids` for which a look-up finds no project, or a deleted one. All other ids remain undecided.
    ///
    /// A 404 proves a deletion only if `principal` may see every project, because hidden projects may give a 404, too.
    pub(crate) async fn look_up_deleted(
        &self,
        principal: &Principal,
        mut ids: Vec<AzureProjectId>,
    ) -> Result<Vec<AzureProjectId>, AzureError> {
        let deadline = self.confirmation_deadline();
        let user = self.users.of(&principal.user_id).await;
        let _user_slot = user.acquire(deadline).await?;
        if MAX_CONCURRENT_LOOKUPS < ids.len() {
            let listed = self.list_until(deadline, principal, "all").await?;
            let listed: HashSet<_> = listed.iter().filter_map(|raw| project_id(raw).ok()).collect();
            ids.retain(|id| !listed.contains(id));
        }
        if MAX_LOOKUPS < ids.len() {
            tracing::info!(unlisted = ids.len(), "limiting the look-ups of unlisted projects");
            // A random selection, so that hidden projects do not displace the same others every time.
            ids.sort_by_cached_key(|_| Uuid::now_v7().as_u64_pair().1);
            ids.truncate(MAX_LOOKUPS);
        }
        let lookups = stream::iter(ids).map(async |id| match self.fetch(principal, id, deadline).await {
            Err(AzureError::ProjectNotFound { is_definitive: true, .. }) => Some(id),
            // A deleted project can be restored for some weeks, during which Azure DevOps may still return it.
            Ok(found) if found.estado.as_deref() == Some(RemoteProjeto::DELETED) => Some(id),
            _ => None,
        });
        Ok(lookups.buffer_unordered(MAX_CONCURRENT_LOOKUPS).filter_map(std::future::ready).collect().await)
    }

    async fn look_up(&self, principal: &Principal, id: AzureProjectId) -> Result<Option<RemoteProjeto>, AzureError> {
        let deadline = Instant::now() + self.timeout;
        let user = self.users.of(&principal.user_id).await;
        let _user_slot = user.acquire(deadline).await?;
        match self.fetch(principal, id, deadline).await {
            Ok(found) => Ok(Some(found)),
            Err(AzureError::ProjectNotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn fetch(
        &self,
        principal: &Principal,
        id: AzureProjectId,
        deadline: Instant,
    ) -> Result<RemoteProjeto, AzureError> {
        let url = self.org.at(&format!("/_apis/projects/{id}"), &[]);
        let response = self.upstream.send(&principal.call("/_apis/projects/{id}", url, deadline)).await?;
        let found = json::read::<Project>(&response.body)?.into_domain()?;
        if found.id == id {
            Ok(found)
        } else {
            Err(AzureError::invalid_response("the response is about another project"))
        }
    }

    /// Returns the address of the first page of the projects in `state`, or of the page at an offset given as a name and
    /// value of the query.
    fn page_url(&self, state: &str, offset: Option<&(&str, String)>) -> Url {
        let page_size = self.page_size.to_string();
        let mut query = vec![("stateFilter", state), ("$top", page_size.as_str())];
        query.extend(offset.map(|(name, value)| (*name, value.as_str())));
        self.org.at("/_apis/projects", &query)
    }
}

impl Principal {
    fn call(&self, url_template: &'static str, url: Url, deadline: Instant) -> Call<'_> {
        let (credential, scheme, traffic) = (&self.credential, self.scheme, Traffic::Projects);
        Call {
            url_template,
            url,
            body: None,
            version: Version::Released,
            credential,
            scheme,
            traffic,
            max_bytes: MAX_BYTES,
            deadline,
        }
    }
}

/// Caches only found projects, so that a project created after a look-up is found immediately.
struct LookupExpiry;

impl Expiry<(Fingerprint, AzureProjectId), Option<RemoteProjeto>> for LookupExpiry {
    fn expire_after_create(
        &self,
        _: &(Fingerprint, AzureProjectId),
        found: &Option<RemoteProjeto>,
        _: std::time::Instant,
    ) -> Option<Duration> {
        Some(if found.is_some() { LOOKUP_TTL } else { Duration::ZERO })
    }
}
