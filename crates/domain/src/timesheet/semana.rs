//! Weeks.

use time::macros::date;
use time::{Date, Duration};

use crate::{Violation, monday_of};

/// The first day of a timesheet: the first that a time entry can have.
const FIRST: Date = date!(2000 - 01 - 01);
/// The last Sunday of four-digit years.
const LAST: Date = date!(9999 - 12 - 26);

/// A week from Monday to Sunday (ISO 8601).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Semana(Date);

impl Semana {
    /// Returns the week of a date.
    ///
    /// # Errors
    /// [`Violation::DateBefore`] before 2000, [`Violation::DateAfter`] if its days have no four-digit year.
    pub fn of(date: Date) -> Result<Self, Violation> {
        if date < FIRST {
            return Err(Violation::DateBefore { min: FIRST });
        }
        if LAST < date { Err(Violation::DateAfter { max: LAST }) } else { Ok(Self(monday_of(date))) }
    }

    /// Returns the Monday.
    #[must_use]
    pub const fn inicio(self) -> Date {
        self.0
    }

    /// Returns the Sunday.
    #[must_use]
    pub const fn fim(self) -> Date {
        self.0.saturating_add(Duration::days(6))
    }

    /// Returns the seven days.
    #[must_use]
    pub fn dias(self) -> [Date; 7] {
        [0, 1, 2, 3, 4, 5, 6].map(|days| self.0.saturating_add(Duration::days(days)))
    }

    /// Returns the index of a day, 0 for Monday; `None` for a day of another week.
    #[must_use]
    pub fn index_of(self, dia: Date) -> Option<usize> {
        self.dias().iter().position(|&other| other == dia)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn week_of_any_of_its_days_is_the_same() {
        let semana = Semana::of(date!(2026 - 11 - 23)).unwrap();

        assert_eq!((semana.inicio(), semana.fim()), (date!(2026 - 11 - 23), date!(2026 - 11 - 29)));
        for (index, dia) in semana.dias().into_iter().enumerate() {
            assert_eq!(Semana::of(dia), Ok(semana));
            assert_eq!(semana.index_of(dia), Some(index));
        }
        assert_eq!(semana.index_of(date!(2026 - 11 - 30)), None);
        assert_eq!(Semana::of(date!(2027 - 01 - 03)).unwrap().inicio(), date!(2026 - 12 - 28));
    }

    #[test]
    fn week_lies_between_2000_and_9999() {
        assert_eq!(Semana::of(FIRST).unwrap().inicio(), date!(1999 - 12 - 27));
        assert_eq!(Semana::of(LAST).unwrap().fim(), LAST);
        assert_eq!(Semana::of(date!(1999 - 12 - 31)), Err(Violation::DateBefore { min: FIRST }));
        for date in [date!(9999 - 12 - 27), Date::MAX] {
            assert_eq!(Semana::of(date), Err(Violation::DateAfter { max: LAST }));
        }
        assert!(Semana::of(Date::MIN).is_err());
    }
}
