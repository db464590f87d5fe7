//! Metrics of the work items whose hours are to be written to Azure DevOps.

use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, Error, WriteBackQueue, WriteBackTotals};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use tokio::time::sleep;

/// The time between two reads of the totals.
const INTERVAL: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    state: &'static str,
}

/// The metrics of one queue. They are those of all replicas, and each replica reads them.
#[derive(Debug, Clone, Default)]
pub struct WriteBackMetrics {
    jobs: Family<Labels, Gauge>,
    oldest: Gauge,
}

impl WriteBackMetrics {
    /// Adds the metrics to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("aponta_jobs", "Work items whose hours are to be written, or cannot be", self.jobs.clone());
        registry.register_with_unit(
            "aponta_jobs_oldest",
            "How long the oldest pending work item waits",
            Unit::Seconds,
            self.oldest.clone(),
        );
    }

    /// Reads the totals of `queue` again and again. If they cannot be read, the metrics keep their values.
    pub async fn watch(self, queue: Arc<dyn WriteBackQueue>, clock: Arc<dyn Clock>) {
        loop {
            if let Err(error) = self.read(&*queue, &*clock).await {
                tracing::debug!(?error, "totals of the write-back unavailable");
            }
            sleep(INTERVAL).await;
        }
    }

    async fn read(&self, queue: &dyn WriteBackQueue, clock: &dyn Clock) -> Result<(), Error> {
        let WriteBackTotals { pendentes, erros, desde } = queue.totals().await?;
        for (state, count) in [("pending", pendentes), ("failed", erros)] {
            self.jobs.get_or_create(&Labels { state }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let age = desde.map_or(0, |since| (clock.now() - since).whole_seconds().max(0));
        self.oldest.set(age);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use domain::MockWriteBackQueue;
    use domain::testing::{NOW, fixed_clock};

    use super::*;

    #[tokio::test]
    async fn totals_of_the_queue_are_its_metrics() {
        let mut queue = MockWriteBackQueue::new();
        let desde = Some(NOW - time::Duration::seconds(90));
        queue.expect_totals().returning(move || Ok(WriteBackTotals { pendentes: 3, erros: 2, desde }));
        let (metrics, mut registry) = (WriteBackMetrics::default(), Registry::default());
        metrics.register(&mut registry);

        metrics.read(&queue, &*fixed_clock()).await.unwrap();

        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in
            ["aponta_jobs{state=\"pending\"} 3", "aponta_jobs{state=\"failed\"} 2", "aponta_jobs_oldest_seconds 90"]
        {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
