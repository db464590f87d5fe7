//! The rate at which one person may send requests: a token bucket, kept as the time until it is full again (GCRA).

use std::str::FromStr;
use std::time::Duration;

/// The largest rate and the largest burst.
const MAX: u32 = 10_000;

/// A rate with a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    per_second: u32,
    burst: u32,
}

/// A text that is not a [`RateLimit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not {}", RateLimit::ALLOWED)]
pub struct NotARateLimit;

/// The decision on one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateDecision {
    /// The time until the next request is allowed; `None` if this one is.
    pub retry_after: Option<Duration>,
    /// The number of further requests that are allowed at once.
    pub remaining: u32,
    /// The time until the quota is whole again.
    pub reset_after: Duration,
}

impl RateLimit {
    /// The form of a rate limit.
    pub const ALLOWED: &str =
        "requests per second and burst like 10/s;20 (1 to 10000 per second, a burst of 0 to 10000)";

    /// Returns the number of requests that are allowed at once: the burst and the request that the rate allows by itself.
    #[must_use]
    pub const fn quota(self) -> u32 {
        self.burst + 1
    }

    /// Returns the time in which an exhausted quota becomes whole.
    #[must_use]
    pub fn window(self) -> Duration {
        self.interval() * self.quota()
    }

    /// Returns the longest time to a whole quota after which a request is still allowed.
    #[must_use]
    pub fn tolerance(self) -> Duration {
        self.interval() * self.burst
    }

    /// Returns the time from one request to the next at the rate without a burst.
    #[must_use]
    pub fn interval(self) -> Duration {
        Duration::from_secs(1) / self.per_second
    }

    /// Decides on a request of a person whose quota is whole again after `reset_after`. If the request is allowed, the quota
    /// is whole again after that of the decision.
    #[must_use]
    pub fn decide(self, reset_after: Duration) -> RateDecision {
        let (interval, tolerance) = (self.interval(), self.tolerance());
        let Some(left) = tolerance.checked_sub(reset_after) else {
            return RateDecision {
                retry_after: Some(reset_after.saturating_sub(tolerance)),
                remaining: 0,
                reset_after,
            };
        };
        let remaining = u32::try_from(left.as_nanos() / interval.as_nanos()).unwrap_or(self.burst);
        RateDecision { retry_after: None, remaining, reset_after: reset_after + interval }
    }
}

impl FromStr for RateLimit {
    type Err = NotARateLimit;

    fn from_str(text: &str) -> Result<Self, NotARateLimit> {
        let number = |text: &str| text.trim().parse().ok().filter(|number| *number <= MAX);
        let (rate, burst) = text.split_once(';').ok_or(NotARateLimit)?;
        let per_second = rate.trim().strip_suffix("/s").and_then(number).filter(|rate| 0 < *rate);
        Ok(Self { per_second: per_second.ok_or(NotARateLimit)?, burst: number(burst).ok_or(NotARateLimit)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn milliseconds(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn rate_limit_has_a_rate_and_a_burst() {
        for (text, quota, window) in [("10/s;20", 21, 2100), (" 1/s ; 0 ", 1, 1000), ("10000/s;10000", 10_001, 1000)] {
            let limit: RateLimit = text.parse().unwrap();
            assert_eq!((limit.quota(), limit.window().as_millis()), (quota, window), "{text}");
        }
        for text in ["", "10", "10/s", ";20", "10;20", "10/m;20", "0/s;20", "-1/s;2", "10/s;-1", "10/s;20;1", "10/s;2x"]
        {
            assert_eq!(text.parse::<RateLimit>(), Err(NotARateLimit), "{text}");
        }
        for text in ["10001/s;1", "1/s;10001", "99999999999/s;1", "1.5/s;1"] {
            assert_eq!(text.parse::<RateLimit>(), Err(NotARateLimit), "{text}");
        }
    }

    #[test]
    fn decide_allows_the_burst_and_then_the_rate() {
        let limit: RateLimit = "10/s;2".parse().unwrap();
        let allowed = |remaining, reset_after| RateDecision { retry_after: None, remaining, reset_after };
        for (reset_after, expected) in [
            (milliseconds(0), allowed(2, milliseconds(100))),
            (milliseconds(100), allowed(1, milliseconds(200))),
            (milliseconds(150), allowed(0, milliseconds(250))),
            (milliseconds(200), allowed(0, milliseconds(300))),
        ] {
            assert_eq!(limit.decide(reset_after), expected, "{reset_after:?}");
        }
        let refused = limit.decide(milliseconds(300));
        let expected =
            RateDecision { retry_after: Some(milliseconds(100)), remaining: 0, reset_after: milliseconds(300) };
        assert_eq!(refused, expected);
    }

    #[test]
    fn decide_with_a_rate_that_divides_no_second_allows_the_whole_quota() {
        let limit: RateLimit = "3/s;1000".parse().unwrap();
        let mut reset_after = Duration::ZERO;
        for number in 0..limit.quota() {
            let decision = limit.decide(reset_after);
            assert_eq!((decision.retry_after, decision.remaining), (None, limit.quota() - 1 - number));
            reset_after = decision.reset_after;
        }
        assert!(limit.decide(reset_after).retry_after.is_some());
    }
}
