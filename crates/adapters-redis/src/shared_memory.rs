//! The adapter: both ports over one connection.

use std::sync::Arc;

use domain::Clock;
use prometheus_client::registry::Registry;
use redis::Script;
use time::OffsetDateTime;
use tokio::task::JoinSet;

use crate::config::Config;
use crate::keys::Keys;
use crate::link::Link;
use crate::rates::SCRIPT;

/// Identities and rates that the replicas share.
pub struct SharedMemory {
    link: Arc<Link>,
    keys: Keys,
    gcra: Script,
    clock: Arc<dyn Clock>,
    /// Dropping it ends the task that reconnects.
    _tasks: JoinSet<()>,
}

impl SharedMemory {
    /// Connects within a second, or later in the background. The task for that runs on the current runtime.
    pub async fn start(config: &Config, clock: Arc<dyn Clock>) -> Self {
        let link = Arc::new(Link::new(config.client.clone()));
        link.connect().await;
        let mut tasks = JoinSet::new();
        let kept = Arc::clone(&link);
        tasks.spawn(async move { kept.keep().await });
        Self { link, keys: config.keys.clone(), gcra: Script::new(SCRIPT), clock, _tasks: tasks }
    }

    /// Registers the metrics of the adapter.
    pub fn register(&self, registry: &mut Registry) {
        self.link.metrics.register(registry);
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    pub(crate) const fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) const fn gcra(&self) -> &Script {
        &self.gcra
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }
}
