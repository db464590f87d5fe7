//! The keys that app tokens of our extensions are signed with.

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

/// One extension's key. A key is good for its own audience and no other. Its `Debug` hides the key.
#[derive(Debug, Clone)]
pub struct AppKey {
    /// The text that the Marketplace shows under «Certificate», used as raw bytes although it looks like a JWT.
    pub key: SecretString,
    /// The extension's registration, a GUID: what its tokens carry as `aud`.
    pub audience: String,
}

/// What is wrong with a list of keys. It names the place, never the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppKeyError {
    /// No colon between key and audience.
    #[error("entry {entry}: must be key:audience")]
    NotAPair {
        /// Which entry, counted from 1.
        entry: usize,
    },
    /// An HMAC key shorter than its hash is a weak one (RFC 7518, 3.2), and most likely cut off.
    #[error("entry {entry}: the key must have at least {min} bytes", min = AppKey::MIN_BYTES)]
    KeyTooShort {
        /// Which entry, counted from 1.
        entry: usize,
    },
    /// The audience is not a GUID.
    #[error("entry {entry}: the audience must be a GUID")]
    AudienceNotAGuid {
        /// Which entry, counted from 1.
        entry: usize,
    },
}

impl AppKey {
    /// The shortest key, in bytes.
    pub const MIN_BYTES: usize = 32;

    /// Reads `key:audience,key:audience`: several keys serve rotation and more than one extension. The audience
    /// stands behind the last colon, so the key may hold any character except a comma. Empty entries do not count.
    ///
    /// # Errors
    /// The first [`AppKeyError`].
    pub fn parse_list(text: &SecretString) -> Result<Vec<Self>, AppKeyError> {
        let entries = text.expose_secret().split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.zip(1..).map(|(text, entry)| Self::parse(text, entry)).collect()
    }

    fn parse(text: &str, entry: usize) -> Result<Self, AppKeyError> {
        let (key, audience) = text.rsplit_once(':').ok_or(AppKeyError::NotAPair { entry })?;
        let (key, audience) = (key.trim(), audience.trim());
        let audience = Uuid::parse_str(audience).map_err(|_| AppKeyError::AudienceNotAGuid { entry })?;
        if key.len() < Self::MIN_BYTES {
            return Err(AppKeyError::KeyTooShort { entry });
        }
        Ok(Self { key: key.into(), audience: audience.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUDIENCE: &str = "f1aa3281-75ae-5006-ac4e-947e287a2bfe";
    const KEY: &str = "eyJhbGciOi.eyJub3QiOiJhIHRva2VuIn0.c2lnbmF0dXJl";

    #[test]
    fn a_list_holds_pairs_of_key_and_audience() {
        let text = format!("{KEY}:{AUDIENCE}, a:key:with:colons:of:32:characters:{}, ", AUDIENCE.to_uppercase());

        let keys = AppKey::parse_list(&text.into()).unwrap();

        let read: Vec<_> = keys.iter().map(|k| (k.key.expose_secret(), k.audience.as_str())).collect();
        assert_eq!(read, [(KEY, AUDIENCE), ("a:key:with:colons:of:32:characters", AUDIENCE)]);
        assert!(AppKey::parse_list(&" ".into()).unwrap().is_empty());
    }

    #[test]
    fn errors_name_the_entry_and_never_the_key() {
        let cases = [
            (format!("{KEY}:{AUDIENCE},{KEY}"), AppKeyError::NotAPair { entry: 2 }),
            (format!("{KEY}:portal"), AppKeyError::AudienceNotAGuid { entry: 1 }),
            (format!("short:{AUDIENCE}"), AppKeyError::KeyTooShort { entry: 1 }),
        ];
        for (text, expected) in cases {
            let error = AppKey::parse_list(&text.into()).unwrap_err();
            assert_eq!(error, expected);
            assert!(!error.to_string().contains("short:") && !format!("{error} {error:?}").contains(KEY));
        }
    }

    #[test]
    fn debug_hides_the_key() {
        let keys = AppKey::parse_list(&format!("{KEY}:{AUDIENCE}").into()).unwrap();

        assert!(!format!("{keys:?}").contains(KEY));
    }
}
