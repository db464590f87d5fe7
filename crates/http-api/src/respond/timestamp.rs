//! Timestamps in JSON.

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
        let text = format_utc(self.0).ok_or_else(|| S::Error::custom("year out of range 0..=9999"))?;
        str::from_utf8(&text).map_err(S::Error::custom).and_then(|text| serializer.serialize_str(text))
    }
}

/// Formats RFC 3339 in UTC with the six fractional digits that the database stores. Written by hand, because a list has
/// two timestamps per row and the formatter of `time` interprets its format description for each.
fn format_utc(at: OffsetDateTime) -> Option<[u8; 27]> {
    let at = at.to_offset(UtcOffset::UTC);
    let year = u32::try_from(at.year()).ok().filter(|year| *year <= 9999)?;
    let microsecond = at.microsecond();
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let pairs = [
        (0, year / 100),
        (2, year % 100),
        (5, u8::from(at.month()).into()),
        (8, at.day().into()),
        (11, at.hour().into()),
        (14, at.minute().into()),
        (17, at.second().into()),
        (20, microsecond / 10_000),
        (22, microsecond / 100 % 100),
        (24, microsecond % 100),
    ];
    for (index, pair) in pairs {
        // Each is less than 100.
        let pair = u8::try_from(pair).ok()?;
        *text.get_mut(index)? = b'0' + pair / 10;
        *text.get_mut(index + 1)? = b'0' + pair % 10;
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn timestamp_is_serialized_in_utc_with_six_digits() {
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
