//! What `aponta doctor` learns from a real server.

use adapters_redis::{Config, Diagnosis};

use crate::server::{SECRET, Server, TENANT};

#[tokio::test]
async fn diagnosis_has_the_settings_of_the_server() {
    let server = Server::start().await;
    let config = server.config(TENANT);
    let found = Diagnosis::of(&config).await.unwrap();
    assert_eq!((found.max_memory, &*found.eviction_policy, found.is_persistent), (0, "noeviction", false));
    assert!(found.version.starts_with("Redis ") || found.version.starts_with("Valkey "), "{}", found.version);

    server.command::<()>(&[b"CONFIG", b"SET", b"maxmemory", b"10mb", b"maxmemory-policy", b"allkeys-lru"]).await;
    server.command::<()>(&[b"CONFIG", b"SET", b"save", b"3600 1"]).await;
    let found = Diagnosis::of(&config).await.unwrap();
    assert_eq!((found.max_memory, &*found.eviction_policy, found.is_persistent), (10 << 20, "allkeys-lru", true));
}

#[tokio::test]
async fn diagnosis_of_a_wrong_password_names_no_secret() {
    let server = Server::start().await;
    let url = format!("redis://:segredo@127.0.0.1:{}", server.port);
    let config = Config::new(&url.into(), &SECRET.into(), TENANT).unwrap();

    let reason = Diagnosis::of(&config).await.unwrap_err();

    assert!(!reason.is_empty() && !reason.contains("segredo"), "{reason}");
}
