//! The port of shared rates: GCRA as a script, which the server runs as one step.

use std::time::Duration;

use async_trait::async_trait;
use domain::{RateDecision, RateLimit, SharedRates};

use crate::metrics::{Outcome, Use};
use crate::shared_memory::SharedMemory;

pub(crate) const SCRIPT: &str = include_str!("gcra.lua");

#[async_trait]
impl SharedRates for SharedMemory {
    async fn decide(&self, limit: RateLimit, person: &str) -> Option<RateDecision> {
        let mut call = self.gcra().key(self.keys().name("rate", &person.into()));
        call.arg(microseconds(limit.tolerance())).arg(microseconds(limit.interval()));
        let reset_after: i64 =
            self.link().run(Use::Rates, async |mut connection| call.invoke_async(&mut connection).await).await?;
        // Only an entry that this service did not write makes it negative.
        let outcome = u64::try_from(reset_after).map(|reset_after| limit.decide(Duration::from_micros(reset_after)));
        self.link().metrics.count(Use::Rates, if outcome.is_ok() { Outcome::Ok } else { Outcome::Failed });
        outcome.ok()
    }
}

/// Returns the exact decimal, so that the script and [`RateLimit::decide`] compare alike.
fn microseconds(duration: Duration) -> String {
    format!("{}.{:03}", duration.as_micros(), duration.subsec_nanos() % 1000)
}
