//! App tokens of our extensions (`getAppToken`): checked here, because Azure DevOps does not take them.

use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::identity_check;
use crate::credential::{AppKey, Jwt};

/// Who signs app tokens; no scheme in front.
const ISSUER: &str = "app.vstoken.visualstudio.com";
/// How many seconds the clocks of Azure and this machine may differ.
const LEEWAY: i64 = 60;

/// The checks of app tokens.
pub(crate) struct AppTokens(Vec<(hmac::Key, String)>);

/// All that is asked of them; a claim of a wrong type is no claim.
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

    /// Whether `token` is for us to judge: app tokens are the only ones signed with HS256. Without keys none is.
    pub(crate) fn concern(&self, token: &SecretString) -> bool {
        !self.0.is_empty() && Jwt::read(token).is_some_and(|jwt| jwt.is_hs256())
    }

    /// The id of the user whom `token` names, if everything about it is right at `now`. Whatever it says of its
    /// algorithm, only HMAC-SHA-256 is ever tried.
    pub(crate) fn verify(&self, token: &SecretString, now: OffsetDateTime) -> Option<Uuid> {
        let jwt = Jwt::read(token)?;
        let claims: Claims = jwt.claims()?;
        let mut keys = self.0.iter().filter(|(_, audience)| audience.eq_ignore_ascii_case(&claims.aud));
        let now = now.unix_timestamp();
        let is_timely = now < claims.exp.saturating_add(LEEWAY) && claims.nbf.saturating_sub(LEEWAY) <= now;
        let is_right = claims.iss == ISSUER && is_timely && keys.any(|(key, _)| jwt.is_signed_by(key));
        (is_right && identity_check::is_somebody(claims.nameid)).then_some(claims.nameid)
    }
}
