//! What the port of shared rates promises.

use std::time::Duration;

use domain::{RateLimit, SharedRates};

use crate::server::Server;

/// So slow that no request becomes allowed during a test.
const SLOW: &str = "1/s;20";

fn limit(text: &str) -> RateLimit {
    text.parse().unwrap()
}

#[tokio::test]
async fn replicas_share_the_quota_of_a_person() {
    let server = Server::start().await;
    let replicas = [server.replica().await, server.replica().await, server.replica().await];

    let mut allowed = 0;
    for number in 0..60 {
        let decision = replicas[number % 3].decide(limit(SLOW), "ana").await.unwrap();
        allowed += usize::from(decision.retry_after.is_none());
    }

    // The burst, and one more for each second that the loop took.
    assert!((21..=26).contains(&allowed), "{allowed}");
    let other = replicas[0].decide(limit(SLOW), "bia").await.unwrap();
    assert_eq!((other.retry_after, other.remaining), (None, 20), "another person has a rate of their own");
    assert!(server.names().await.iter().all(|name| !name.contains("ana")), "no name reveals a person");
}

#[tokio::test]
async fn decisions_are_those_of_the_process() {
    let server = Server::start().await;
    let replica = server.replica().await;

    for text in ["1/s;0", "3/s;1000", "10/s;20", "7/s;3"] {
        let limit = limit(text);
        let first = replica.decide(limit, text).await.unwrap();
        assert_eq!(first, limit.decide(Duration::ZERO), "{text}");
        let second = replica.decide(limit, text).await.unwrap();
        let passed = first.reset_after.saturating_sub(second.reset_after.saturating_sub(match second.retry_after {
            None => limit.interval(),
            Some(_) => Duration::ZERO,
        }));
        assert!(passed < limit.interval(), "{text}: {second:?}");
    }
}

#[tokio::test]
async fn person_whose_quota_is_whole_takes_no_memory() {
    let server = Server::start().await;
    let replica = server.replica().await;

    replica.decide(limit("100/s;0"), "ana").await.unwrap();

    let name = server.names().await;
    if let Some(name) = name.first() {
        let left: i64 = server.command(&[b"PTTL", name.as_bytes()]).await;
        assert!(left <= 10, "{left}");
    }
}

#[tokio::test]
async fn forged_entry_costs_a_person_at_most_their_quota() {
    let server = Server::start().await;
    let replica = server.replica().await;
    let limit = limit("1/s;2");
    replica.decide(limit, "ana").await.unwrap();
    let name = server.names().await.remove(0);

    for far in ["99999999999999999999", "inf", "1e300"] {
        server.command::<()>(&[b"SET", name.as_bytes(), far.as_bytes()]).await;
        let refused = replica.decide(limit, "ana").await.unwrap();
        assert_eq!((refused.retry_after, refused.reset_after), (Some(limit.interval()), limit.window()), "{far}");
    }
    for whole in ["", "x", "-5", "0", "-inf"] {
        server.command::<()>(&[b"SET", name.as_bytes(), whole.as_bytes()]).await;
        assert_eq!(replica.decide(limit, "ana").await, Some(limit.decide(Duration::ZERO)), "{whole}");
    }
    server.command::<()>(&[b"SET", name.as_bytes(), b"nan"]).await;
    let decision = replica.decide(limit, "ana").await;
    assert!(decision.is_none_or(|decision| decision.reset_after <= limit.window()), "{decision:?}");
    server.command::<()>(&[b"DEL", name.as_bytes()]).await;
    server.command::<()>(&[b"RPUSH", name.as_bytes(), b"list"]).await;
    assert_eq!(replica.decide(limit, "ana").await, None, "the process decides");
}
