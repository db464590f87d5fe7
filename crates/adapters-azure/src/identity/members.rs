//! Membership of the organisation, read with the service's own PAT. It authenticates app tokens that arrive without an
//! access token (`APP_TOKEN_ALONE=members`).

use std::sync::Arc;
use std::time::Duration;

use domain::Usuario;
use moka::future::Cache;
use tokio::time::Instant;
use uuid::Uuid;

use super::identity_check;
use super::recently_accepted::RecentlyAccepted;
use crate::client::{Call, Traffic, Upstream, Version, json};
use crate::config::AzureConfig;
use crate::credential::{Fingerprint, PresentedCredential, Scheme};
use crate::error::{AzureError, Rejection};
use crate::service_url::ServiceUrl;

const MAX_BYTES: usize = 1024 * 1024;
/// A preview resource of Azure DevOps Services.
const VERSION: Version = Version::Fixed("7.1-preview.3");

pub(crate) struct Members {
    upstream: Arc<Upstream>,
    base: ServiceUrl,
    pat: PresentedCredential,
    active: Cache<Uuid, Usuario>,
    rejected: Cache<Uuid, ()>,
    timeout: Duration,
}

impl Members {
    /// Reads the members from the service at `base` with `pat`.
    pub(crate) fn new(
        config: &AzureConfig,
        base: ServiceUrl,
        pat: PresentedCredential,
        upstream: Arc<Upstream>,
    ) -> Self {
        Self {
            upstream,
            base,
            pat,
            active: Cache::builder().max_capacity(config.cache_capacity).time_to_live(config.cache_ttl).build(),
            rejected: Cache::builder().max_capacity(config.cache_capacity).time_to_live(config.rejected_ttl).build(),
            timeout: config.timeouts.identity,
        }
    }

    /// Returns the active member with that id. Concurrent look-ups of one member share one call.
    pub(crate) async fn find(
        &self,
        id: Uuid,
        user: Fingerprint,
        recent: &RecentlyAccepted,
    ) -> Result<Usuario, AzureError> {
        if self.rejected.contains_key(&id) {
            return Err(AzureError::Rejected(Rejection::NotConfirmed));
        }
        let found = self.active.try_get_with(id, self.look_up(id, user, recent)).await;
        found.map_err(|error| (*error).clone())
    }

    async fn look_up(&self, id: Uuid, user: Fingerprint, recent: &RecentlyAccepted) -> Result<Usuario, AzureError> {
        let priority = recent.acquire_priority(user, None).await;
        let traffic = if priority.is_some() { Traffic::KnownUser } else { Traffic::Unknown };
        let member = self.fetch(id, traffic).await;
        match &member {
            Ok(_) => recent.insert(user).await,
            Err(AzureError::Rejected(_)) => {
                tracing::info!(user = %id, "the user of an app token is no active member of the organisation");
                recent.remove(user).await;
                self.rejected.insert(id, ()).await;
            }
            Err(_) => {}
        }
        member
    }

    async fn fetch(&self, id: Uuid, traffic: Traffic) -> Result<Usuario, AzureError> {
        let call = Call {
            url_template: "/_apis/userentitlements/{id}",
            url: self.base.at(&format!("/_apis/userentitlements/{id}"), &[]),
            body: None,
            version: VERSION,
            credential: &self.pat,
            scheme: Scheme::Basic,
            traffic,
            max_bytes: MAX_BYTES,
            deadline: Instant::now() + self.timeout,
        };
        match self.upstream.send(&call).await {
            Ok(response) => identity_check::from_entitlement(json::read(&response.body)?, id),
            // A 404 in JSON comes from Azure DevOps; other 404s may come from a proxy.
            Err(AzureError::NotFound(_)) => Err(AzureError::Rejected(Rejection::NotConfirmed)),
            // The rejection concerns the PAT of the service, not the token of the user.
            Err(AzureError::Rejected(_) | AzureError::Forbidden) => {
                tracing::warn!("AZURE_DEVOPS_PAT lacks permission to read the members of the organisation");
                Err(AzureError::invalid_response("the PAT of the service lacks permission to read members"))
            }
            Err(error) => Err(error),
        }
    }
}
