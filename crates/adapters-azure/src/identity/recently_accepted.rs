//! Which credentials and users Azure accepted lately, for longer than their identity is cached: when that has expired,
//! they are looked up ahead of credentials that were never seen. It lets nobody in.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use moka::policy::EvictionPolicy;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::credential::Fingerprint;

/// Longer than a night, so that those who come back in the morning are not taken for strangers.
const MAX_IDLE: Duration = Duration::from_hours(24);

/// See the module. Only what Azure accepted enters, so strangers cannot crowd out users.
pub(crate) struct Recent(Cache<Fingerprint, Arc<Semaphore>>);

impl Recent {
    pub(crate) fn new(capacity: u64) -> Self {
        let cache = Cache::builder().max_capacity(capacity).time_to_idle(MAX_IDLE);
        Self(cache.eviction_policy(EvictionPolicy::lru()).build())
    }

    pub(crate) async fn remember(&self, accepted: Fingerprint) {
        self.0.get_with(accepted, async { Arc::new(Semaphore::new(1)) }).await;
    }

    pub(crate) async fn forget(&self, rejected: Fingerprint) {
        self.0.invalidate(&rejected).await;
    }

    pub(crate) fn contains(&self, fingerprint: Fingerprint) -> bool {
        self.0.contains_key(&fingerprint)
    }

    /// The right to look up one credential ahead of strangers, if it or its `user` was accepted lately. Each has one
    /// such look-up at a time, so that a user cannot fill the lane of all users with made-up access tokens.
    pub(crate) async fn priority(
        &self,
        credential: Fingerprint,
        user: Option<Fingerprint>,
    ) -> Option<OwnedSemaphorePermit> {
        for fingerprint in [Some(credential), user].into_iter().flatten() {
            let one = self.0.get(&fingerprint).await;
            if let Some(Ok(permit)) = one.map(Semaphore::try_acquire_owned) {
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
    async fn each_has_one_look_up_at_a_time_until_it_is_rejected() {
        let fingerprints = Fingerprints::new("").unwrap();
        let [pat, other, user] = ["pat", "other", "user"].map(|text| fingerprints.of("bearer", &text.into()));
        let recent = Recent::new(10);
        recent.remember(pat).await;
        recent.remember(user).await;

        let first = recent.priority(pat, None).await;
        assert!(first.is_some() && recent.priority(pat, None).await.is_none());
        assert!(recent.priority(other, None).await.is_none());
        let vouched = recent.priority(other, Some(user)).await;
        assert!(vouched.is_some() && recent.priority(other, Some(user)).await.is_none());

        drop(first);
        assert!(recent.contains(pat) && recent.priority(pat, None).await.is_some());
        recent.forget(pat).await;
        assert!(!recent.contains(pat) && recent.priority(pat, None).await.is_none());
    }
}
