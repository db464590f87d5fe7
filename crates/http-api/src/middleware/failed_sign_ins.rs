//! Rate limit of failed sign-ins: a token bucket per client address. Only credentials that were not accepted recently take a
//! token, so failures behind a shared address (NAT, a proxy outside of `TRUSTED_PROXIES`) lock out no signed-in user.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use moka::future::Cache;
use moka::policy::EvictionPolicy;

/// The burst per address: an office whose tokens expired overnight.
const BURST: f64 = 100.0;
/// The refill rate per address.
const PER_SECOND: f64 = 1.0;
/// The maximum number of addresses, about 2 MB. The least recently used one is evicted.
const MAX_ADDRESSES: u64 = 10_000;
/// The time until an empty bucket is full.
const REFILL_TIME: Duration = Duration::from_secs(100);

/// The token buckets of all addresses.
pub struct FailedSignIns(Cache<IpAddr, Arc<Mutex<Bucket>>>);

struct Bucket {
    tokens: f64,
    counted_at: Instant,
}

/// A sign-in in progress. It counts as failed if it is dropped, also by a client that disconnects.
#[must_use]
pub struct Attempt(Arc<Mutex<Bucket>>);

impl FailedSignIns {
    /// Returns full buckets.
    pub fn new() -> Self {
        let cache = Cache::builder().max_capacity(MAX_ADDRESSES).time_to_idle(REFILL_TIME);
        Self(cache.eviction_policy(EvictionPolicy::lru()).build())
    }

    /// Takes a token of `client`. Clients without an address share one bucket.
    ///
    /// # Errors
    /// The time until the next token.
    pub async fn attempt(&self, client: Option<IpAddr>, now: Instant) -> Result<Attempt, Duration> {
        let full = async { Arc::new(Mutex::new(Bucket { tokens: BURST, counted_at: now })) };
        let bucket = self.0.get_with(client.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), network), full).await;
        lock(&bucket).take(now)?;
        Ok(Attempt(bucket))
    }
}

impl Attempt {
    /// Returns the token.
    pub fn succeeded(self) {
        let mut bucket = lock(&self.0);
        bucket.tokens = (bucket.tokens + 1.0).min(BURST);
    }
}

impl Bucket {
    fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let passed = now.saturating_duration_since(self.counted_at).as_secs_f64();
        self.tokens = (self.tokens + passed * PER_SECOND).min(BURST);
        self.counted_at = self.counted_at.max(now);
        if self.tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - self.tokens) / PER_SECOND));
        }
        self.tokens -= 1.0;
        Ok(())
    }
}

fn lock(bucket: &Mutex<Bucket>) -> MutexGuard<'_, Bucket> {
    bucket.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the network that a provider assigns to one customer: an IPv4 address or a /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn failures(limit: &FailedSignIns, client: &str, now: Instant) -> usize {
        let client = Some(client.parse().unwrap());
        let mut failed = 0;
        while limit.attempt(client, now).await.is_ok() {
            failed += 1;
        }
        failed
    }

    #[actix_web::test]
    async fn address_has_a_burst_and_refills_once_per_second() {
        let (limit, now) = (FailedSignIns::new(), Instant::now());

        assert_eq!(failures(&limit, "192.0.2.1", now).await, 100);
        let wait = limit.attempt(Some("192.0.2.1".parse().unwrap()), now + Duration::from_millis(250)).await;
        assert_eq!(wait.err(), Some(Duration::from_millis(750)));
        assert_eq!(failures(&limit, "192.0.2.1", now + Duration::from_secs(10)).await, 10);
        assert_eq!(failures(&limit, "192.0.2.1", now + Duration::from_hours(1)).await, 100);
        assert_eq!(failures(&limit, "192.0.2.2", now).await, 100);
    }

    #[actix_web::test]
    async fn ipv6_addresses_of_a_64_share_a_bucket() {
        let (limit, now) = (FailedSignIns::new(), Instant::now());

        assert_eq!(failures(&limit, "2001:db8:0:1::1", now).await, 100);
        assert_eq!(failures(&limit, "2001:db8:0:1:ffff:ffff:ffff:ffff", now).await, 0);
        assert_eq!(failures(&limit, "2001:db8:0:2::1", now).await, 100);
    }

    #[actix_web::test]
    async fn successful_attempt_returns_its_token_and_open_one_holds_it() {
        let (limit, now) = (FailedSignIns::new(), Instant::now());
        for _ in 0..1_000 {
            limit.attempt(None, now).await.unwrap().succeeded();
        }
        let mut open = Vec::new();
        while let Ok(attempt) = limit.attempt(None, now).await {
            open.push(attempt);
        }
        assert_eq!(open.len(), 100);

        open.pop().unwrap().succeeded();
        assert!(limit.attempt(None, now).await.is_ok() && limit.attempt(None, now).await.is_err());
    }

    #[actix_web::test]
    async fn number_of_addresses_is_bounded() {
        let (limit, now) = (FailedSignIns::new(), Instant::now());
        for n in 0..30_000_u32 {
            drop(limit.attempt(Some(Ipv4Addr::from(n).into()), now).await);
        }
        limit.0.run_pending_tasks().await;

        assert!(limit.0.entry_count() <= MAX_ADDRESSES, "{}", limit.0.entry_count());
    }
}
