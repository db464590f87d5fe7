//! JSON Web Tokens (RFC 7519): reading claims and checking HS256 signatures.
//!
//! It uses `ring`, which TLS needs anyway. The crates for JWT add a second cryptography library.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use time::{Duration, OffsetDateTime};

/// A token in the format of a JWT. Its claims are untrusted unless [`Self::is_signed_by`] returns true.
pub(crate) struct Jwt<'a> {
    signed: &'a str,
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

/// Read only from tokens that Azure DevOps verifies, so any form of number is accepted.
#[derive(Deserialize)]
struct Expiry {
    exp: f64,
}

impl<'a> Jwt<'a> {
    /// Splits a token of three parts separated by dots. The last part may be empty.
    pub(crate) fn read(token: &'a SecretString) -> Option<Self> {
        let (signed, signature) = token.expose_secret().rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let is_jwt = !header.is_empty() && !payload.is_empty() && !payload.contains('.');
        is_jwt.then_some(Self { signed, header, payload, signature })
    }

    pub(crate) fn is_hs256(&self) -> bool {
        decoded(self.header).is_some_and(|header: Header| header.alg == "HS256")
    }

    pub(crate) fn claims<T: DeserializeOwned>(&self) -> Option<T> {
        decoded(self.payload)
    }

    /// Whether the signature is the HMAC-SHA-256 under `key`, compared in constant time.
    pub(crate) fn is_signed_by(&self, key: &hmac::Key) -> bool {
        let signature = URL_SAFE_NO_PAD.decode(self.signature);
        signature.is_ok_and(|tag| hmac::verify(key, self.signed.as_bytes(), &tag).is_ok())
    }

    /// Returns the time from `now` to `exp`; zero if the token has expired.
    pub(crate) fn lifetime(&self, now: OffsetDateTime) -> Option<std::time::Duration> {
        let Expiry { exp } = self.claims()?;
        let left = Duration::saturating_seconds_f64(exp).saturating_sub(now - OffsetDateTime::UNIX_EPOCH);
        Some(left.try_into().unwrap_or_default()) // A negative duration does not convert.
    }
}

fn decoded<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
