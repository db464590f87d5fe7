//! How a point in time is written.

use apistos::{ApiType, InstanceType, TypedSchema};
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use time::{OffsetDateTime, UtcOffset};
/// A point in time, UTC: `2026-01-12T16:00:00.123456Z`.
#[derive(Debug, Clone, Copy, ApiType)]
pub struct Timestamp(pub OffsetDateTime);

impl TypedSchema for Timestamp {
    fn schema_type() -> InstanceType {
        InstanceType::String
    }

    fn format() -> Option<String> {
        Some("date-time".to_owned())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = written(self.0).ok_or_else(|| S::Error::custom("a year that has not four digits"))?;
        str::from_utf8(&text).map_err(S::Error::custom).and_then(|text| serializer.serialize_str(text))
    }
}

/// RFC 3339 in UTC with the six digits that the database keeps. By hand, since a list has two for each row and a
/// description of the format is read again for each.
fn written(at: OffsetDateTime) -> Option<[u8; 27]> {
    let at = at.to_offset(UtcOffset::UTC);
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let parts = [
        (3, u32::try_from(at.year()).ok().filter(|year| *year <= 9999)?),
        (6, u8::from(at.month()).into()),
        (9, at.day().into()),
        (12, at.hour().into()),
        (15, at.minute().into()),
        (18, at.second().into()),
        (25, at.microsecond()),
    ];
    for (last, mut number) in parts {
        for digit in text.iter_mut().take(last + 1).rev() {
            if number == 0 {
                break;
            }
            // The remainder is a digit.
            *digit = b'0' + u8::try_from(number % 10).ok()?;
            number /= 10;
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn timestamps_are_utc_with_six_digits_and_a_z() {
        let cases = [
            (datetime!(2026-01-12 16:00:00.123456 UTC), "\"2026-01-12T16:00:00.123456Z\""),
            (datetime!(2026-01-12 16:00:00 UTC), "\"2026-01-12T16:00:00.000000Z\""),
            (datetime!(2026-01-12 13:00:00.5 -3), "\"2026-01-12T16:00:00.500000Z\""),
            (datetime!(9999-12-31 23:59:59.999999 UTC), "\"9999-12-31T23:59:59.999999Z\""),
            (datetime!(0001-01-01 00:00:00.000001 UTC), "\"0001-01-01T00:00:00.000001Z\""),
        ];
        for (instant, expected) in cases {
            assert_eq!(serde_json::to_string(&Timestamp(instant)).unwrap(), expected);
        }
        assert!(serde_json::to_string(&Timestamp(datetime!(-1-12-31 00:00:00 UTC))).is_err());
    }
}
