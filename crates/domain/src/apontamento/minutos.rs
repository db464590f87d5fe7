//! Durations in whole minutes.

use crate::Violation;

const MINUTES_PER_HOUR: u16 = 60;

/// The duration of a time entry in whole minutes.
///
/// A new one is 00:01 to 24:00. Imported rows may hold up to 24:59 and are shown as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minutos(u16);

impl Minutos {
    /// The smallest duration.
    pub const MIN: u16 = 1;
    /// The largest duration of a new entry, and of all entries of a person on one day: 24:00.
    pub const MAX: u16 = 24 * MINUTES_PER_HOUR;
    /// The largest duration of an imported entry: 24:59.
    pub const MAX_STORED: u16 = Self::MAX + MINUTES_PER_HOUR - 1;

    /// Parses a new duration, `H:MM` or `HH:MM`.
    ///
    /// # Errors
    /// [`Violation::NotADuration`] for every other text, for 00:00 and above 24:00.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        Self::read(text).ok_or(Violation::NotADuration)
    }

    fn read(text: &str) -> Option<Self> {
        let (hours, minutes) = text.split_once(':')?;
        let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if !(1..=2).contains(&hours.len()) || minutes.len() != 2 || !is_number(hours) || !is_number(minutes) {
            return None;
        }
        let (hours, minutes) = (hours.parse::<u16>().ok()?, minutes.parse::<u16>().ok()?);
        let total = hours * MINUTES_PER_HOUR + minutes;
        (minutes < MINUTES_PER_HOUR && (Self::MIN..=Self::MAX).contains(&total)).then_some(Self(total))
    }

    /// Returns a stored duration.
    ///
    /// # Errors
    /// [`Violation::NotADuration`] outside of 00:01 to 24:59.
    pub fn from_stored(minutes: i64) -> Result<Self, Violation> {
        let minutes = u16::try_from(minutes).ok().filter(|n| (Self::MIN..=Self::MAX_STORED).contains(n));
        minutes.map(Self).ok_or(Violation::NotADuration)
    }

    /// Returns the number of minutes.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// Returns a number of minutes as `HH:MM`, with more digits from 100 hours on.
#[must_use]
pub fn hours_and_minutes(minutes: u64) -> String {
    let per_hour = u64::from(MINUTES_PER_HOUR);
    format!("{:02}:{:02}", minutes / per_hour, minutes % per_hour)
}

/// Returns a number of minutes in hundredths of an hour, rounded half up: 20 minutes are 33.
#[must_use]
pub const fn hundredths_of_hours(minutes: u64) -> u64 {
    (minutes * 100 + 30) / 60
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_takes_whole_minutes_up_to_24_hours() {
        for (text, minutes) in
            [("0:01", 1), ("00:01", 1), ("1:30", 90), ("09:59", 599), ("23:59", 1439), ("24:00", 1440)]
        {
            assert_eq!(Minutos::parse(text).map(Minutos::get), Ok(minutes), "{text}");
        }
        let bad = [
            "", ":", "1", "1:", ":30", "0:00", "00:00", "24:01", "24:59", "25:00", "99:99", "1:60", "1:5", "001:30",
            "1:030", "-1:30", "+1:30", " 1:30", "1:30 ", "1:3a", "1.5", "1,5", "1:30:00", "١:٣٠", "1：30", "1:\u{0}0",
        ];
        for text in bad {
            assert_eq!(Minutos::parse(text), Err(Violation::NotADuration), "{text:?}");
        }
    }

    #[test]
    fn stored_duration_may_reach_24_59() {
        for minutes in [1, 1440, 1499] {
            assert_eq!(Minutos::from_stored(minutes).map(|minutos| i64::from(minutos.get())), Ok(minutes));
        }
        for minutes in [i64::MIN, -1, 0, 1500, i64::MAX] {
            assert_eq!(Minutos::from_stored(minutes), Err(Violation::NotADuration));
        }
    }

    #[test]
    fn every_duration_reads_back_from_its_text() {
        for minutes in Minutos::MIN..=Minutos::MAX {
            let text = hours_and_minutes(minutes.into());
            assert_eq!(Minutos::parse(&text).map(Minutos::get), Ok(minutes), "{text}");
        }
        assert_eq!(hours_and_minutes(1499), "24:59");
        assert_eq!(hours_and_minutes(0), "00:00");
        assert_eq!(hours_and_minutes(6_000), "100:00");
    }

    #[test]
    fn hundredths_are_rounded_half_up() {
        let cases = [(0, 0), (1, 2), (20, 33), (40, 67), (45, 75), (90, 150), (1499, 2498), (3, 5)];
        for (minutes, hundredths) in cases {
            assert_eq!(hundredths_of_hours(minutes), hundredths, "{minutes}");
        }
    }
}
