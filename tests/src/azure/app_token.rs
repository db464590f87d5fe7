//! App tokens of the browser extension.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};
use uuid::Uuid;

/// The key of an extension, for the setting `EXTENSION_APP_KEYS`.
pub const APP_KEY: &str = "uma-chave-de-extensao-que-e-longa-o-bastante";
/// The audience of the same extension.
pub const AUDIENCE: &str = "7b3c2a1d-0000-4000-8000-000000000001";

/// An app token of the extension for the user `nameid`, valid until `exp` (Unix seconds).
#[must_use]
pub fn app_token(nameid: Uuid, exp: u64) -> String {
    let claims = json!({"nameid": nameid, "iss": "app.vstoken.visualstudio.com", "aud": AUDIENCE, "exp": exp});
    let encoded = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
    let text = format!("{}.{}", encoded(&json!({"typ": "JWT", "alg": "HS256"})), encoded(&claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, APP_KEY.as_bytes()), text.as_bytes());
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
}
