//! How a credential is shown to Azure.

use domain::Credential;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::fingerprint::{Fingerprint, Fingerprints};
use super::jwt::Jwt;

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
    /// How to send it: one way where its shape decides, otherwise the likely way first and the other one only after a
    /// plain rejection.
    pub(crate) schemes: &'static [Scheme],
    /// Under which its identity is remembered.
    pub(crate) fingerprint: Fingerprint,
    /// Under which it is held back; the same for every way of showing it, because Azure throttles the user.
    pub(crate) gate: Fingerprint,
    /// The user whom a valid app token beside it names.
    pub(crate) user: Option<Fingerprint>,
}

impl Shown {
    /// The token of `credential` itself.
    pub(crate) fn from_credential(credential: &Credential, fingerprints: &Fingerprints) -> Self {
        match credential {
            Credential::Bearer { token, .. } => Self::from_token(token, fingerprints),
            Credential::Basic { pat } => Self::new(pat, "basic", &[Scheme::Basic], fingerprints),
        }
    }

    /// A token whose kind only its shape tells. An access token is a JWT, which no PAT is; the PATs of today are known
    /// as well, and every other token is tried both ways, since Azure may change its shapes.
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

    fn new(token: &SecretString, scheme: &str, schemes: &'static [Scheme], fingerprints: &Fingerprints) -> Self {
        let (fingerprint, gate) = (fingerprints.of(scheme, token), fingerprints.of("gate", token));
        Self { token: token.clone(), schemes, fingerprint, gate, user: None }
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

/// Whether it has the shape of a PAT: 52 characters of base32, or since 2024 84 characters with a mark near their end.
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

    fn shown(token: &str) -> Shown {
        Shown::from_token(&token.into(), &Fingerprints::new("").unwrap())
    }

    #[test]
    fn the_shape_of_a_token_decides_how_it_is_sent() {
        for jwt in ["aaa.bbb.ccc", "aaa.bbb."] {
            assert_eq!(shown(jwt).schemes, [Scheme::Bearer], "{jwt}");
        }
        let (old, new) = ("a2".repeat(26), format!("{}AZDOwxYZ", "Ab9c".repeat(19)));
        for pat in [&old, &new] {
            assert_eq!(shown(pat).schemes, [Scheme::Basic], "{pat}");
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
            assert_eq!(shown(&token).schemes, [Scheme::Basic, Scheme::Bearer], "{token}");
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
