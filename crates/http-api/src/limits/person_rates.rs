//! The rate limit of each person, whatever token they use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use domain::{RateDecision, RateLimit, SharedRates};

/// Persons whose quota is whole are forgotten if more than this number is stored.
const MIN_STORED: usize = 1000;

/// The rates of all persons, in the memory that the replicas share, or else in this process. Here only a person who has sent a
/// request within the window takes memory.
pub struct PersonRates {
    limit: RateLimit,
    shared: Option<Arc<dyn SharedRates>>,
    stored: Mutex<Stored>,
}

#[derive(Debug)]
struct Stored {
    /// The time at which the quota of a person is whole again.
    whole_at: HashMap<String, Instant>,
    /// The number of persons at which those with a whole quota are removed.
    remove_at: usize,
}

impl PersonRates {
    /// Returns whole quotas.
    pub fn new(limit: RateLimit, shared: Option<Arc<dyn SharedRates>>) -> Self {
        Self { limit, shared, stored: Mutex::new(Stored { whole_at: HashMap::new(), remove_at: MIN_STORED }) }
    }

    /// Returns the limit of each person.
    pub const fn limit(&self) -> RateLimit {
        self.limit
    }

    /// Decides on a request that `person` sends now.
    pub async fn decide(&self, person: &str) -> RateDecision {
        let shared = match &self.shared {
            Some(shared) => shared.decide(self.limit, person).await,
            None => None,
        };
        shared.unwrap_or_else(|| self.decide_alone(person, Instant::now()))
    }

    fn decide_alone(&self, person: &str, now: Instant) -> RateDecision {
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(whole_at) = stored.whole_at.get_mut(person) {
            let decision = self.limit.decide(whole_at.saturating_duration_since(now));
            if decision.retry_after.is_none() {
                *whole_at = now + decision.reset_after;
            }
            return decision;
        }
        if stored.remove_at <= stored.whole_at.len() {
            stored.whole_at.retain(|_, whole_at| now < *whole_at);
            // Twice as many as are left, so that the cost of a removal is spread over as many new persons.
            stored.remove_at = MIN_STORED.max(2 * stored.whole_at.len());
        }
        let decision = self.limit.decide(std::time::Duration::ZERO);
        stored.whole_at.insert(person.to_owned(), now + decision.reset_after);
        decision
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::MockSharedRates;

    use super::*;

    fn rates(limit: &str) -> PersonRates {
        PersonRates::new(limit.parse().unwrap(), None)
    }

    fn allowed(rates: &PersonRates, person: &str, now: Instant) -> usize {
        (0..1000).take_while(|_| rates.decide_alone(person, now).retry_after.is_none()).count()
    }

    #[test]
    fn person_has_a_burst_and_then_the_rate() {
        let (rates, now) = (rates("10/s;20"), Instant::now());

        assert_eq!(allowed(&rates, "ana", now), 21);
        let refused = rates.decide_alone("ana", now + Duration::from_millis(60));
        assert_eq!(refused.retry_after, Some(Duration::from_millis(40)));
        assert_eq!(allowed(&rates, "ana", now + Duration::from_secs(1)), 10);
        assert_eq!(allowed(&rates, "ana", now + Duration::from_hours(1)), 21);
        assert_eq!(allowed(&rates, "bia", now), 21, "another person has a rate of their own");
    }

    #[test]
    fn refused_requests_do_not_delay_the_next_allowed_one() {
        let (rates, now) = (rates("1/s;0"), Instant::now());
        assert_eq!(allowed(&rates, "ana", now), 1);

        for _ in 0..100 {
            assert!(rates.decide_alone("ana", now + Duration::from_millis(999)).retry_after.is_some());
        }

        assert!(rates.decide_alone("ana", now + Duration::from_secs(1)).retry_after.is_none());
    }

    #[actix_web::test]
    async fn shared_memory_decides_and_without_it_the_process() {
        let mut shared = MockSharedRates::new();
        let refused =
            RateDecision { retry_after: Some(Duration::from_secs(1)), ..rates("1/s;0").limit.decide(Duration::ZERO) };
        shared.expect_decide().withf(|_, person| person == "ana").returning(move |_, _| Some(refused));
        shared.expect_decide().returning(|_, _| None);
        let rates = PersonRates::new("1/s;0".parse().unwrap(), Some(Arc::new(shared)));

        assert_eq!(rates.decide("ana").await, refused);
        assert_eq!(rates.decide("bia").await.retry_after, None);
        assert!(rates.decide("bia").await.retry_after.is_some());
    }

    #[test]
    fn persons_with_a_whole_quota_are_forgotten() {
        let (rates, now) = (rates("10/s;20"), Instant::now());
        for number in 0..100_000 {
            // One new person each millisecond, whose quota is whole after 100 ms.
            let _ = rates.decide_alone(&number.to_string(), now + Duration::from_millis(number));
            assert!(rates.stored.lock().unwrap().whole_at.len() <= MIN_STORED);
        }
    }

    #[test]
    fn concurrent_requests_of_a_person_are_counted_once_each() {
        let (rates, now) = (rates("1/s;99"), Instant::now());

        let counts: Vec<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| allowed(&rates, "ana", now))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });

        assert_eq!(counts.iter().sum::<usize>(), 100);
    }
}
