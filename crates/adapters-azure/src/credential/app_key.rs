//! The keys that sign the app tokens of our extensions.

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

/// The key of one extension, valid for one audience. Its `Debug` hides the key.
#[derive(Debug, Clone)]
pub struct AppKey {
    /// The text under «Certificate» in the Marketplace, used as raw bytes although it looks like a JWT.
    pub key: SecretString,
    /// The GUID of the extension's registration: the claim `aud` of its tokens.
    pub audience: String,
}

/// An error in a list of keys. It names the entry, never the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppKeyError {
    /// No colon between key and audience.
    #[error("entry {entry}: must be key:audience")]
    NotAPair {
        /// The entry, counted from 1.
        entry: usize,
    },
    /// Shorter than the hash (RFC 7518, 3.2), and most likely truncated.
    #[error("entry {entry}: the key must have at least {min} bytes", min = AppKey::MIN_BYTES)]
    KeyTooShort {
        /// The entry, counted from 1.
        entry: usize,
    },
    /// The audience is not a GUID.
    #[error("entry {entry}: the audience must be a GUID")]
    AudienceNotAGuid {
        /// The entry, counted from 1.
        entry: usize,
    },
}

impl AppKey {
    /// Minimum length of a key in bytes.
    pub const MIN_BYTES: usize = 32;

    /// Parses `key:audience,key:audience`. Several keys allow rotation and more than one extension.
    ///
    /// The audience follows the last colon, so a key may hold any character except a comma. Empty entries are skipped.
    ///
    /// # Errors
    /// The [`AppKeyError`] of the first invalid entry.
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
    fn parse_list_reads_pairs_of_key_and_audience() {
        let text = format!("{KEY}:{AUDIENCE}, a:key:with:colons:of:32:characters:{}, ", AUDIENCE.to_uppercase());

        let keys = AppKey::parse_list(&text.into()).unwrap();

        let read: Vec<_> = keys.iter().map(|k| (k.key.expose_secret(), k.audience.as_str())).collect();
        assert_eq!(read, [(KEY, AUDIENCE), ("a:key:with:colons:of:32:characters", AUDIENCE)]);
        assert!(AppKey::parse_list(&" ".into()).unwrap().is_empty());
    }

    #[test]
    fn parse_list_error_names_the_entry_and_not_the_key() {
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
    fn debug_output_hides_the_key() {
        let keys = AppKey::parse_list(&format!("{KEY}:{AUDIENCE}").into()).unwrap();

        assert!(!format!("{keys:?}").contains(KEY));
    }
}
