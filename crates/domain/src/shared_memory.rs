//! The ports to the memory that the replicas of the service share. It may forget everything at any time, and whatever it
//! fails to do, the replica does by itself.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::{RateDecision, RateLimit};

/// What a replica has confirmed about a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedIdentity {
    /// The identity, in the format of the adapter that stores and reads it.
    pub identity: Vec<u8>,
    /// The time for which it is still valid.
    pub lifetime: Duration,
}

/// The identities of accepted credentials, shared by the replicas. A rejected credential is never stored.
///
/// `kind` says how the client presents `token`. The same token of two kinds is two credentials.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait SharedIdentities: Send + Sync {
    /// Returns the identity that a replica has stored for this credential, unless it has expired. An identity that no
    /// replica of this tenant has stored is never returned.
    async fn find(&self, kind: &'static str, token: &SecretString) -> Option<SharedIdentity>;

    /// Stores the identity of this credential for its lifetime.
    async fn store(&self, kind: &'static str, token: &SecretString, identity: SharedIdentity);

    /// Removes the identity of this credential.
    async fn remove(&self, kind: &'static str, token: &SecretString);
}

/// The rates of all persons, shared by the replicas.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait SharedRates: Send + Sync {
    /// Decides as [`RateLimit::decide`] on a request that `person` sends now. `None` if the replica has to decide by itself.
    async fn decide(&self, limit: RateLimit, person: &str) -> Option<RateDecision>;
}
