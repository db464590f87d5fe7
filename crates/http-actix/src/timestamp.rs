//! How a point in time is written.

use apistos::{ApiType, InstanceType, TypedSchema};
use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// RFC 3339 in UTC with the six digits that the database keeps.
const FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

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
        let text = self.0.to_offset(time::UtcOffset::UTC).format(FORMAT).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
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
        ];
        for (instant, expected) in cases {
            assert_eq!(serde_json::to_string(&Timestamp(instant)).unwrap(), expected);
        }
    }
}
