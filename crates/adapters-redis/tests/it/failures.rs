//! A server that is dead, hangs, is full, or refuses: nothing is found, nothing fails, and the next server is used.

use adapters_redis::{Config, SharedMemory};
use domain::{RateLimit, SharedIdentities, SharedRates};
use prometheus_client::registry::Registry;

use crate::server::{SECRET, Server, TENANT, ana, clock, until};

fn limit() -> RateLimit {
    "10/s;20".parse().unwrap()
}

/// Stores and finds. Returns what was found.
async fn works(memory: &SharedMemory) -> bool {
    memory.store("bearer", &"token".into(), ana()).await;
    memory.find("bearer", &"token".into()).await == Some(ana())
}

fn metric(memory: &SharedMemory, line: &str) -> u64 {
    let mut registry = Registry::default();
    memory.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let value = text.lines().find_map(|found| found.strip_prefix(line)).unwrap_or_else(|| panic!("{line}: {text}"));
    value.trim().parse().unwrap()
}

fn skipped(memory: &SharedMemory) -> u64 {
    metric(memory, r#"aponta_shared_memory_operations_total{use="rates",outcome="skipped"}"#)
}

#[tokio::test]
async fn server_that_dies_is_used_again_when_it_is_back() {
    let mut server = Server::start().await;
    let memory = server.replica().await;
    assert!(works(&memory).await);

    server.kill();
    assert!(!works(&memory).await);
    assert_eq!(memory.decide(limit(), "ana").await, None);
    assert_eq!(metric(&memory, "aponta_shared_memory_connected"), 0);

    server.restart().await;
    until(|| works(&memory)).await;
    assert!(memory.decide(limit(), "ana").await.is_some());
    assert_eq!(metric(&memory, "aponta_shared_memory_connected"), 1);
}

#[tokio::test]
async fn server_that_hangs_delays_one_operation_and_the_others_are_skipped() {
    let server = Server::start().await;
    let memory = server.replica().await;
    assert!(memory.decide(limit(), "ana").await.is_some());

    server.signal("STOP");
    assert_eq!((memory.decide(limit(), "ana").await, skipped(&memory)), (None, 0));
    for _ in 0..100 {
        assert_eq!(memory.decide(limit(), "ana").await, None);
    }
    assert_eq!(skipped(&memory), 100);

    server.signal("CONT");
    until(async || memory.decide(limit(), "ana").await.is_some()).await;
}

#[tokio::test]
async fn full_server_still_serves_what_it_has() {
    let server = Server::start().await;
    let memory = server.replica().await;
    assert!(works(&memory).await);

    server.command::<()>(&[b"CONFIG", b"SET", b"maxmemory", b"1"]).await;
    memory.store("bearer", &"other".into(), ana()).await;

    assert_eq!(memory.find("bearer", &"other".into()).await, None);
    assert_eq!(memory.decide(limit(), "ana").await, None);
    assert_eq!(memory.find("bearer", &"token".into()).await, Some(ana()));
    assert_eq!(metric(&memory, "aponta_shared_memory_connected"), 1);
}

#[tokio::test]
async fn server_that_forgets_or_restarts_its_scripts_is_used_at_once() {
    let server = Server::start().await;
    let memory = server.replica().await;
    assert!(works(&memory).await && memory.decide(limit(), "ana").await.is_some());

    server.command::<()>(&[b"FLUSHALL"]).await;
    server.command::<()>(&[b"SCRIPT", b"FLUSH"]).await;

    assert_eq!(memory.find("bearer", &"token".into()).await, None);
    assert!(memory.decide(limit(), "ana").await.is_some() && works(&memory).await);
}

#[tokio::test]
async fn wrong_password_and_absent_server_are_no_failure() {
    let server = Server::start().await;
    for url in [format!("redis://:errada@127.0.0.1:{}", server.port), "redis://127.0.0.1:1".to_owned()] {
        let config = Config::new(&url.into(), &SECRET.into(), TENANT).unwrap();
        let memory = SharedMemory::start(&config, clock(0)).await;

        assert!(!works(&memory).await);
        assert_eq!((memory.decide(limit(), "ana").await, skipped(&memory)), (None, 1));
    }
}
