//! Identities as authenticated ciphertext (AES-256-GCM).
//!
//! The name of the entry is authenticated with it: an entry under another name does not open. The expiry is inside, so an old
//! entry that is written again is still expired.

use std::time::Duration;

use domain::SharedIdentity;
use ring::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce};
use ring::rand::{SecureRandom, SystemRandom};
use time::OffsetDateTime;

use crate::keys::Keys;

/// The number of bytes of the expiry: milliseconds since 1970, big-endian.
const EXPIRY_LEN: usize = 8;

impl Keys {
    /// Seals `identity` for the entry `name`. None if the system has no random numbers or the identity is too large.
    ///
    /// Random nonces are safe for 2³² entries under one key: at 10 per second, for 13 years.
    pub(crate) fn seal(&self, name: &str, identity: &SharedIdentity, now: OffsetDateTime) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let expiry = milliseconds(now)?.checked_add(i64::try_from(identity.lifetime.as_millis()).ok()?)?;
        let mut sealed = [&expiry.to_be_bytes()[..], &identity.identity].concat();
        let nonce_bytes = nonce;
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.seal.seal_in_place_append_tag(nonce, Aad::from(name), &mut sealed).ok()?;
        Some([&nonce_bytes[..], &sealed].concat())
    }

    /// Opens the content of the entry `name`. None unless this tenant has sealed it for that name and it is still valid.
    pub(crate) fn open(&self, name: &str, sealed: &[u8], now: OffsetDateTime) -> Option<SharedIdentity> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut opened = ciphertext.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.seal.open_in_place(nonce, Aad::from(name), &mut opened).ok()?;
        let (expiry, identity) = opened.split_first_chunk::<EXPIRY_LEN>()?;
        let left = i64::from_be_bytes(*expiry).checked_sub(milliseconds(now)?)?;
        let lifetime = Duration::from_millis(u64::try_from(left).ok().filter(|left| 0 < *left)?);
        Some(SharedIdentity { identity: identity.to_vec(), lifetime })
    }
}

/// The bytes that sealing adds to an identity.
pub(crate) fn overhead() -> usize {
    NONCE_LEN + EXPIRY_LEN + AES_256_GCM.tag_len()
}

fn milliseconds(time: OffsetDateTime) -> Option<i64> {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
    const MINUTE: Duration = Duration::from_mins(1);

    fn keys(secret: &[u8], tenant: &str) -> Keys {
        Keys::derive(secret, tenant).unwrap()
    }

    fn ana() -> SharedIdentity {
        SharedIdentity { identity: b"ana".to_vec(), lifetime: MINUTE }
    }

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_795_501_000).unwrap()
    }

    #[test]
    fn sealed_identity_opens_with_what_is_left_of_its_lifetime() {
        let keys = keys(SECRET, "api");
        let sealed = keys.seal("name", &ana(), now()).unwrap();

        assert_eq!(sealed.len(), 3 + overhead());
        assert!(!sealed.windows(3).any(|bytes| bytes == b"ana"), "it is not readable");
        let expected = SharedIdentity { lifetime: Duration::from_secs(45), ..ana() };
        assert_eq!(keys.open("name", &sealed, now() + Duration::from_secs(15)), Some(expected));
        assert_ne!(keys.seal("name", &ana(), now()), Some(sealed), "each entry has a nonce of its own");
    }

    #[test]
    fn entry_replayed_after_its_expiry_is_refused() {
        let keys = keys(SECRET, "api");
        let sealed = keys.seal("name", &ana(), now()).unwrap();

        assert!(keys.open("name", &sealed, now() + MINUTE - Duration::from_millis(1)).is_some());
        for later in [MINUTE, Duration::from_hours(24 * 365)] {
            assert_eq!(keys.open("name", &sealed, now() + later), None);
        }
    }

    #[test]
    fn entry_of_another_credential_tenant_version_or_key_is_refused() {
        let here = keys(SECRET, "api");
        let (ana_s, bia_s) = (here.name("bearer", &"ana".into()), here.name("bearer", &"bia".into()));
        let sealed = here.seal(&ana_s, &ana(), now()).unwrap();
        assert!(here.open(&ana_s, &sealed, now()).is_some());

        assert_eq!(here.open(&bia_s, &sealed, now()), None, "moved to another credential");
        assert_eq!(here.open(&here.name("basic", &"ana".into()), &sealed, now()), None, "of another kind");
        assert_eq!(here.open(&ana_s.replacen(":1:", ":2:", 1), &sealed, now()), None, "of another version");
        let there = keys(SECRET, "outro");
        assert_eq!(there.open(&there.name("bearer", &"ana".into()), &sealed, now()), None, "of another tenant");
        let other = keys(b"another secret of thirty-two bytes", "api");
        assert_eq!(other.open(&ana_s, &sealed, now()), None, "under another key");
    }

    #[test]
    fn forged_and_changed_entries_are_refused() {
        let keys = keys(SECRET, "api");
        let sealed = keys.seal("name", &ana(), now()).unwrap();
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(keys.open("name", &changed, now()), None, "bit of byte {index}");
            assert_eq!(keys.open("name", &sealed[..index], now()), None, "cut to {index} bytes");
        }
        assert_eq!(keys.open("name", &[&sealed[..], &[0]].concat(), now()), None);
        for forged in [&b""[..], b"ana", &[0; 64], &u64::MAX.to_be_bytes()] {
            assert_eq!(keys.open("name", forged, now()), None);
        }
    }
}
