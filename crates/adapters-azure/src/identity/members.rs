//! Who is a member of the organisation: asked with the service's own token, for app tokens that come without an access
//! token (`APP_TOKEN_ALONE=members`).

use std::sync::Arc;
use std::time::Duration;

use domain::Usuario;
use moka::future::Cache;
use tokio::time::Instant;
use uuid::Uuid;

use super::identity_check;
use super::recently_accepted::Recent;
use crate::client::{Call, Traffic, Upstream, json};
use crate::config::AzureConfig;
use crate::credential::{Fingerprint, Scheme, Shown};
use crate::error::Failure;
use crate::service_url::ServiceUrl;

const MAX_BYTES: usize = 1024 * 1024;
/// It exists as a preview only.
const VERSION: (&str, &str) = ("api-version", "7.1-preview.3");

/// See the module.
pub(crate) struct Members {
    upstream: Arc<Upstream>,
    base: ServiceUrl,
    pat: Shown,
    active: Cache<Uuid, Usuario>,
    others: Cache<Uuid, ()>,
    timeout: Duration,
}

impl Members {
    /// The members whom the service at `base` lists for the owner of `pat`.
    pub(crate) fn new(config: &AzureConfig, base: ServiceUrl, pat: Shown, upstream: Arc<Upstream>) -> Self {
        Self {
            upstream,
            base,
            pat,
            active: Cache::builder().max_capacity(config.cache_capacity).time_to_live(config.cache_ttl).build(),
            others: Cache::builder().max_capacity(config.cache_capacity).time_to_live(config.rejected_ttl).build(),
            timeout: config.timeouts.identity,
        }
    }

    /// The active member with that id. However many ask at once, Azure is asked once.
    pub(crate) async fn find(&self, id: Uuid, user: Fingerprint, recent: &Recent) -> Result<Usuario, Failure> {
        if self.others.contains_key(&id) {
            return Err(Failure::Rejected);
        }
        let found = self.active.try_get_with(id, self.ask(id, user, recent)).await;
        found.map_err(|failure| (*failure).clone())
    }

    async fn ask(&self, id: Uuid, user: Fingerprint, recent: &Recent) -> Result<Usuario, Failure> {
        let priority = recent.priority(user, None).await;
        let traffic = if priority.is_some() { Traffic::User } else { Traffic::Newcomer };
        let member = self.fetch(id, traffic).await;
        match &member {
            Ok(_) => recent.remember(user).await,
            Err(Failure::Rejected) => {
                tracing::info!(user = %id, "the organisation does not list the user of an app token as a member");
                recent.forget(user).await;
                self.others.insert(id, ()).await;
            }
            Err(_) => {}
        }
        member
    }

    async fn fetch(&self, id: Uuid, traffic: Traffic) -> Result<Usuario, Failure> {
        let call = Call {
            name: "member",
            url: self.base.at(&format!("/_apis/userentitlements/{id}"), &[VERSION]),
            shown: &self.pat,
            scheme: Scheme::Basic,
            traffic,
            max_bytes: MAX_BYTES,
            deadline: Instant::now() + self.timeout,
        };
        match self.upstream.get(&call).await {
            Ok(answer) => identity_check::of_member(json::read(&answer.body)?, id),
            // Azure itself says so, with the name of an error; a bare 404 may come from something in between.
            Err(Failure::NotFound(_)) => Err(Failure::Rejected),
            // That is about the service's token and not about the user's.
            Err(Failure::Rejected | Failure::Forbidden) => {
                tracing::warn!("AZURE_DEVOPS_PAT may not read the members of the organisation");
                Err(Failure::senseless("the token of the service may not read members"))
            }
            Err(failure) => Err(failure),
        }
    }
}
