//! The metrics of an upstream, with the state of its circuit breakers.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::breaker::BreakerState;
use super::upstream::Upstream;

/// Registers the metrics of `upstream`.
pub(crate) fn register(registry: &mut Registry, upstream: Arc<Upstream>) {
    upstream.metrics().register(registry);
    registry.sub_registry_with_prefix("azure").register_collector(Box::new(BreakerCollector(upstream)));
}

struct BreakerCollector(Arc<Upstream>);

impl fmt::Debug for BreakerCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BreakerCollector")
    }
}

impl Collector for BreakerCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let help = "1 for the current state of the circuit breaker: closed, open or half_open (one probe call), for \
                    users accepted within the last day and for unknown users";
        let mut states = encoder.encode_descriptor("breaker_state", help, None, MetricType::Gauge)?;
        for (callers, now) in self.0.breaker_states() {
            for (state, name) in
                [(BreakerState::Closed, "closed"), (BreakerState::Open, "open"), (BreakerState::HalfOpen, "half_open")]
            {
                let labels = [("callers", callers), ("state", name)];
                ConstGauge::new(i64::from(state == now)).encode(states.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
