//! Who is behind a credential: Azure is asked once, and the answer is remembered for a while.

use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, Usuario};
use moka::Expiry;
use moka::future::Cache;
use tokio::time::Instant;

use super::identity_check;
use super::recently_accepted::Recent;
use crate::client::{Call, LookUp, Traffic, Upstream, json};
use crate::config::AzureConfig;
use crate::credential::{Fingerprint, Jwt, Scheme, Shown};
use crate::error::Failure;
use crate::service_url::ServiceUrl;

const MAX_BYTES: usize = 1024 * 1024;

/// Who answers the question.
pub(crate) enum Source {
    /// The organisation at that address.
    Organisation(ServiceUrl),
    /// The global profile service at that address.
    Profile(ServiceUrl),
}

/// A user, and how Azure was convinced of it.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) usuario: Usuario,
    /// The way of showing the credential that Azure took.
    pub(crate) scheme: Scheme,
    checked_at: Instant,
    lifetime: Duration,
}

/// See the module. Rejected credentials have a place of their own, so that strangers cannot crowd out the users.
pub(crate) struct Identities {
    upstream: Arc<Upstream>,
    clock: Arc<dyn Clock>,
    source: Source,
    known: Cache<Fingerprint, Known>,
    /// Remembers nothing: it makes one call of all that find the same identity too old at once.
    renewals: Cache<Fingerprint, Known>,
    rejected: Cache<Fingerprint, ()>,
    recent: Recent,
    cache_ttl: Duration,
    timeout: Duration,
}

impl Identities {
    pub(crate) fn new(config: &AzureConfig, source: Source, upstream: Arc<Upstream>, clock: Arc<dyn Clock>) -> Self {
        let rejected = Cache::builder().max_capacity(config.cache_capacity).time_to_live(config.rejected_ttl);
        Self {
            upstream,
            clock,
            source,
            known: Cache::builder().max_capacity(config.cache_capacity).expire_after(UntilItsEnd).build(),
            renewals: Cache::builder().max_capacity(config.cache_capacity).time_to_live(Duration::ZERO).build(),
            rejected: rejected.build(),
            recent: Recent::new(config.cache_capacity),
            cache_ttl: config.cache_ttl,
            timeout: config.timeouts.identity,
        }
    }

    /// What Azure accepted lately.
    pub(crate) const fn recent(&self) -> &Recent {
        &self.recent
    }

    /// The user behind `shown`. However many ask at once for the same credential, Azure is asked once.
    pub(crate) async fn identify(&self, shown: &Shown) -> Result<Known, Failure> {
        let metrics = self.upstream.metrics();
        if !shown.is_sendable() || self.rejected.contains_key(&shown.fingerprint) {
            metrics.looked_up(LookUp::Rejected);
            return Err(Failure::Rejected);
        }
        if let Some(known) = self.known.get(&shown.fingerprint).await {
            metrics.looked_up(LookUp::Hit);
            return Ok(known);
        }
        metrics.looked_up(LookUp::Miss);
        let asked = self.known.try_get_with(shown.fingerprint, self.ask(shown)).await;
        asked.map_err(|failure| (*failure).clone())
    }

    /// As [`Self::identify`], but what was learnt longer ago than `age` does not count.
    pub(crate) async fn identify_within(&self, shown: &Shown, age: Duration) -> Result<Known, Failure> {
        let known = self.identify(shown).await?;
        if known.checked_at.elapsed() <= age {
            return Ok(known);
        }
        let renewed = self.renewals.try_get_with(shown.fingerprint, self.renew(shown, age)).await;
        renewed.map_err(|failure| (*failure).clone())
    }

    async fn renew(&self, shown: &Shown, age: Duration) -> Result<Known, Failure> {
        // Whoever comes just after another one has renewed it.
        if let Some(known) = self.known.get(&shown.fingerprint).await
            && known.checked_at.elapsed() <= age
        {
            return Ok(known);
        }
        // What is remembered stays until there is something better: Azure may be ill.
        let asked = self.ask(shown).await;
        match &asked {
            Ok(known) => self.known.insert(shown.fingerprint, known.clone()).await,
            Err(Failure::Rejected) => self.forget(shown).await,
            Err(_) => {}
        }
        asked
    }

    /// Asks Azure the next time.
    pub(crate) async fn forget(&self, shown: &Shown) {
        self.known.invalidate(&shown.fingerprint).await;
    }

    async fn ask(&self, shown: &Shown) -> Result<Known, Failure> {
        let deadline = Instant::now() + self.timeout;
        let priority = self.recent.priority(shown.fingerprint, shown.user).await;
        let traffic = if priority.is_some() { Traffic::User } else { Traffic::Newcomer };
        for &scheme in shown.schemes {
            match self.ask_with(scheme, shown, traffic, deadline).await {
                Err(Failure::Rejected) => {}
                Err(failure) => return Err(failure),
                Ok(usuario) => {
                    tracing::info!(user = usuario.id, ?scheme, "Azure DevOps knows the credential");
                    self.recent.remember(shown.fingerprint).await;
                    return Ok(self.known(usuario, scheme, shown));
                }
            }
        }
        tracing::info!("Azure DevOps rejects the credential");
        self.recent.forget(shown.fingerprint).await;
        self.rejected.insert(shown.fingerprint, ()).await;
        Err(Failure::Rejected)
    }

    async fn ask_with(
        &self,
        scheme: Scheme,
        shown: &Shown,
        traffic: Traffic,
        deadline: Instant,
    ) -> Result<Usuario, Failure> {
        let (name, url) = match &self.source {
            // It exists as a preview only: with a plain 7.1 Azure answers 400 to everybody.
            Source::Organisation(org) => {
                ("connectionData", org.at("/_apis/connectionData", &[("api-version", "7.1-preview.1")]))
            }
            Source::Profile(base) => ("profile", base.at("/_apis/profile/profiles/me", &[("api-version", "7.1")])),
        };
        let call = Call { name, url, shown, scheme, traffic, max_bytes: MAX_BYTES, deadline };
        let answer = self.upstream.get(&call).await?;
        match self.source {
            Source::Organisation(_) => identity_check::of_organisation(json::read(&answer.body)?),
            Source::Profile(_) => identity_check::of_profile(json::read(&answer.body)?),
        }
    }

    fn known(&self, usuario: Usuario, scheme: Scheme, shown: &Shown) -> Known {
        let until_exp = Jwt::read(&shown.token).and_then(|jwt| jwt.lifetime(self.clock.now()));
        let lifetime = until_exp.map_or(self.cache_ttl, |left| left.min(self.cache_ttl));
        Known { usuario, scheme, checked_at: Instant::now(), lifetime }
    }
}

/// Every identity says itself how long it may be remembered.
struct UntilItsEnd;

impl Expiry<Fingerprint, Known> for UntilItsEnd {
    fn expire_after_create(&self, _: &Fingerprint, known: &Known, _: std::time::Instant) -> Option<Duration> {
        Some(known.lifetime)
    }

    fn expire_after_update(
        &self,
        _: &Fingerprint,
        known: &Known,
        _: std::time::Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(known.lifetime)
    }
}
