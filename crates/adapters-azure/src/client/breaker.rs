//! A circuit breaker. It opens after consecutive failures; after `open_duration` it lets one probe call through.
//!
//! The caller decides what counts as a failure. A response that a client can provoke must never count.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::BreakerConfig;

/// `Retry-After` for calls that arrive while the probe call is in flight.
const PROBE_RETRY_AFTER: Duration = Duration::from_secs(1);

pub(crate) struct Breaker {
    config: BreakerConfig,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Calls pass. Counts consecutive failures.
    Closed { failures: u32 },
    /// Calls fail until `until`. The first call after it becomes the probe.
    Open { until: Instant },
    /// The probe call is in flight.
    HalfOpen,
}

/// The state of the breaker, as the metrics report it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BreakerState {
    /// Calls pass.
    Closed,
    /// Calls fail immediately.
    Open,
    /// One probe call is in flight or may start.
    HalfOpen,
}

/// Permission for one call. A permit dropped without [`Permit::record`] counts as neither success nor failure.
pub(crate) struct Permit<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
    is_recorded: bool,
}

impl Breaker {
    pub(crate) fn new(config: BreakerConfig) -> Self {
        Self { config, state: Mutex::new(State::Closed { failures: 0 }) }
    }

    /// Returns a permit, or the time after which a retry is useful.
    pub(crate) fn try_acquire(&self, now: Instant) -> Result<Permit<'_>, Duration> {
        let mut state = self.lock();
        let is_probe = match *state {
            State::Closed { .. } => false,
            State::Open { until } if until <= now => true,
            State::Open { until } => return Err(until - now),
            State::HalfOpen => return Err(PROBE_RETRY_AFTER.min(self.config.open_duration)),
        };
        if is_probe {
            *state = State::HalfOpen;
        }
        Ok(Permit { breaker: self, is_probe, is_recorded: false })
    }

    /// Returns the state at `now`.
    pub(crate) fn state(&self, now: Instant) -> BreakerState {
        match *self.lock() {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { until } if now < until => BreakerState::Open,
            State::Open { .. } | State::HalfOpen => BreakerState::HalfOpen,
        }
    }

    /// Applies the result of a call. Results of calls that started before the last state change are ignored.
    fn record(&self, is_probe: bool, is_healthy: bool, now: Instant) {
        let mut state = self.lock();
        let open = State::Open { until: now + self.config.open_duration };
        *state = match *state {
            State::HalfOpen if is_probe && is_healthy => State::Closed { failures: 0 },
            State::HalfOpen if is_probe => {
                tracing::warn!("circuit breaker opened: the probe call to Azure DevOps failed");
                open
            }
            State::Closed { .. } if is_healthy => State::Closed { failures: 0 },
            State::Closed { failures } if failures + 1 < self.config.failure_threshold => {
                State::Closed { failures: failures + 1 }
            }
            State::Closed { .. } => {
                tracing::warn!(open_duration = ?self.config.open_duration, "circuit breaker opened: Azure DevOps fails");
                open
            }
            unchanged @ (State::Open { .. } | State::HalfOpen) => unchanged,
        };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// Records the result of the call.
    pub(crate) fn record(mut self, is_healthy: bool, now: Instant) {
        self.is_recorded = true;
        self.breaker.record(self.is_probe, is_healthy, now);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.is_probe && !self.is_recorded {
            *self.breaker.lock() = State::Open { until: Instant::now() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_DURATION: Duration = Duration::from_secs(15);

    fn breaker() -> Breaker {
        Breaker::new(BreakerConfig { failure_threshold: 3, open_duration: OPEN_DURATION })
    }

    fn record(breaker: &Breaker, healthy: &[bool], now: Instant) {
        for &is_healthy in healthy {
            breaker.try_acquire(now).unwrap_or_else(|_| panic!("it is open")).record(is_healthy, now);
        }
    }

    #[test]
    fn consecutive_failures_open_the_breaker_for_the_open_duration() {
        let (breaker, now) = (breaker(), Instant::now());

        record(&breaker, &[false, false, true, false, false], now);
        assert!(breaker.try_acquire(now).is_ok(), "a success resets the count");
        record(&breaker, &[false], now);

        assert_eq!(breaker.try_acquire(now).err(), Some(OPEN_DURATION));
        assert_eq!(breaker.try_acquire(now + OPEN_DURATION / 3).err(), Some(OPEN_DURATION * 2 / 3));
    }

    #[test]
    fn half_open_breaker_admits_one_probe_whose_result_decides() {
        let (breaker, now) = (breaker(), Instant::now());
        assert_eq!(breaker.state(now), BreakerState::Closed);
        record(&breaker, &[false, false, false], now);
        assert_eq!(
            (breaker.state(now), breaker.state(now + OPEN_DURATION)),
            (BreakerState::Open, BreakerState::HalfOpen)
        );

        let probe = breaker.try_acquire(now + OPEN_DURATION).unwrap_or_else(|_| panic!("it is open"));
        assert_eq!(breaker.try_acquire(now + OPEN_DURATION).err(), Some(PROBE_RETRY_AFTER), "one probe at a time");
        probe.record(false, now + OPEN_DURATION);
        assert_eq!(breaker.try_acquire(now + OPEN_DURATION).err(), Some(OPEN_DURATION), "the probe failed");

        record(&breaker, &[true], now + OPEN_DURATION * 2);
        record(&breaker, &[true, true], now + OPEN_DURATION * 2);
    }

    #[test]
    fn dropped_probe_permit_admits_another_probe() {
        let (breaker, now) = (breaker(), Instant::now());
        record(&breaker, &[false, false, false], now - OPEN_DURATION);

        drop(breaker.try_acquire(now));

        assert!(breaker.try_acquire(Instant::now()).is_ok());
    }

    #[test]
    fn results_from_before_a_state_change_are_ignored() {
        let (breaker, now) = (breaker(), Instant::now());
        let mut early: Vec<_> = (0..6).map_while(|_| breaker.try_acquire(now).ok()).collect();
        assert_eq!(early.len(), 6);
        let last = early.pop();

        for (permit, is_healthy) in early.into_iter().zip([false, false, false, true, false]) {
            permit.record(is_healthy, now);
        }
        assert_eq!(breaker.try_acquire(now).err(), Some(OPEN_DURATION));

        let probe = breaker.try_acquire(now + OPEN_DURATION);
        last.unwrap().record(true, now + OPEN_DURATION);
        assert_eq!(breaker.try_acquire(now + OPEN_DURATION).err(), Some(PROBE_RETRY_AFTER), "only the probe decides");
        drop(probe);
    }
}
