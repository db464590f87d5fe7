//! Keyed hashes that identify credentials in caches, so that no cache holds a token.

use domain::Error;
use ring::hmac;
use ring::rand::SystemRandom;
use secrecy::{ExposeSecret, SecretString};

/// The keyed hash of a credential. Equal only within the process that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint([u8; 32]);

/// Makes fingerprints for one organisation, with a random key that stays in memory.
pub(crate) struct Fingerprints {
    key: hmac::Key,
    organisation: String,
}

impl Fingerprints {
    pub(crate) fn new(organisation: &str) -> Result<Self, Error> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        let key = key.map_err(|_| Error::internal("the system has no random number generator"))?;
        Ok(Self { key, organisation: organisation.to_owned() })
    }

    /// Returns the fingerprint of `token` for one `purpose`. Zero bytes separate the hashed parts.
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
    fn fingerprints_are_equal_only_for_the_same_purpose_token_and_process() {
        let here = Fingerprints::new("https://dev.azure.com/contoso").unwrap();
        let there = Fingerprints::new("https://dev.azure.com/contoso").unwrap();
        let token = "token".into();

        let fingerprint = here.of("basic", &token);

        assert_eq!(here.of("basic", &token), fingerprint);
        assert_ne!(here.of("bearer", &token), fingerprint);
        assert_ne!(here.of("basic", &"other".into()), fingerprint);
        assert_ne!(there.of("basic", &token), fingerprint, "each process has its own key");
    }
}
