//! How a credential is shown to Azure.

use domain::Credential;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::fingerprint::{Fingerprint, Fingerprints};
use crate::jwt::Jwt;

/// Longer tokens than this exist nowhere, and no server would take the header.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The two ways in which Azure takes a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// A personal access token, with an empty user name.
    Basic,
    /// An access token.
    Bearer,
}

/// A credential that Azure can judge. Its `Debug` hides the token.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) token: SecretString,
    /// How to show it: the likely way first, the other one only after a plain rejection.
    pub(crate) schemes: &'static [Scheme],
    /// Under which its identity is remembered.
    pub(crate) fingerprint: Fingerprint,
    /// Under which it is held back; the same for every way of showing it, because Azure throttles the user.
    pub(crate) gate: Fingerprint,
}

impl Shown {
    /// The token of `credential` itself.
    pub(crate) fn from_credential(credential: &Credential, fingerprints: &Fingerprints) -> Self {
        match credential {
            Credential::Bearer { token, .. } => Self::from_token(token, fingerprints),
            Credential::Basic { pat } => Self::new(pat, "basic", &[Scheme::Basic], fingerprints),
        }
    }

    /// A token whose kind nobody told: only an access token has the shape of a JWT.
    pub(crate) fn from_token(token: &SecretString, fingerprints: &Fingerprints) -> Self {
        let schemes: &[Scheme] = match Jwt::read(token) {
            Some(_) => &[Scheme::Bearer, Scheme::Basic],
            None => &[Scheme::Basic, Scheme::Bearer],
        };
        Self::new(token, "bearer", schemes, fingerprints)
    }

    fn new(token: &SecretString, scheme: &str, schemes: &'static [Scheme], fingerprints: &Fingerprints) -> Self {
        let (fingerprint, gate) = (fingerprints.of(scheme, token), fingerprints.of("gate", token));
        Self { token: token.clone(), schemes, fingerprint, gate }
    }

    /// Whether it can be a token at all: it fits into a header and holds nothing but visible ASCII.
    pub(crate) fn is_sendable(&self) -> bool {
        let token = self.token.expose_secret();
        (1..=MAX_TOKEN_BYTES).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic())
    }

    /// The `Authorization` header, marked so that nothing prints it.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(token: &str) -> Shown {
        Shown::from_token(&token.into(), &Fingerprints::new("").unwrap())
    }

    #[test]
    fn the_shape_of_a_token_says_how_to_show_it_first() {
        assert_eq!(shown("aaa.bbb.ccc").schemes, [Scheme::Bearer, Scheme::Basic]);
        for pat in ["a2b3c4", "aaa.bbb", "aaa.bbb.ccc.ddd", "..", "a..c"] {
            assert_eq!(shown(pat).schemes, [Scheme::Basic, Scheme::Bearer], "{pat}");
        }
    }

    #[test]
    fn a_pat_is_sent_with_an_empty_user_name_and_marked_as_sensitive() {
        let header = shown("pat").authorization(Scheme::Basic).unwrap();

        assert_eq!(header, "Basic OnBhdA==");
        assert!(header.is_sensitive());
    }

    #[test]
    fn what_no_header_can_hold_is_not_sendable() {
        assert!(shown("pat").is_sendable());
        for token in ["", "a b", "a\nb", "ação", &"a".repeat(MAX_TOKEN_BYTES + 1)] {
            assert!(!shown(token).is_sendable(), "{token:.10}");
        }
    }

    #[test]
    fn one_gate_serves_every_way_of_showing_a_token() {
        let fingerprints = Fingerprints::new("").unwrap();
        let basic = Shown::from_credential(&Credential::Basic { pat: "pat".into() }, &fingerprints);
        let bearer = Credential::Bearer { token: "pat".into(), azure_access_token: None };
        let bearer = Shown::from_credential(&bearer, &fingerprints);

        assert_eq!(basic.gate, bearer.gate);
        assert_ne!(basic.fingerprint, bearer.fingerprint);
        assert_eq!(basic.schemes, [Scheme::Basic]);
    }
}
