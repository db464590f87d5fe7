//! Failed sign-ins by client address: each address has a token bucket. Only credentials that were not accepted lately
//! need a token, so strangers behind the same address (NAT, a proxy that is not in `TRUSTED_PROXIES`) lock out no user.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use moka::future::Cache;
use moka::policy::EvictionPolicy;

/// How many credentials of one address may fail at once: a whole office whose tokens expired over night.
const BURST: f64 = 100.0;
/// How many more may fail each second.
const PER_SECOND: f64 = 1.0;
/// How many addresses are kept, some 2 MB. The one that was seen least recently is forgotten first.
const ADDRESSES: u64 = 10_000;
/// When a bucket is full again whatever happened.
const FULL_AGAIN: Duration = Duration::from_secs(100);

/// See the module.
pub struct FailedSignIns(Cache<IpAddr, Arc<Mutex<Bucket>>>);

struct Bucket {
    tokens: f64,
    counted_at: Instant,
}

/// A sign-in that was let through. Dropped as it is it counts as failed, also when its client goes away.
#[must_use]
pub struct Attempt(Arc<Mutex<Bucket>>);

impl FailedSignIns {
    /// No failures yet.
    pub fn new() -> Self {
        let cache = Cache::builder().max_capacity(ADDRESSES).time_to_idle(FULL_AGAIN);
        Self(cache.eviction_policy(EvictionPolicy::lru()).build())
    }

    /// Lets a sign-in of `client` through, or returns how long it has to wait. Without an address there is one bucket
    /// for all.
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
    /// It has not failed: the token goes back.
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

/// What one customer of a provider has: an IPv4 address, or a /64 of IPv6.
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
    async fn an_address_has_a_burst_and_one_more_each_second() {
        let (limit, now) = (FailedSignIns::new(), Instant::now());

        assert_eq!(failures(&limit, "192.0.2.1", now).await, 100);
        let wait = limit.attempt(Some("192.0.2.1".parse().unwrap()), now + Duration::from_millis(250)).await;
        assert_eq!(wait.err(), Some(Duration::from_millis(750)));
        assert_eq!(failures(&limit, "192.0.2.1", now + Duration::from_secs(10)).await, 10);
        assert_eq!(failures(&limit, "192.0.2.1", now + Duration::from_hours(1)).await, 100);
        assert_eq!(failures(&limit, "192.0.2.2", now).await, 100);
    }

    #[actix_web::test]
    async fn an_address_of_ipv6_is_its_first_64_bits() {
        let (limit, now) = (FailedSignIns::new(), Instant::now());

        assert_eq!(failures(&limit, "2001:db8:0:1::1", now).await, 100);
        assert_eq!(failures(&limit, "2001:db8:0:1:ffff:ffff:ffff:ffff", now).await, 0);
        assert_eq!(failures(&limit, "2001:db8:0:2::1", now).await, 100);
    }

    #[actix_web::test]
    async fn what_does_not_fail_costs_nothing_and_what_is_still_open_counts() {
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
    async fn memory_is_bounded() {
        let (limit, now) = (FailedSignIns::new(), Instant::now());
        for n in 0..30_000_u32 {
            drop(limit.attempt(Some(Ipv4Addr::from(n).into()), now).await);
        }
        limit.0.run_pending_tasks().await;

        assert!(limit.0.entry_count() <= ADDRESSES, "{}", limit.0.entry_count());
    }
}
