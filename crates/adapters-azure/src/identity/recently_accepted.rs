//! Credentials and users that Azure DevOps accepted within the last day.
//!
//! After their cached identity expires, their look-ups take priority over those of unknown credentials. An entry alone
//! never authenticates a request.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use moka::policy::EvictionPolicy;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::credential::Fingerprint;

/// Longer than a night, so that users who return in the morning still have priority.
const MAX_IDLE: Duration = Duration::from_hours(24);

/// Holds only accepted credentials, so unknown ones cannot evict users.
pub(crate) struct RecentlyAccepted(Cache<Fingerprint, Arc<Semaphore>>);

impl RecentlyAccepted {
    pub(crate) fn new(capacity: u64) -> Self {
        let cache = Cache::builder().max_capacity(capacity).time_to_idle(MAX_IDLE);
        Self(cache.eviction_policy(EvictionPolicy::lru()).build())
    }

    pub(crate) async fn insert(&self, accepted: Fingerprint) {
        self.0.get_with(accepted, async { Arc::new(Semaphore::new(1)) }).await;
    }

    pub(crate) async fn remove(&self, rejected: Fingerprint) {
        self.0.invalidate(&rejected).await;
    }

    pub(crate) fn contains(&self, fingerprint: Fingerprint) -> bool {
        self.0.contains_key(&fingerprint)
    }

    /// Returns a permit for a look-up with priority, if the credential or its `user` was accepted recently.
    ///
    /// Each entry allows one such look-up at a time, so that a user cannot fill the bulkhead of all users with forged
    /// access tokens.
    pub(crate) async fn acquire_priority(
        &self,
        credential: Fingerprint,
        user: Option<Fingerprint>,
    ) -> Option<OwnedSemaphorePermit> {
        for fingerprint in [Some(credential), user].into_iter().flatten() {
            let semaphore = self.0.get(&fingerprint).await;
            if let Some(Ok(permit)) = semaphore.map(Semaphore::try_acquire_owned) {
                return Some(permit);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Fingerprints;

    #[tokio::test]
    async fn entry_allows_one_priority_look_up_at_a_time_until_removed() {
        let fingerprints = Fingerprints::new("").unwrap();
        let [pat, other, user] = ["pat", "other", "user"].map(|text| fingerprints.of("bearer", &text.into()));
        let recent = RecentlyAccepted::new(10);
        recent.insert(pat).await;
        recent.insert(user).await;

        let first = recent.acquire_priority(pat, None).await;
        assert!(first.is_some() && recent.acquire_priority(pat, None).await.is_none());
        assert!(recent.acquire_priority(other, None).await.is_none());
        let vouched = recent.acquire_priority(other, Some(user)).await;
        assert!(vouched.is_some() && recent.acquire_priority(other, Some(user)).await.is_none());

        drop(first);
        assert!(recent.contains(pat) && recent.acquire_priority(pat, None).await.is_some());
        recent.remove(pat).await;
        assert!(!recent.contains(pat) && recent.acquire_priority(pat, None).await.is_none());
    }
}
