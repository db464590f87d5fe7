//! Identities that replicas share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use adapters_azure::{AzureConfig, AzureDevOps};
use async_trait::async_trait;
use domain::{IdentityProvider, ProjectDirectory, SharedIdentities, SharedIdentity};
use secrecy::{ExposeSecret, SecretString};
use wiremock::MockServer;

use crate::support::{
    CONNECTION_DATA, NOW, PAT, PROJECTS, StandingClock, basic, bearer, calls, config, fixture, kind, know_the_pat,
    respond, signed, usuario,
};

/// A shared memory without sealing.
#[derive(Default)]
struct Memory(Mutex<HashMap<(&'static str, String), SharedIdentity>>);

#[async_trait]
impl SharedIdentities for Memory {
    async fn find(&self, kind: &'static str, token: &SecretString) -> Option<SharedIdentity> {
        self.0.lock().unwrap().get(&(kind, token.expose_secret().to_owned())).cloned()
    }

    async fn store(&self, kind: &'static str, token: &SecretString, identity: SharedIdentity) {
        self.0.lock().unwrap().insert((kind, token.expose_secret().to_owned()), identity);
    }

    async fn remove(&self, kind: &'static str, token: &SecretString) {
        self.0.lock().unwrap().remove(&(kind, token.expose_secret().to_owned()));
    }
}

fn replica(config: &AzureConfig, memory: &Arc<Memory>) -> AzureDevOps {
    AzureDevOps::new(config, Arc::new(StandingClock), Some(memory.clone())).unwrap()
}

async fn server() -> (MockServer, AzureConfig, Arc<Memory>) {
    let server = MockServer::start().await;
    let config = config(&server.uri());
    (server, config, Arc::default())
}

#[tokio::test]
async fn identity_of_one_replica_serves_the_others() {
    let (server, config, memory) = server().await;
    know_the_pat(&server).await;

    let first = usuario(&replica(&config, &memory), bearer(PAT)).await.unwrap();
    let other = replica(&config, &memory);
    assert!(!other.recently_accepted(&bearer(PAT)));
    assert_eq!(usuario(&other, bearer(PAT)).await.unwrap(), first);

    assert_eq!(calls(&server, CONNECTION_DATA).await, 1);
    assert!(other.recently_accepted(&bearer(PAT)));
    usuario(&other, basic(PAT)).await.unwrap();
    assert_eq!(calls(&server, CONNECTION_DATA).await, 2, "another way to present a token is another credential");
}

#[tokio::test]
async fn rejected_credential_is_neither_stored_nor_left() {
    let (server, config, memory) = server().await;
    respond(&server, CONNECTION_DATA, fixture("unauthorized_401_suppress_empty")).await;
    assert_eq!(kind(&usuario(&replica(&config, &memory), bearer("unknown")).await.unwrap_err()), "rejected");
    assert!(memory.0.lock().unwrap().is_empty());

    server.reset().await;
    know_the_pat(&server).await;
    let replica = replica(&AzureConfig { listing_identity_age: Duration::ZERO, ..config }, &memory);
    usuario(&replica, bearer(PAT)).await.unwrap();
    assert_eq!(memory.0.lock().unwrap().len(), 1);
    server.reset().await;
    respond(&server, CONNECTION_DATA, fixture("unauthorized_401_suppress_empty")).await;
    assert_eq!(kind(&replica.list(bearer(PAT)).await.unwrap_err()), "rejected");
    assert!(memory.0.lock().unwrap().is_empty(), "a revoked token is removed");
}

#[tokio::test]
async fn list_of_projects_needs_an_identity_of_this_replica() {
    let (server, config, memory) = server().await;
    know_the_pat(&server).await;
    respond(&server, PROJECTS, fixture("projects_200")).await;
    usuario(&replica(&config, &memory), bearer(PAT)).await.unwrap();

    let other = replica(&config, &memory);
    other.list(bearer(PAT)).await.unwrap();
    other.list(bearer(PAT)).await.unwrap();

    assert_eq!(calls(&server, CONNECTION_DATA).await, 2, "the age of a shared identity is not known");
}

#[tokio::test]
async fn shared_lifetime_ends_with_the_token_and_is_never_extended() {
    let (server, config, memory) = server().await;
    let token = signed("key", &serde_json::json!({"exp": NOW + 20}));
    respond(&server, CONNECTION_DATA, fixture("connectiondata_200_entra_user")).await;

    usuario(&replica(&config, &memory), bearer(&token)).await.unwrap();
    usuario(&replica(&config, &memory), bearer(PAT)).await.unwrap();

    let lifetime = |token: &str| memory.0.lock().unwrap()[&("bearer", token.to_owned())].lifetime;
    assert_eq!((lifetime(&token), lifetime(PAT)), (Duration::from_secs(20), config.cache_ttl));
    let nearly_over = Duration::from_millis(50);
    memory.0.lock().unwrap().values_mut().for_each(|shared| shared.lifetime = nearly_over);
    let other = replica(&config, &memory);
    usuario(&other, bearer(PAT)).await.unwrap();
    memory.0.lock().unwrap().clear();
    tokio::time::sleep(2 * nearly_over).await;
    usuario(&other, bearer(PAT)).await.unwrap();
    assert_eq!(calls(&server, CONNECTION_DATA).await, 3);
}

#[tokio::test]
async fn unreadable_entry_and_a_cache_that_is_off_query_azure_devops() {
    let (server, config, memory) = server().await;
    know_the_pat(&server).await;
    let foreign = SharedIdentity { identity: br#"{"id": "x", "admin": true}"#.to_vec(), lifetime: config.cache_ttl };
    memory.store("bearer", &PAT.into(), foreign).await;

    usuario(&replica(&config, &memory), bearer(PAT)).await.unwrap();
    assert_eq!(calls(&server, CONNECTION_DATA).await, 1);

    let off = replica(&AzureConfig { cache_ttl: Duration::ZERO, ..config }, &memory);
    usuario(&off, bearer(PAT)).await.unwrap();
    assert_eq!(calls(&server, CONNECTION_DATA).await, 2);
}
