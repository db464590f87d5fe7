//! The keys of one tenant, derived from its secret (HKDF, RFC 5869), and the names of its entries.

use std::fmt::{self, Write as _};

use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::hmac::{self, HMAC_SHA256};
use secrecy::{ExposeSecret, SecretString};

/// The version of the format of all entries, identities included. A release that changes what an entry means increments it,
/// because during a deploy the old and the new version use the same server.
pub(crate) const FORMAT: &str = "1";

#[derive(Clone)]
pub(crate) struct Keys {
    tenant: String,
    /// Hashes tokens and persons, so that no name of an entry reveals them.
    names: hmac::Key,
    /// Seals identities.
    pub(crate) seal: LessSafeKey,
}

impl Keys {
    /// Returns none only if the library refuses the lengths, which are constants.
    pub(crate) fn derive(secret: &[u8], tenant: &str) -> Option<Self> {
        let secret = Salt::new(HKDF_SHA256, b"aponta shared memory").extract(secret);
        let names = secret.expand(&[b"names"], HMAC_SHA256).ok()?.into();
        let seal = UnboundKey::from(secret.expand(&[b"seal"], &AES_256_GCM).ok()?);
        Some(Self { tenant: tenant.to_owned(), names, seal: LessSafeKey::new(seal) })
    }

    /// Returns the name of the entry of `secret`, which is authenticated with the entry: format, tenant, kind and keyed hash.
    pub(crate) fn name(&self, kind: &str, secret: &SecretString) -> String {
        let mut context = hmac::Context::with_key(&self.names);
        // Zero bytes separate the hashed parts.
        for part in [kind, &self.tenant, secret.expose_secret()] {
            context.update(part.as_bytes());
            context.update(&[0]);
        }
        let mut name = format!("aponta:{FORMAT}:{}:{kind}:", self.tenant);
        for byte in context.sign().as_ref() {
            // Writing to a String cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        name
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_by_secret_tenant_kind_and_token_and_reveal_no_token() {
        let keys = |secret: &[u8], tenant| Keys::derive(secret, tenant).unwrap();
        let here = keys(b"a", "api@org");
        let name = here.name("bearer", &"token".into());

        assert!(name.starts_with("aponta:1:api@org:bearer:") && !name.contains("token"), "{name}");
        assert_eq!(keys(b"a", "api@org").name("bearer", &"token".into()), name, "replicas agree");
        for other in [
            here.name("basic", &"token".into()),
            here.name("bearer", &"other".into()),
            keys(b"b", "api@org").name("bearer", &"token".into()),
            keys(b"a", "api@other").name("bearer", &"token".into()),
        ] {
            assert_ne!(other.rsplit(':').next(), name.rsplit(':').next(), "{other}");
        }
    }
}
