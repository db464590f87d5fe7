//! The system's clock.

use domain::Clock;
use time::OffsetDateTime;

/// The time of this machine.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        let now = OffsetDateTime::now_utc();
        // A rounded-down value below 10^9 is always valid.
        now.replace_nanosecond(now.nanosecond() / 1000 * 1000).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_is_cut_to_the_microsecond() {
        assert_eq!(SystemClock.now().nanosecond() % 1000, 0);
    }
}
