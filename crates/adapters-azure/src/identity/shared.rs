//! Identities in the format in which replicas share them.

use std::sync::Arc;
use std::time::Duration;

use domain::{SharedIdentities, SharedIdentity, Usuario};
use serde::{Deserialize, Serialize};

use crate::credential::{PresentedCredential, Scheme};

/// The identities that other replicas have looked up; without a shared memory there are none.
pub(crate) struct Shared(Option<Arc<dyn SharedIdentities>>);

/// The shared result of a look-up. A change of its meaning needs another version of the format of the shared memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookedUp {
    id: String,
    display_name: String,
    email: Option<String>,
    pub(crate) scheme: Scheme,
    pub(crate) is_on_premises: bool,
}

impl LookedUp {
    pub(crate) fn new(usuario: &Usuario, scheme: Scheme, is_on_premises: bool) -> Self {
        let Usuario { id, display_name, email } = usuario.clone();
        Self { id, display_name, email, scheme, is_on_premises }
    }

    pub(crate) fn into_usuario(self) -> Usuario {
        Usuario { id: self.id, display_name: self.display_name, email: self.email }
    }
}

impl Shared {
    pub(crate) const fn new(store: Option<Arc<dyn SharedIdentities>>) -> Self {
        Self(store)
    }

    /// Returns what another replica has looked up for `credential`, and the time for which it is valid.
    pub(crate) async fn find(&self, credential: &PresentedCredential) -> Option<(LookedUp, Duration)> {
        let found = self.0.as_ref()?.find(credential.kind, &credential.token).await?;
        Some((serde_json::from_slice(&found.identity).ok()?, found.lifetime))
    }

    pub(crate) async fn store(&self, credential: &PresentedCredential, looked_up: &LookedUp, lifetime: Duration) {
        if let Some(store) = &self.0
            && let Ok(identity) = serde_json::to_vec(looked_up)
        {
            store.store(credential.kind, &credential.token, SharedIdentity { identity, lifetime }).await;
        }
    }

    pub(crate) async fn remove(&self, credential: &PresentedCredential) {
        if let Some(store) = &self.0 {
            store.remove(credential.kind, &credential.token).await;
        }
    }
}
