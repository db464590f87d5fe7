//! How ids and times are kept: see `schema.sql`.

use domain::Error;
use time::OffsetDateTime;
use uuid::Uuid;

/// Lower case with hyphens.
pub(crate) fn id_text(id: Uuid) -> String {
    id.as_hyphenated().to_string()
}

pub(crate) fn parse_id(text: &str) -> Result<Uuid, Error> {
    Uuid::parse_str(text).map_err(Error::internal)
}

/// Whole microseconds since 1970.
pub(crate) fn microseconds(instant: OffsetDateTime) -> i64 {
    // Years 1 to 9999 are within the bounds by far.
    i64::try_from(instant.unix_timestamp_nanos() / 1000).unwrap_or_default()
}

pub(crate) fn instant(microseconds: i64) -> Result<OffsetDateTime, Error> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(microseconds) * 1000).map_err(Error::internal)
}
