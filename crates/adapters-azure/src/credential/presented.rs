//! A credential in the form in which it is sent to Azure DevOps.

use domain::Credential;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::fingerprint::{Fingerprint, Fingerprints};
use super::jwt::Jwt;

/// No token of Azure DevOps is longer, and servers refuse longer headers.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The authentication schemes that Azure DevOps accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Scheme {
    /// A personal access token, with an empty user name.
    Basic,
    /// An access token.
    Bearer,
}

/// A token with its schemes and cache keys. Its `Debug` hides the token.
#[derive(Debug, Clone)]
pub(crate) struct PresentedCredential {
    pub(crate) token: SecretString,
    /// The schemes to try, in order. The second one is tried only after an explicit rejection of the first.
    pub(crate) schemes: &'static [Scheme],
    /// How the client presents the token: `basic` or `bearer`.
    pub(crate) kind: &'static str,
    /// Key of the identity cache.
    pub(crate) fingerprint: Fingerprint,
    /// Key of the throttle. It is the same for every scheme, because Azure DevOps throttles the user.
    pub(crate) throttle_key: Fingerprint,
    /// The user named by a valid app token sent with this access token.
    pub(crate) user: Option<Fingerprint>,
}

impl PresentedCredential {
    /// Presents the token of `credential`.
    pub(crate) fn from_credential(credential: &Credential, fingerprints: &Fingerprints) -> Self {
        match credential {
            Credential::Bearer { token, .. } => Self::from_token(token, fingerprints),
            Credential::Basic { pat } => Self::new(pat, "basic", &[Scheme::Basic], fingerprints),
        }
    }

    /// Presents a token of unknown kind. A JWT is an access token, and the current PAT formats are recognised. Any
    /// other token is tried with both schemes, because Azure DevOps may change its formats.
    pub(crate) fn from_token(token: &SecretString, fingerprints: &Fingerprints) -> Self {
        let schemes: &[Scheme] = if Jwt::read(token).is_some() {
            &[Scheme::Bearer]
        } else if is_pat(token.expose_secret().as_bytes()) {
            &[Scheme::Basic]
        } else {
            &[Scheme::Basic, Scheme::Bearer]
        };
        Self::new(token, "bearer", schemes, fingerprints)
    }

    fn new(token: &SecretString, kind: &'static str, schemes: &'static [Scheme], fingerprints: &Fingerprints) -> Self {
        let (fingerprint, throttle_key) = (fingerprints.of(kind, token), fingerprints.of("throttle", token));
        Self { token: token.clone(), schemes, kind, fingerprint, throttle_key, user: None }
    }

    /// Whether the token fits into a header: visible ASCII of limited length.
    pub(crate) fn is_sendable(&self) -> bool {
        let token = self.token.expose_secret();
        (1..=MAX_TOKEN_BYTES).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic())
    }

    /// Returns the `Authorization` header, marked as sensitive.
    pub(crate) fn authorization(&self, scheme: Scheme) -> Option<HeaderValue> {
        let token = self.token.expose_secret();
        let text = match scheme {
            Scheme::Basic => format!("Basic {}", STANDARD.encode(format!(":{token}"))),
            Scheme::Bearer => format!("Bearer {token}"),
        };
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// Whether the token is a PAT by its format: 52 characters of base32, or 84 characters with `AZDO` at index 76.
fn is_pat(token: &[u8]) -> bool {
    match token.len() {
        52 => token.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7')),
        84 => token.get(76..80) == Some(b"AZDO") && token.iter().all(u8::is_ascii_alphanumeric),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presented(token: &str) -> PresentedCredential {
        PresentedCredential::from_token(&token.into(), &Fingerprints::new("").unwrap())
    }

    #[test]
    fn token_format_decides_the_schemes() {
        for jwt in ["aaa.bbb.ccc", "aaa.bbb."] {
            assert_eq!(presented(jwt).schemes, [Scheme::Bearer], "{jwt}");
        }
        let (old, new) = ("a2".repeat(26), format!("{}AZDOwxYZ", "Ab9c".repeat(19)));
        for pat in [&old, &new] {
            assert_eq!(presented(pat).schemes, [Scheme::Basic], "{pat}");
        }
        let near = [
            old.to_uppercase(),
            format!("{old}a"),
            old.replace('2', "1"),
            new.replace("AZDO", "azdo"),
            new.replace('b', "-"),
        ];
        let others = ["a2b3c4", "aaa.bbb", "aaa.bbb.ccc.ddd", "a.b.c.d.e", "..", "a..c"].map(str::to_owned);
        for token in others.into_iter().chain(near) {
            assert_eq!(presented(&token).schemes, [Scheme::Basic, Scheme::Bearer], "{token}");
        }
    }

    #[test]
    fn authorization_of_a_pat_has_an_empty_user_name_and_is_sensitive() {
        let header = presented("pat").authorization(Scheme::Basic).unwrap();

        assert_eq!(header, "Basic OnBhdA==");
        assert!(header.is_sensitive());
    }

    #[test]
    fn token_that_does_not_fit_into_a_header_is_not_sendable() {
        assert!(presented("pat").is_sendable());
        for token in ["", "a b", "a\nb", "ação", &"a".repeat(MAX_TOKEN_BYTES + 1)] {
            assert!(!presented(token).is_sendable(), "{token:.10}");
        }
    }

    #[test]
    fn throttle_key_is_the_same_for_every_scheme() {
        let fingerprints = Fingerprints::new("").unwrap();
        let basic = PresentedCredential::from_credential(&Credential::Basic { pat: "pat".into() }, &fingerprints);
        let bearer = Credential::Bearer { token: "pat".into(), azure_access_token: None };
        let bearer = PresentedCredential::from_credential(&bearer, &fingerprints);

        assert_eq!(basic.throttle_key, bearer.throttle_key);
        assert_ne!(basic.fingerprint, bearer.fingerprint);
        assert_eq!(basic.schemes, [Scheme::Basic]);
    }
}
