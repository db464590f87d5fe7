//! Where the server is, and whose entries this service reads.

use redis::Client;
use secrecy::{ExposeSecret, SecretString};

use crate::keys::Keys;

/// As many bytes as the keys that are derived from it.
const MIN_KEY_BYTES: usize = 32;

/// A server, a tenant and the keys of its entries. Its `Debug` hides the password and the keys.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) client: Client,
    pub(crate) keys: Keys,
}

/// Why a configuration is invalid. `Display` contains no part of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConfig {
    /// The URL of the server.
    #[error(
        "is not a URL like redis://:password@host:6379, or rediss:// for TLS; other characters than letters and digits \
         of a password are percent-encoded"
    )]
    Url,
    /// The secret of the tenant.
    #[error("has less than {MIN_KEY_BYTES} bytes; create it with `openssl rand -base64 32`")]
    ShortKey,
}

impl Config {
    /// The server at `url`, with entries that only services with the same `tenant` and `secret` can read.
    ///
    /// # Errors
    /// See [`InvalidConfig`].
    pub fn new(url: &SecretString, secret: &SecretString, tenant: &str) -> Result<Self, InvalidConfig> {
        // The error of the client may quote the URL.
        let client = Client::open(url.expose_secret()).map_err(|_| InvalidConfig::Url)?;
        let secret = secret.expose_secret().as_bytes();
        if secret.len() < MIN_KEY_BYTES {
            return Err(InvalidConfig::ShortKey);
        }
        Ok(Self { client, keys: Keys::derive(secret, tenant).ok_or(InvalidConfig::ShortKey)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn config(url: &str, secret: &str) -> Result<Config, InvalidConfig> {
        Config::new(&url.into(), &secret.into(), "tenant")
    }

    #[test]
    fn url_and_secret_are_checked() {
        for url in ["redis://h", "redis://:p%40@h:6380/1", "rediss://user:p@h", "valkey://[::1]"] {
            assert!(config(url, SECRET).is_ok(), "{url}");
        }
        for url in ["", "h:6379", "http://h", "redis://", "redis://h/x", "redis://0.0.0.0"] {
            assert_eq!(config(url, SECRET).err(), Some(InvalidConfig::Url), "{url}");
        }
        assert_eq!(config("redis://h", SECRET.get(1..).unwrap()).err(), Some(InvalidConfig::ShortKey));
    }

    #[test]
    fn debug_hides_password_and_secret() {
        let text = format!("{:?}", config("redis://:segredo@h", SECRET).unwrap());
        assert!(!text.contains("segredo") && !text.contains(SECRET), "{text}");
    }
}
