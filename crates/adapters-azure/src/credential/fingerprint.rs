//! What stands for a credential in memory: a keyed hash, never the token.

use domain::Error;
use ring::hmac;
use ring::rand::SystemRandom;
use secrecy::{ExposeSecret, SecretString};

/// A hash that says that two credentials are the same, to this process and until it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint([u8; 32]);

/// Makes fingerprints for one organisation, with a key that nobody knows.
pub(crate) struct Fingerprints {
    key: hmac::Key,
    organisation: String,
}

impl Fingerprints {
    pub(crate) fn new(organisation: &str) -> Result<Self, Error> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        let key = key.map_err(|_| Error::internal("the system has no randomness"))?;
        Ok(Self { key, organisation: organisation.to_owned() })
    }

    /// The fingerprint of `token` used as `purpose` says; the zero bytes keep the parts apart.
    pub(crate) fn of(&self, purpose: &str, token: &SecretString) -> Fingerprint {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [purpose, &self.organisation, token.expose_secret()] {
            context.update(part.as_bytes());
            context.update(&[0]);
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(context.sign().as_ref());
        Fingerprint(fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_credentials_and_only_those_have_equal_fingerprints() {
        let here = Fingerprints::new("https://dev.azure.com/contoso").unwrap();
        let there = Fingerprints::new("https://dev.azure.com/contoso").unwrap();
        let token = "token".into();

        let fingerprint = here.of("basic", &token);

        assert_eq!(here.of("basic", &token), fingerprint);
        assert_ne!(here.of("bearer", &token), fingerprint);
        assert_ne!(here.of("basic", &"other".into()), fingerprint);
        assert_ne!(there.of("basic", &token), fingerprint, "every process has a key of its own");
    }
}
