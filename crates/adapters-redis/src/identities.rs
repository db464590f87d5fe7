//! The port of shared identities.

use async_trait::async_trait;
use domain::{SharedIdentities, SharedIdentity};
use secrecy::SecretString;

use crate::metrics::{Outcome, Use};
use crate::seal;
use crate::shared_memory::SharedMemory;

/// More than the longest names of Azure DevOps need. Larger entries of an attacker are not read.
const MAX_BYTES: usize = 8 * 1024;

#[async_trait]
impl SharedIdentities for SharedMemory {
    async fn find(&self, kind: &'static str, token: &SecretString) -> Option<SharedIdentity> {
        let name = self.keys().name(kind, token);
        let mut command = redis::cmd("GETRANGE");
        command.arg(&name).arg(0).arg(MAX_BYTES);
        let sealed: Vec<u8> =
            self.link().run(Use::Identities, async |mut connection| command.query_async(&mut connection).await).await?;
        let found = self.keys().open(&name, &sealed, self.now());
        let outcome = match found {
            Some(_) => Outcome::Ok,
            None if sealed.is_empty() => Outcome::Missing,
            None => Outcome::Invalid,
        };
        self.link().metrics.count(Use::Identities, outcome);
        found
    }

    async fn store(&self, kind: &'static str, token: &SecretString, identity: SharedIdentity) {
        let name = self.keys().name(kind, token);
        let lifetime = u64::try_from(identity.lifetime.as_millis()).unwrap_or(u64::MAX);
        let is_storable = 0 < lifetime && identity.identity.len() + seal::overhead() <= MAX_BYTES;
        let Some(sealed) = self.keys().seal(&name, &identity, self.now()).filter(|_| is_storable) else { return };
        let mut command = redis::cmd("SET");
        command.arg(&name).arg(sealed).arg("PX").arg(lifetime);
        self.change(command).await;
    }

    async fn remove(&self, kind: &'static str, token: &SecretString) {
        let mut command = redis::cmd("DEL");
        command.arg(self.keys().name(kind, token));
        self.change(command).await;
    }
}

impl SharedMemory {
    async fn change(&self, command: redis::Cmd) {
        let done: Option<()> =
            self.link().run(Use::Identities, async |mut connection| command.query_async(&mut connection).await).await;
        if done.is_some() {
            self.link().metrics.count(Use::Identities, Outcome::Ok);
        }
    }
}
