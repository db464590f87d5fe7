//! The encoding of ids and times, described in `schema.sql`.

use domain::Error;
use time::OffsetDateTime;
use uuid::Uuid;

/// Returns the id in lower case with hyphens.
pub(crate) fn id_text(id: Uuid) -> String {
    id.as_hyphenated().to_string()
}

pub(crate) fn parse_id(text: &str) -> Result<Uuid, Error> {
    Uuid::parse_str(text).map_err(Error::internal)
}

/// Returns the microseconds since 1970.
pub(crate) fn microseconds(instant: OffsetDateTime) -> i64 {
    // Years 0 to 9999 do not overflow.
    i64::try_from(instant.unix_timestamp_nanos() / 1000).unwrap_or_default()
}

pub(crate) fn instant(microseconds: i64) -> Result<OffsetDateTime, Error> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(microseconds) * 1000).map_err(Error::internal)
}
