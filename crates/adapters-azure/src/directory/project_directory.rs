//! The projects of the organisation, as one caller sees them.

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
use crate::client::{Call, Lane, Traffic, Upstream, json};
use crate::config::AzureConfig;
use crate::credential::{Fingerprint, Scheme, Shown};
use crate::error::Failure;
use crate::service_url::ServiceUrl;

const VERSION: (&str, &str) = ("api-version", "7.1");
/// A page has many projects, and each may have a long description.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// All pages of one list together: a thousand projects with long descriptions, and not what fills the memory.
const MAX_TOTAL_BYTES: usize = 16 * 1024 * 1024;
/// Azure allows a thousand projects; whoever sends more pages than this sends them for ever.
const MAX_PAGES: usize = 200;
/// How long a project that was found is remembered: until whoever else asked for it at the same time has found it in
/// the database, where the first one puts it.
const AFTERGLOW: Duration = Duration::from_secs(5);
/// How many missing projects are looked up at once; of more, those that a second list shows are spared it.
const AT_ONCE: usize = 8;
/// How many missing projects are looked up for one list. The others have their turn after the next one.
const MAX_LOOK_UPS: usize = 200;

/// How many questions of one user are worked on at once.
const PER_USER: usize = 4;
/// How many lists are put together at once: each of them is held in memory.
const LISTS: usize = 4;

/// See the module.
pub(crate) struct Directory {
    upstream: Arc<Upstream>,
    org: ServiceUrl,
    page_size: String,
    timeout: Duration,
    /// It makes one call of all that ask the same at once.
    look_ups: Cache<(Fingerprint, AzureProjectId), Option<RemoteProjeto>>,
    /// A lane for each user, so that nobody's questions hold up those of others.
    users: Cache<String, Arc<Lane>>,
    lists: Lane,
}

/// Whose projects, and how Azure knows them.
pub(crate) struct Asker {
    pub(crate) shown: Shown,
    pub(crate) scheme: Scheme,
    /// Their id.
    pub(crate) user: String,
}

impl Directory {
    pub(crate) fn new(config: &AzureConfig, org: ServiceUrl, upstream: Arc<Upstream>) -> Self {
        Self {
            upstream,
            org,
            page_size: config.page_size.to_string(),
            timeout: config.timeouts.directory,
            look_ups: Cache::builder().max_capacity(config.cache_capacity).expire_after(Afterglow).build(),
            users: Cache::builder()
                .max_capacity(config.cache_capacity)
                .time_to_idle(config.timeouts.directory * 2)
                .build(),
            lists: Lane::new(LISTS),
        }
    }

    /// All projects in Azure's own words, each once: the last word counts, because pages overlap when somebody
    /// creates a project in between. All or nothing, since what is not listed is taken for deleted.
    pub(crate) async fn list(&self, asker: &Asker) -> Result<Vec<Box<RawValue>>, Failure> {
        let deadline = Instant::now() + self.timeout;
        let user = self.user(asker).await;
        let _turn = user.enter(deadline).await?;
        self.list_until(deadline, asker).await
    }

    /// The lane of the one who asks.
    async fn user(&self, asker: &Asker) -> Arc<Lane> {
        self.users.get_with_by_ref(&asker.user, async { Arc::new(Lane::new(PER_USER)) }).await
    }

    async fn list_until(&self, deadline: Instant, asker: &Asker) -> Result<Vec<Box<RawValue>>, Failure> {
        let _list = self.lists.enter(deadline).await?;
        let mut projects = Vec::new();
        let mut places = HashMap::new();
        let mut tokens = HashSet::new();
        let mut token = None;
        let mut bytes = 0;
        for _ in 0..MAX_PAGES {
            let call = asker.call("projects", self.page_url(token.as_deref()), deadline);
            let answer = self.upstream.get(&call).await?;
            bytes += answer.body.len();
            if MAX_TOTAL_BYTES < bytes {
                return Err(Failure::senseless(format!("more than {MAX_TOTAL_BYTES} bytes of projects")));
            }
            let Page { value } = json::read(&answer.body)?;
            for project in value {
                let place = *places.entry(project_id(&project)?).or_insert(projects.len());
                match projects.get_mut(place) {
                    Some(known) => *known = project,
                    None => projects.push(project),
                }
            }
            let Some(next) = answer.continuation else { return Ok(projects) };
            if !tokens.insert(next.clone()) {
                return Err(Failure::senseless("pages that go round in circles"));
            }
            token = Some(next);
        }
        Err(Failure::senseless(format!("more than {MAX_PAGES} pages of projects")))
    }

