//! Identities of credentials. Azure DevOps is queried once per credential, and the result is cached: in this process, and in
//! the memory that the replicas share, if there is one.

use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, Error, SharedIdentities, Usuario};
use moka::Expiry;
use moka::future::Cache;
use tokio::time::Instant;

use super::identity_check;
use super::payload::ConnectionData;
use super::recently_accepted::RecentlyAccepted;
use super::shared::{LookedUp, Shared};
use crate::client::{CacheResult, Call, Traffic, Upstream, Version, json};
use crate::config::AzureConfig;
use crate::credential::{Fingerprint, Jwt, PresentedCredential, Scheme};
use crate::error::{AzureError, Rejection};
use crate::service_url::ServiceUrl;

const MAX_BYTES: usize = 1024 * 1024;

/// The service that identifies users, with its base address.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Organisation(ServiceUrl),
    /// The global profile service.
    Profile(ServiceUrl),
}

impl Source {
    /// Returns the organisation of `config`, or else the profile service.
    pub(crate) fn from_config(config: &AzureConfig) -> Result<Self, Error> {
        Ok(match (&config.org_url, &config.profile_base_url) {
            (Some(org), _) => Self::Organisation(org.service().clone()),
            (None, Some(base)) => Self::Profile(base.clone()),
            (None, None) => Self::Profile(ServiceUrl::parse(AzureConfig::PROFILE_BASE_URL).map_err(Error::internal)?),
        })
    }

    pub(crate) fn base(&self) -> &ServiceUrl {
        match self {
            Self::Organisation(url) | Self::Profile(url) => url,
        }
    }
}

/// A user with the time and the scheme of the look-up.
#[derive(Debug, Clone)]
pub(crate) struct CachedIdentity {
    pub(crate) usuario: Usuario,
    /// The scheme that Azure DevOps accepted.
    pub(crate) scheme: Scheme,
    /// Whether Azure DevOps Server responded, and not Services.
    pub(crate) is_on_premises: bool,
    /// `None` if another replica looked it up: only the clock of that replica knows when.
    checked_at: Option<Instant>,
    lifetime: Duration,
}

impl CachedIdentity {
    /// Whether it was certainly looked up within `max_age`.
    fn is_within(&self, max_age: Duration) -> bool {
        self.checked_at.map_or(max_age == Duration::MAX, |checked_at| checked_at.elapsed() <= max_age)
    }
}

/// The cache of identities. Rejections are cached apart, so that rejected credentials cannot evict users.
pub(crate) struct Identities {
    upstream: Arc<Upstream>,
    clock: Arc<dyn Clock>,
    source: Source,
    accepted: Cache<Fingerprint, CachedIdentity>,
    /// Stores nothing. It merges concurrent refreshes of one identity into one call.
    refreshes: Cache<Fingerprint, CachedIdentity>,
    rejected: Cache<Fingerprint, ()>,
    recently_accepted: RecentlyAccepted,
    shared: Shared,
    cache_ttl: Duration,
    timeout: Duration,
}

impl Identities {
    pub(crate) fn new(
        config: &AzureConfig,
        source: Source,
        upstream: Arc<Upstream>,
        clock: Arc<dyn Clock>,
        shared: Option<Arc<dyn SharedIdentities>>,
    ) -> Self {
        let rejected = Cache::builder().max_capacity(config.cache_capacity).time_to_live(config.rejected_ttl);
        Self {
            upstream,
            clock,
            source,
            accepted: Cache::builder().max_capacity(config.cache_capacity).expire_after(IdentityExpiry).build(),
            refreshes: Cache::builder().max_capacity(config.cache_capacity).time_to_live(Duration::ZERO).build(),
            rejected: rejected.build(),
            recently_accepted: RecentlyAccepted::new(config.cache_capacity),
            shared: Shared::new(shared.filter(|_| !config.cache_ttl.is_zero())),
            cache_ttl: config.cache_ttl,
            timeout: config.timeouts.identity,
        }
    }

    pub(crate) const fn recently_accepted(&self) -> &RecentlyAccepted {
        &self.recently_accepted
    }

    /// Returns the user of `credential`. Concurrent look-ups of one credential share one call.
    pub(crate) async fn identify(&self, credential: &PresentedCredential) -> Result<CachedIdentity, AzureError> {
        let metrics = self.upstream.metrics();
        if !credential.is_sendable() || self.rejected.contains_key(&credential.fingerprint) {
            metrics.record_cache_lookup(CacheResult::Rejected);
            return Err(AzureError::Rejected(Rejection::NotConfirmed));
        }
        if let Some(cached) = self.accepted.get(&credential.fingerprint).await {
            metrics.record_cache_lookup(CacheResult::Hit);
            return Ok(cached);
        }
        metrics.record_cache_lookup(CacheResult::Miss);
        let found = self.accepted.try_get_with(credential.fingerprint, self.find(credential)).await;
        found.map_err(|error| (*error).clone())
    }

    /// Returns the user of `credential` like [`Self::identify`], refreshed if the cached identity is older than `max_age`.
    pub(crate) async fn identify_within(
        &self,
        credential: &PresentedCredential,
        max_age: Duration,
    ) -> Result<CachedIdentity, AzureError> {
        let cached = self.identify(credential).await?;
        if cached.is_within(max_age) {
            return Ok(cached);
        }
        let refreshed = self.refreshes.try_get_with(credential.fingerprint, self.refresh(credential, max_age)).await;
        refreshed.map_err(|error| (*error).clone())
    }

