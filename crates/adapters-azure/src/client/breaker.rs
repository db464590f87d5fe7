//! The circuit breaker: after some failures in a row Azure is left alone for a while, then one call tries again.
//!
//! What counts as a failure is not decided here, but it is never an answer that a caller can bring about at will.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Breaking;

/// How long the others are told to stay away while one call is trying.
const TRIAL: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct Breaker {
    breaking: Breaking,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// All is well, but for so many failures in a row.
    Closed { failures: u32 },
    /// Nobody calls until then; the first one after it tries.
    Open { until: Instant },
    /// One call is trying.
    Probing,
}

/// What the breaker does, for those who watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BreakerState {
    /// It lets calls through.
    Closed,
    /// It lets none through.
    Open,
    /// It lets one through, or would.
    HalfOpen,
}

/// The right to make one call. Dropped without a verdict it counts for nothing, and another call may try.
pub(crate) struct Permit<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
    is_settled: bool,
}

impl Breaker {
    pub(crate) fn new(breaking: Breaking) -> Self {
        Self { breaking, state: Mutex::new(State::Closed { failures: 0 }) }
    }

    /// Lets a call through, or says how long to stay away.
    pub(crate) fn enter(&self, now: Instant) -> Result<Permit<'_>, Duration> {
        let mut state = self.state();
        let is_probe = match *state {
            State::Closed { .. } => false,
            State::Open { until } if until <= now => true,
            State::Open { until } => return Err(until - now),
            State::Probing => return Err(TRIAL.min(self.breaking.pause)),
        };
        if is_probe {
            *state = State::Probing;
        }
        Ok(Permit { breaker: self, is_probe, is_settled: false })
    }

    /// What it does now.
    pub(crate) fn watch(&self, now: Instant) -> BreakerState {
        match *self.state() {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { until } if now < until => BreakerState::Open,
            State::Open { .. } | State::Probing => BreakerState::HalfOpen,
        }
    }

    /// Takes over what a call saw. Late news of calls that began before the last change of state do not count.
    fn settle(&self, is_probe: bool, is_healthy: bool, now: Instant) {
        let mut state = self.state();
        let open = State::Open { until: now + self.breaking.pause };
        *state = match *state {
            State::Probing if is_probe && is_healthy => State::Closed { failures: 0 },
            State::Probing if is_probe => {
                tracing::warn!("Azure DevOps is still ill and is left alone again");
                open
            }
            State::Closed { .. } if is_healthy => State::Closed { failures: 0 },
            State::Closed { failures } if failures + 1 < self.breaking.after => {
                State::Closed { failures: failures + 1 }
            }
            State::Closed { .. } => {
                tracing::warn!(pause = ?self.breaking.pause, "Azure DevOps is ill and is left alone");
                open
            }
            unchanged @ (State::Open { .. } | State::Probing) => unchanged,
        };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// Says what the call saw.
    pub(crate) fn settle(mut self, is_healthy: bool, now: Instant) {
        self.is_settled = true;
        self.breaker.settle(self.is_probe, is_healthy, now);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.is_probe && !self.is_settled {
            *self.breaker.state() = State::Open { until: Instant::now() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(15);

    fn breaker() -> Breaker {
        Breaker::new(Breaking { after: 3, pause: PAUSE })
    }

    fn see(breaker: &Breaker, healthy: &[bool], now: Instant) {
        for &is_healthy in healthy {
            breaker.enter(now).unwrap_or_else(|_| panic!("it is open")).settle(is_healthy, now);
        }
    }

    #[test]
    fn failures_in_a_row_open_it_for_the_pause() {
        let (breaker, now) = (breaker(), Instant::now());

        see(&breaker, &[false, false, true, false, false], now);
        assert!(breaker.enter(now).is_ok(), "a success in between starts the count again");
        see(&breaker, &[false], now);

        assert_eq!(breaker.enter(now).err(), Some(PAUSE));
        assert_eq!(breaker.enter(now + PAUSE / 3).err(), Some(PAUSE * 2 / 3));
    }

    #[test]
    fn after_the_pause_one_call_tries_and_decides() {
        let (breaker, now) = (breaker(), Instant::now());
        assert_eq!(breaker.watch(now), BreakerState::Closed);
        see(&breaker, &[false, false, false], now);
        assert_eq!((breaker.watch(now), breaker.watch(now + PAUSE)), (BreakerState::Open, BreakerState::HalfOpen));

        let probe = breaker.enter(now + PAUSE).unwrap_or_else(|_| panic!("it is open"));
        assert_eq!(breaker.enter(now + PAUSE).err(), Some(TRIAL), "one at a time");
        probe.settle(false, now + PAUSE);
        assert_eq!(breaker.enter(now + PAUSE).err(), Some(PAUSE), "still ill");

        see(&breaker, &[true], now + PAUSE * 2);
        see(&breaker, &[true, true], now + PAUSE * 2);
    }

    #[test]
    fn a_call_that_was_given_up_leaves_the_trial_to_the_next() {
        let (breaker, now) = (breaker(), Instant::now());
        see(&breaker, &[false, false, false], now - PAUSE);

        drop(breaker.enter(now));

        assert!(breaker.enter(Instant::now()).is_ok());
    }

    #[test]
    fn late_news_do_not_count() {
        let (breaker, now) = (breaker(), Instant::now());
        let mut early: Vec<_> = (0..6).map_while(|_| breaker.enter(now).ok()).collect();
        assert_eq!(early.len(), 6);
        let last = early.pop();

        for (permit, is_healthy) in early.into_iter().zip([false, false, false, true, false]) {
            permit.settle(is_healthy, now);
        }
        assert_eq!(breaker.enter(now).err(), Some(PAUSE));

        let probe = breaker.enter(now + PAUSE);
        last.unwrap().settle(true, now + PAUSE);
        assert_eq!(breaker.enter(now + PAUSE).err(), Some(TRIAL), "only the probe decides");
        drop(probe);
    }
}
