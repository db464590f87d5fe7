//! What the port of shared identities promises.

use adapters_redis::SharedMemory;
use domain::{SharedIdentities, SharedIdentity};

use crate::server::{Server, TENANT, ana, clock};

#[tokio::test]
async fn stored_identity_is_found_by_other_replicas_until_removed() {
    let server = Server::start().await;
    let (here, there) = (server.replica().await, server.replica().await);
    let token = "token".into();

    here.store("bearer", &token, ana()).await;

    assert_eq!(there.find("bearer", &token).await, Some(ana()));
    assert_eq!(there.find("basic", &token).await, None);
    assert_eq!(there.find("bearer", &"other".into()).await, None);
    here.remove("bearer", &token).await;
    assert_eq!(there.find("bearer", &token).await, None);
}

#[tokio::test]
async fn entry_names_no_token_is_not_readable_and_expires() {
    let server = Server::start().await;
    let replica = server.replica().await;
    replica.store("bearer", &"token-token".into(), ana()).await;

    let names = server.names().await;
    assert!(names.len() == 1 && names[0].starts_with(&format!("aponta:1:{TENANT}:bearer:")), "{names:?}");
    let content: Vec<u8> = server.command(&[b"GET", names[0].as_bytes()]).await;
    assert!(!names[0].contains("token") && !content.windows(3).any(|bytes| bytes == b"ana"));
    let left: i64 = server.command(&[b"PTTL", names[0].as_bytes()]).await;
    assert!((1..=60_000).contains(&left), "{left}");

    let later = SharedMemory::start(&server.config(TENANT), clock(60)).await;
    assert_eq!(later.find("bearer", &"token-token".into()).await, None, "the entry itself has expired");
}

#[tokio::test]
async fn entry_of_an_attacker_is_refused() {
    let server = Server::start().await;
    let replica = server.replica().await;
    replica.store("bearer", &"ana".into(), ana()).await;
    let anas = server.names().await.remove(0);
    let sealed: Vec<u8> = server.command(&[b"GET", anas.as_bytes()]).await;
    replica.store("bearer", &"bia".into(), SharedIdentity { identity: b"bia".to_vec(), ..ana() }).await;
    let bias = server.names().await.into_iter().find(|name| *name != anas).unwrap();

    let swapped = sealed.clone();
    for content in [&swapped[..], b"", b"{}", &[0; 100], &vec![0; 1_000_000], &sealed[1..]] {
        server.command::<()>(&[b"SET", bias.as_bytes(), content]).await;
        assert_eq!(replica.find("bearer", &"bia".into()).await, None);
    }
    server.command::<()>(&[b"DEL", bias.as_bytes()]).await;
    server.command::<()>(&[b"RPUSH", bias.as_bytes(), b"list"]).await;
    assert_eq!(replica.find("bearer", &"bia".into()).await, None);
    assert_eq!(replica.find("bearer", &"ana".into()).await, Some(ana()), "the connection survives that");
}

#[tokio::test]
async fn tenants_do_not_see_each_other() {
    let server = Server::start().await;
    let here = server.replica().await;
    let there = SharedMemory::start(&server.config("outro@https://dev.azure.com/contoso"), clock(0)).await;

    here.store("bearer", &"token".into(), ana()).await;

    assert_eq!(there.find("bearer", &"token".into()).await, None);
    // An attacker copies the entry to the name that the other tenant reads.
    let sealed: Vec<u8> = server.command(&[b"GET", server.names().await[0].as_bytes()]).await;
    there.store("bearer", &"token".into(), ana()).await;
    let theirs = server.names().await.into_iter().find(|name| name.contains(":outro@")).unwrap();
    server.command::<()>(&[b"SET", theirs.as_bytes(), &sealed]).await;
    assert_eq!(there.find("bearer", &"token".into()).await, None);
}
