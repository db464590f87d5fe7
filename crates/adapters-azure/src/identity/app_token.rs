//! App tokens of our extensions (`getAppToken`), verified locally because Azure DevOps does not accept them.

use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::identity_check;
use crate::credential::{AppKey, Jwt};

/// The issuer of app tokens, without a scheme.
const ISSUER: &str = "app.vstoken.visualstudio.com";
/// Allowed clock difference between Azure DevOps and this machine, in seconds.
const LEEWAY_SECONDS: i64 = 60;

/// Verifies app tokens with the keys of our extensions.
pub(crate) struct AppTokens(Vec<(hmac::Key, String)>);

/// The verified claims. A claim of the wrong type makes the token invalid.
#[derive(Deserialize)]
struct Claims {
    nameid: Uuid,
    iss: String,
    aud: String,
    exp: i64,
    #[serde(default)]
    nbf: i64,
}

impl AppTokens {
    pub(crate) fn new(keys: &[AppKey]) -> Self {
        let raw = |key: &SecretString| hmac::Key::new(hmac::HMAC_SHA256, key.expose_secret().as_bytes());
        Self(keys.iter().map(|AppKey { key, audience }| (raw(key), audience.clone())).collect())
    }

    /// Whether `token` is an app token: the only tokens signed with HS256. Without keys, no token is.
    pub(crate) fn is_app_token(&self, token: &SecretString) -> bool {
        !self.0.is_empty() && Jwt::read(token).is_some_and(|jwt| jwt.is_hs256())
    }

    /// Returns the id of the user named by `token` if the token is valid at `now`.
    ///
    /// The signature is always checked as HMAC-SHA-256, whatever `alg` says.
    pub(crate) fn verify(&self, token: &SecretString, now: OffsetDateTime) -> Option<Uuid> {
        let jwt = Jwt::read(token)?;
        let claims: Claims = jwt.claims()?;
        let mut keys = self.0.iter().filter(|(_, audience)| audience.eq_ignore_ascii_case(&claims.aud));
        let now = now.unix_timestamp();
        let is_current =
            now < claims.exp.saturating_add(LEEWAY_SECONDS) && claims.nbf.saturating_sub(LEEWAY_SECONDS) <= now;
        let is_valid = claims.iss == ISSUER && is_current && keys.any(|(key, _)| jwt.is_signed_by(key));
        (is_valid && identity_check::is_real_identity(claims.nameid)).then_some(claims.nameid)
    }
}
