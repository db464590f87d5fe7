//! Requests that count once, however often they are sent.

use time::{Duration, OffsetDateTime};

/// What tells a request that is sent again from a new one.
///
/// A client that got no answer cannot know whether its request was carried out. It sends the same key again, and gets
/// the answer that it missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The id of the user whose key it is: each has their own.
    pub usuario: String,
    /// The client's key.
    pub key: IdempotencyKey,
    /// A hash of all that the request says: with the same key another request is refused.
    pub request: [u8; 32],
}

impl Idempotency {
    /// How long a key is remembered.
    pub const LIFETIME: Duration = Duration::hours(24);

    /// Keys of one user that are remembered at once.
    pub const MAX_KEYS: i64 = 10_000;

    /// Bytes that the responses to the keys of one user may take where they are kept.
    pub const MAX_BYTES: i64 = 64 * 1024 * 1024;

    /// Before this moment nothing is remembered at `now`.
    #[must_use]
    pub fn horizon(now: OffsetDateTime) -> OffsetDateTime {
        now - Self::LIFETIME
    }
}

/// A key that a client made up: 1..=255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The longest key, in characters.
    pub const MAX: usize = 255;

    /// Answers `text` as a key, if it can be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_key = (1..=Self::MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_key.then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_remembered_for_longer_than_a_day() {
        let horizon = Idempotency::horizon(time::macros::datetime!(2026-01-13 16:00 UTC));
        assert_eq!(horizon, time::macros::datetime!(2026-01-12 16:00 UTC));
    }

    #[test]
    fn a_key_is_visible_ascii_and_not_too_long() {
        for good in ["a", "\"8e03978e-40d5-43e8-bc93-6894a57f9324\"", &"x".repeat(255)] {
            assert_eq!(IdempotencyKey::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "ç", "a\n", &"x".repeat(256)] {
            assert_eq!(IdempotencyKey::parse(bad), None, "{bad:?}");
        }
    }
}