    /// One project, if the caller may see it. However many ask at once, Azure is asked once.
    pub(crate) async fn find(&self, asker: &Asker, id: AzureProjectId) -> Result<Option<RemoteProjeto>, Failure> {
        let found = self.look_ups.try_get_with((asker.shown.fingerprint, id), self.ask(asker, id)).await;
        found.map_err(|failure| (*failure).clone())
    }

    /// Those of `ids` of which Azure says that there is no such project. Of what it does not say it nothing follows.
    /// It may take half as long as a list, since somebody who has waited for one waits for this as well.
    pub(crate) async fn gone(
        &self,
        asker: &Asker,
        mut ids: Vec<AzureProjectId>,
    ) -> Result<Vec<AzureProjectId>, Failure> {
        let deadline = Instant::now() + self.timeout / 2;
        let user = self.user(asker).await;
        let _turn = user.enter(deadline).await?;
        if AT_ONCE < ids.len() {
            let listed = self.list_until(deadline, asker).await?;
            let listed: HashSet<_> = listed.iter().map(|raw| project_id(raw)).collect::<Result<_, _>>()?;
            ids.retain(|id| !listed.contains(id));
        }
        if MAX_LOOK_UPS < ids.len() {
            tracing::info!(missing = ids.len(), "too many projects are missing to look up each of them now");
            // Which ones is left to chance, so that some that are hidden do not stand in the way of the rest for ever.
            ids.sort_by_cached_key(|_| Uuid::now_v7().as_u64_pair().1);
            ids.truncate(MAX_LOOK_UPS);
        }
        let look_ups = stream::iter(ids).map(async |id| match self.fetch(asker, id, deadline).await {
            Err(Failure::Missing { is_certain: true, .. }) => Some(id),
            // For some weeks it can be had back, and until then Azure may still show it.
            Ok(found) if found.estado.as_deref() == Some(RemoteProjeto::DELETED) => Some(id),
            _ => None,
        });
        Ok(look_ups.buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await)
    }

    async fn ask(&self, asker: &Asker, id: AzureProjectId) -> Result<Option<RemoteProjeto>, Failure> {
        let deadline = Instant::now() + self.timeout;
        let user = self.user(asker).await;
        let _turn = user.enter(deadline).await?;
        match self.fetch(asker, id, deadline).await {
            Ok(found) => Ok(Some(found)),
            Err(Failure::Missing { .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn fetch(&self, asker: &Asker, id: AzureProjectId, deadline: Instant) -> Result<RemoteProjeto, Failure> {
        let url = self.org.at(&format!("/_apis/projects/{id}"), &[VERSION]);
        let answer = self.upstream.get(&asker.call("project", url, deadline)).await?;
        let found = json::read::<Project>(&answer.body)?.into_domain()?;
        if found.id == id { Ok(found) } else { Err(Failure::senseless("another project than asked for")) }
    }

    fn page_url(&self, token: Option<&str>) -> Url {
        let mut query = vec![VERSION, ("stateFilter", "all"), ("$top", self.page_size.as_str())];
        query.extend(token.map(|token| ("continuationToken", token)));
        self.org.at("/_apis/projects", &query)
    }
}

impl Asker {
    fn call(&self, name: &'static str, url: Url, deadline: Instant) -> Call<'_> {
        let (shown, scheme, traffic) = (&self.shown, self.scheme, Traffic::Projects);
        Call { name, url, shown, scheme, traffic, max_bytes: MAX_BYTES, deadline }
    }
}

/// Only what was found is remembered: what is created just after somebody has asked for it is there at once.
struct Afterglow;

impl Expiry<(Fingerprint, AzureProjectId), Option<RemoteProjeto>> for Afterglow {
    fn expire_after_create(
        &self,
        _: &(Fingerprint, AzureProjectId),
        found: &Option<RemoteProjeto>,
        _: std::time::Instant,
    ) -> Option<Duration> {
        Some(if found.is_some() { AFTERGLOW } else { Duration::ZERO })
    }
}
