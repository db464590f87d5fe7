//! Idempotency keys: a repeated request returns the first response.

use time::{Duration, OffsetDateTime};

/// The identity of a request that can be repeated.
///
/// A client that received no response cannot know whether its request succeeded. It repeats the request with the same
/// key and receives the first response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The id of the user. Keys of different users are independent.
    pub usuario: String,
    /// The key that the client sent.
    pub key: IdempotencyKey,
    /// A hash of the request. The key is rejected with any other request.
    pub request: [u8; 32],
}

impl Idempotency {
    /// The time until a key expires.
    pub const LIFETIME: Duration = Duration::hours(24);

    /// The largest number of keys per user.
    pub const MAX_KEYS: i64 = 10_000;

    /// The largest size in bytes of the stored responses per user.
    pub const MAX_BYTES: i64 = 64 * 1024 * 1024;

    /// Returns the time before which keys are expired at `now`.
    #[must_use]
    pub fn expires_before(now: OffsetDateTime) -> OffsetDateTime {
        now - Self::LIFETIME
    }
}

/// A key that a client generated: 1..=255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The largest length in characters.
    pub const MAX: usize = 255;

    /// Parses a key.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_key = (1..=Self::MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_key.then(|| Self(text.to_owned()))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expires_before_is_one_day_ago() {
        let expires_before = Idempotency::expires_before(time::macros::datetime!(2026-01-13 16:00 UTC));
        assert_eq!(expires_before, time::macros::datetime!(2026-01-12 16:00 UTC));
    }

    #[test]
    fn parse_of_other_than_visible_ascii_is_rejected() {
        for good in ["a", "\"8e03978e-40d5-43e8-bc93-6894a57f9324\"", &"x".repeat(255)] {
            assert_eq!(IdempotencyKey::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "ç", "a\n", &"x".repeat(256)] {
            assert_eq!(IdempotencyKey::parse(bad), None, "{bad:?}");
        }
    }
}
