//! Throttling per credential: after a `Retry-After`, every further call with the credential waits.

use std::time::Duration;

use moka::future::Cache;
use tokio::time::{Instant, sleep};

use crate::credential::Fingerprint;
use crate::error::AzureError;

/// Upper bound for a delay that Azure DevOps requests.
pub(crate) const MAX_THROTTLE_DELAY: Duration = Duration::from_mins(5);
/// How long after a delay Azure DevOps may still respond with 401 to a valid credential because of overload.
const RECENT_WINDOW: Duration = Duration::from_secs(30);

/// The time until which each throttled credential is blocked. Bounded; other credentials have no entry.
pub(crate) struct Throttle(Cache<Fingerprint, Instant>);

impl Throttle {
    pub(crate) fn new(capacity: u64) -> Self {
        Self(Cache::builder().max_capacity(capacity).time_to_live(MAX_THROTTLE_DELAY + RECENT_WINDOW).build())
    }

    /// Blocks a credential for `delay`. A longer block that is already set remains.
    pub(crate) async fn block_for(&self, credential: Fingerprint, delay: Duration) {
        let until = Instant::now() + delay.min(MAX_THROTTLE_DELAY);
        if self.0.get(&credential).await.is_none_or(|blocked| blocked < until) {
            self.0.insert(credential, until).await;
        }
    }

    /// Waits until the credential is free. Returns `Unavailable` immediately if that is after `deadline`.
    pub(crate) async fn wait(&self, credential: Fingerprint, deadline: Instant) -> Result<(), AzureError> {
        while let Some(until) = self.0.get(&credential).await {
            let now = Instant::now();
            if until <= now {
                break;
            }
            if deadline < until {
                return Err(AzureError::unavailable(until - now, "Azure DevOps throttles this credential"));
            }
            sleep(until - now).await;
        }
        Ok(())
    }

    /// Whether the credential is throttled, or was within the last 30 s.
    pub(crate) async fn recently_throttled(&self, credential: Fingerprint) -> bool {
        self.0.get(&credential).await.is_some_and(|until| Instant::now() < until + RECENT_WINDOW)
    }
}
