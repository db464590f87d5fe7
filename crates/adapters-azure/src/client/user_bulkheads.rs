//! One bulkhead per user, so that the queries of one user cannot block others.

use std::sync::Arc;

use moka::future::Cache;

use super::bulkhead::Bulkhead;
use crate::config::AzureConfig;

/// Maximum number of concurrent queries per user.
const MAX_CONCURRENT_PER_USER: usize = 4;

pub(crate) struct UserBulkheads(Cache<String, Arc<Bulkhead>>);

impl UserBulkheads {
    pub(crate) fn new(config: &AzureConfig) -> Self {
        // Longer than any query, so that a bulkhead in use is not replaced.
        let idle = config.timeouts.directory * 2;
        Self(Cache::builder().max_capacity(config.cache_capacity).time_to_idle(idle).build())
    }

    /// Returns the bulkhead of a user.
    pub(crate) async fn of(&self, user_id: &str) -> Arc<Bulkhead> {
        self.0.get_with_by_ref(user_id, async { Arc::new(Bulkhead::new(MAX_CONCURRENT_PER_USER)) }).await
    }
}