    async fn refresh(&self, credential: &PresentedCredential, max_age: Duration) -> Result<CachedIdentity, AzureError> {
        // Another caller may have refreshed it in the meantime.
        if let Some(cached) = self.accepted.get(&credential.fingerprint).await
            && cached.is_within(max_age)
        {
            return Ok(cached);
        }
        // The cached identity remains if the look-up fails for another reason than a rejection.
        let found = self.look_up(credential).await;
        match &found {
            Ok(identity) => self.accepted.insert(credential.fingerprint, identity.clone()).await,
            Err(AzureError::Rejected(_)) => self.forget(credential).await,
            Err(_) => {}
        }
        found
    }

    /// Removes the cached identity, so that the next request looks it up again.
    pub(crate) async fn forget(&self, credential: &PresentedCredential) {
        self.accepted.invalidate(&credential.fingerprint).await;
        self.shared.remove(credential).await;
    }

    /// Returns the identity that another replica has looked up, or looks it up.
    async fn find(&self, credential: &PresentedCredential) -> Result<CachedIdentity, AzureError> {
        let Some((found, lifetime)) = self.shared.find(credential).await else { return self.look_up(credential).await };
        self.recently_accepted.insert(credential.fingerprint).await;
        Ok(CachedIdentity {
            scheme: found.scheme,
            is_on_premises: found.is_on_premises,
            usuario: found.into_usuario(),
            checked_at: None,
            lifetime: lifetime.min(self.lifetime(credential)),
        })
    }

    async fn look_up(&self, credential: &PresentedCredential) -> Result<CachedIdentity, AzureError> {
        let deadline = Instant::now() + self.timeout;
        let priority = self.recently_accepted.acquire_priority(credential.fingerprint, credential.user).await;
        let traffic = if priority.is_some() { Traffic::KnownUser } else { Traffic::Unknown };
        let mut rejection = None;
        for &scheme in credential.schemes {
            match self.look_up_with(scheme, credential, traffic, deadline).await {
                Err(AzureError::Rejected(reason)) => {
                    rejection.get_or_insert(reason);
                }
                Err(error) => return Err(error),
                Ok((usuario, is_on_premises)) => {
                    tracing::info!(user = usuario.id, ?scheme, "Azure DevOps accepted the credential");
                    self.recently_accepted.insert(credential.fingerprint).await;
                    let lifetime = self.lifetime(credential);
                    let looked_up = LookedUp::new(&usuario, scheme, is_on_premises);
                    self.shared.store(credential, &looked_up, lifetime).await;
                    let checked_at = Some(Instant::now());
                    return Ok(CachedIdentity { usuario, scheme, is_on_premises, checked_at, lifetime });
                }
            }
        }
        let rejection = rejection.unwrap_or(Rejection::NotConfirmed);
        tracing::info!(reason = ?rejection, "Azure DevOps rejected the credential");
        self.recently_accepted.remove(credential.fingerprint).await;
        self.shared.remove(credential).await;
        self.rejected.insert(credential.fingerprint, ()).await;
        Err(AzureError::Rejected(rejection))
    }

    /// Returns the user, and whether Azure DevOps Server responded.
    async fn look_up_with(
        &self,
        scheme: Scheme,
        credential: &PresentedCredential,
        traffic: Traffic,
        deadline: Instant,
    ) -> Result<(Usuario, bool), AzureError> {
        let (url_template, url, version) = match &self.source {
            // A preview resource: with `7.1` alone Azure DevOps responds 400.
            Source::Organisation(org) => {
                ("/_apis/connectionData", org.at("/_apis/connectionData", &[]), Version::Preview)
            }
            Source::Profile(base) => {
                ("/_apis/profile/profiles/me", base.at("/_apis/profile/profiles/me", &[]), Version::Fixed("7.1"))
            }
        };
        let call = Call {
            url_template,
            url,
            body: None,
            version,
            credential,
            scheme,
            traffic,
            max_bytes: MAX_BYTES,
            deadline,
        };
        let response = self.upstream.send(&call).await?;
        match self.source {
            Source::Organisation(_) => {
                let data: ConnectionData = json::read(&response.body)?;
                let is_on_premises = data.is_on_premises();
                Ok((identity_check::from_connection_data(data)?, is_on_premises))
            }
            Source::Profile(_) => Ok((identity_check::from_profile(json::read(&response.body)?)?, false)),
        }
    }

    /// Returns the time for which an identity of `credential` is cached.
    fn lifetime(&self, credential: &PresentedCredential) -> Duration {
        let until_exp = Jwt::read(&credential.token).and_then(|jwt| jwt.lifetime(self.clock.now()));
        until_exp.map_or(self.cache_ttl, |left| left.min(self.cache_ttl))
    }
}

/// Expires each identity after its own lifetime.
struct IdentityExpiry;

impl Expiry<Fingerprint, CachedIdentity> for IdentityExpiry {
    fn expire_after_create(
        &self,
        _: &Fingerprint,
        identity: &CachedIdentity,
        _: std::time::Instant,
    ) -> Option<Duration> {
        Some(identity.lifetime)
    }

    fn expire_after_update(
        &self,
        _: &Fingerprint,
        identity: &CachedIdentity,
        _: std::time::Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(identity.lifetime)
    }
}
