//! Dates of time entries. A date is never derived from a point in time, so it does not depend on a time zone.

use time::format_description::BorrowedFormatItem;
use time::macros::{date, format_description};
use time::{Date, Duration, OffsetDateTime};

use crate::Violation;

const FORMAT: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
/// The number of characters of `AAAA-MM-DD`.
const LENGTH: usize = 10;

/// The first date that a new entry can have.
const FIRST: Date = date!(2000 - 01 - 01);

/// Parses a date, `AAAA-MM-DD` (RFC 3339 `full-date`).
///
/// # Errors
/// [`Violation::NotADate`] for every other text and for days that do not exist.
pub fn parse_date(text: &str) -> Result<Date, Violation> {
    // The format alone would take signs and other digits.
    let is_plain = text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let parsed = if is_plain { Date::parse(text, FORMAT).ok() } else { None };
    parsed.ok_or(Violation::NotADate)
}

/// Returns a date as `AAAA-MM-DD`.
#[must_use]
pub fn date_text(date: Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

/// Checks that a new entry can have `date`: from 2000 to one year after today. Today is that of UTC: a day more or less does
/// not matter so far ahead.
///
/// # Errors
/// [`Violation::DateBefore`], [`Violation::DateAfter`].
pub(crate) fn check_date(date: Date, now: OffsetDateTime) -> Result<(), Violation> {
    let last = one_year_after(now.date());
    if date < FIRST {
        return Err(Violation::DateBefore { min: FIRST });
    }
    if last < date { Err(Violation::DateAfter { max: last }) } else { Ok(()) }
}

/// Returns the same day of the next year; 28 February after 29 February.
fn one_year_after(date: Date) -> Date {
    date.replace_year(date.year() + 1)
        .or_else(|_| date.saturating_sub(Duration::DAY).replace_year(date.year() + 1))
        .unwrap_or(Date::MAX)
}

/// Returns the Monday of the week of `date` (ISO 8601).
#[must_use]
pub fn monday_of(date: Date) -> Date {
    date.saturating_sub(Duration::days(date.weekday().number_days_from_monday().into()))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn parse_takes_existing_days_only() {
        for (text, expected) in [
            ("2000-01-01", date!(2000 - 01 - 01)),
            ("2024-02-29", date!(2024 - 02 - 29)),
            ("2000-02-29", date!(2000 - 02 - 29)),
            ("2026-12-31", date!(2026 - 12 - 31)),
        ] {
            assert_eq!(parse_date(text), Ok(expected));
            assert_eq!(date_text(expected), text);
        }
        let bad = [
            "",
            "2026",
            "2026-1-1",
            "2026-02-29",
            "1900-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-04-31",
            "2026-01-00",
            "26-01-01",
            "+2026-01-1",
            "-026-01-01",
            "2026/01/01",
            "01/12/2026",
            "2026-01-01T00:00:00Z",
            " 2026-01-1",
            "2026-01-01 ",
            "２０２６-01-01",
            "20260101",
            "2026-W01-1",
            "2026-001",
        ];
        for text in bad {
            assert_eq!(parse_date(text), Err(Violation::NotADate), "{text:?}");
        }
    }

    #[test]
    fn new_entries_lie_between_2000_and_one_year_ahead() {
        let now = datetime!(2026-11-27 23:59:59 UTC);
        for date in [date!(2000 - 01 - 01), date!(2026 - 11 - 27), date!(2027 - 11 - 27)] {
            assert_eq!(check_date(date, now), Ok(()), "{date}");
        }
        assert_eq!(check_date(date!(1999 - 12 - 31), now), Err(Violation::DateBefore { min: FIRST }));
        let max = date!(2027 - 11 - 27);
        assert_eq!(check_date(date!(2027 - 11 - 28), now), Err(Violation::DateAfter { max }));
    }

    #[test]
    fn one_year_after_a_leap_day_is_28_february() {
        let cases = [
            (date!(2024 - 02 - 29), date!(2025 - 02 - 28)),
            (date!(2023 - 02 - 28), date!(2024 - 02 - 28)),
            (date!(2023 - 12 - 31), date!(2024 - 12 - 31)),
            (Date::MAX, Date::MAX),
        ];
        for (date, expected) in cases {
            assert_eq!(one_year_after(date), expected);
        }
    }

    /// The week, month and year of a date differ at their boundaries.
    #[test]
    fn weeks_begin_on_monday_across_years() {
        let cases = [
            (date!(2026 - 11 - 23), date!(2026 - 11 - 23), (2026, 48)),
            (date!(2026 - 11 - 29), date!(2026 - 11 - 23), (2026, 48)),
            (date!(2026 - 11 - 30), date!(2026 - 11 - 30), (2026, 49)),
            // 2026 has 53 weeks; the last one ends in 2027.
            (date!(2026 - 12 - 31), date!(2026 - 12 - 28), (2026, 53)),
            (date!(2027 - 01 - 01), date!(2026 - 12 - 28), (2026, 53)),
            (date!(2027 - 01 - 03), date!(2026 - 12 - 28), (2026, 53)),
            (date!(2027 - 01 - 04), date!(2027 - 01 - 04), (2027, 1)),
            // The first week of 2025 begins in 2024.
            (date!(2024 - 12 - 30), date!(2024 - 12 - 30), (2025, 1)),
            (date!(2025 - 01 - 01), date!(2024 - 12 - 30), (2025, 1)),
            // A leap day, and the same week around it.
            (date!(2024 - 02 - 29), date!(2024 - 02 - 26), (2024, 9)),
            (date!(2024 - 03 - 03), date!(2024 - 02 - 26), (2024, 9)),
            (date!(2000 - 01 - 01), date!(1999 - 12 - 27), (1999, 52)),
        ];
        for (date, monday, week) in cases {
            assert_eq!(monday_of(date), monday, "{date}");
            let (year, number, _) = date.to_iso_week_date();
            assert_eq!((year, number), week, "{date}");
        }
    }
}
