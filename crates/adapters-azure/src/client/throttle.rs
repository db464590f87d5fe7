//! One gate for each credential: when Azure asks its user to wait, every further call with it waits.

use std::time::Duration;

use moka::future::Cache;
use tokio::time::{Instant, sleep};

use crate::credential::Fingerprint;
use crate::error::Failure;

/// The longest wait that is believed.
pub(crate) const MAX_HOLD: Duration = Duration::from_mins(5);
/// How long after a wait Azure may still answer 401 to a good credential because of overload.
const AFTERMATH: Duration = Duration::from_secs(30);

/// The gates that are shut, or were until lately. Only throttled credentials are kept, and only so many.
pub(crate) struct Gates(Cache<Fingerprint, Instant>);

impl Gates {
    pub(crate) fn new(capacity: u64) -> Self {
        Self(Cache::builder().max_capacity(capacity).time_to_live(MAX_HOLD + AFTERMATH).build())
    }

    /// Shuts the gate of a credential for `hold`, unless it is shut for longer anyway.
    pub(crate) async fn shut(&self, credential: Fingerprint, hold: Duration) {
        let until = Instant::now() + hold.min(MAX_HOLD);
        if self.0.get(&credential).await.is_none_or(|known| known < until) {
            self.0.insert(credential, until).await;
        }
    }

    /// Waits until the gate opens, if that is before `deadline`.
    pub(crate) async fn pass(&self, credential: Fingerprint, deadline: Instant) -> Result<(), Failure> {
        while let Some(until) = self.0.get(&credential).await {
            let now = Instant::now();
            if until <= now {
                break;
            }
            if deadline < until {
                return Err(Failure::unavailable(until - now, "Azure DevOps asked this credential to wait"));
            }
            sleep(until - now).await;
        }
        Ok(())
    }

    /// Whether Azure throttled that credential lately.
    pub(crate) async fn was_shut_lately(&self, credential: Fingerprint) -> bool {
        self.0.get(&credential).await.is_some_and(|until| Instant::now() < until + AFTERMATH)
    }
}
