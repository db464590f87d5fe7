//! How far a standby is behind, in time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// An hour of samples. Later ones are not kept until the standby has replayed some of them, so the lag may then be shown
/// as longer than it is.
const MAX_SAMPLES: usize = 3_600;

/// Positions of the primary with the time of the query. Neither clock nor last commit of a server counts: an idle primary
/// commits nothing, and clocks differ.
#[derive(Debug, Default)]
pub(super) struct LagTracker {
    /// The first is the newest that the standby has replayed, if it has replayed any.
    samples: VecDeque<(Instant, i64)>,
    /// The time between the newest sample and the moment at which the standby was seen to have replayed it.
    delay: Option<Duration>,
}

impl LagTracker {
    /// Records that the primary was at `lsn`.
    pub(super) fn primary_at(&mut self, lsn: i64, now: Instant) {
        // A failover may have lost the end of the WAL.
        if self.samples.back().is_some_and(|(_, last)| lsn < *last) {
            self.samples.clear();
        }
        self.delay = None;
        if self.samples.len() < MAX_SAMPLES {
            self.samples.push_back((now, lsn));
        }
    }

    /// Records that the standby has replayed the WAL up to `lsn`.
    pub(super) fn replayed(&mut self, lsn: i64, now: Instant) {
        while self.samples.get(1).is_some_and(|(_, next)| *next <= lsn) {
            self.samples.pop_front();
        }
        self.delay = match self.samples.make_contiguous() {
            [(asked, last)] if *last <= lsn => Some(now - *asked),
            _ => None,
        };
    }

    /// Returns how old the data of the standby is: all that the primary had so long ago is there.
    pub(super) fn lag(&self, now: Instant) -> Duration {
        self.delay.or_else(|| self.samples.front().map(|(asked, _)| now - *asked)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn standby_that_follows_has_the_lag_of_its_replay() {
        let start = Instant::now();
        let mut tracker = LagTracker::default();
        for second in 0..5 {
            let asked = start + SECOND * second;
            tracker.primary_at(100, asked);
            tracker.replayed(100, asked + Duration::from_millis(3));
            assert_eq!(tracker.lag(asked + SECOND / 2), Duration::from_millis(3));
        }
    }

    #[test]
    fn standby_a_while_behind_has_the_age_of_what_it_replayed() {
        let start = Instant::now();
        let mut tracker = LagTracker::default();
        for second in 0..10 {
            tracker.primary_at(i64::from(second) * 10, start + SECOND * second);
        }

        tracker.replayed(49, start + SECOND * 9);

        assert_eq!(tracker.lag(start + SECOND * 9), SECOND * 5);
        tracker.replayed(90, start + SECOND * 9 + SECOND / 4);
        assert_eq!(tracker.lag(start + SECOND * 20), SECOND / 4);
    }

    #[test]
    fn standby_that_does_not_respond_lags_more_and_more() {
        let start = Instant::now();
        let mut tracker = LagTracker::default();
        assert_eq!(tracker.lag(start), Duration::ZERO);
        for second in 0..7_200 {
            tracker.primary_at(second.into(), start + SECOND * second);
        }

        assert_eq!(tracker.lag(start + SECOND * 7_200), SECOND * 7_200);
        assert_eq!(tracker.samples.len(), MAX_SAMPLES);
    }

    #[test]
    fn lag_after_a_failover_that_lost_wal_starts_anew() {
        let start = Instant::now();
        let mut tracker = LagTracker::default();
        tracker.primary_at(100, start);
        tracker.primary_at(90, start + SECOND);

        tracker.replayed(90, start + SECOND * 2);

        assert_eq!(tracker.lag(start + SECOND * 9), SECOND);
    }
}
