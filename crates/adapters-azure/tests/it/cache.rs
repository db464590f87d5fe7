//! The identity cache: lifetimes, and one call for concurrent look-ups.

use std::time::Duration;

use domain::{Credential, IdentityProvider, ProjectDirectory};
use serde_json::json;
use wiremock::matchers::basic_auth;

use crate::support::{
    CONNECTION_DATA, NOW, PAT, PROJECTS, adapter, azure, basic, bearer, calls, config, fixture, join_all, kind, know,
    know_the_pat, respond, signed, until, usuario,
};

#[tokio::test]
async fn identity_is_cached() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;

    for _ in 0..3 {
        usuario(&azure, bearer(PAT)).await.unwrap();
    }

    assert_eq!(calls(&server, CONNECTION_DATA).await, 1);
}

#[tokio::test]
async fn identities_of_different_credentials_are_cached_apart() {
    let (server, azure) = azure().await;
    know(&server, basic_auth("", PAT), "connectiondata_200_entra_user").await;
    know(&server, basic_auth("", "another"), "connectiondata_200_msa_user").await;
    respond(&server, CONNECTION_DATA, fixture("unauthorized_401_suppress_empty")).await;

    let users = [bearer(PAT), bearer("another"), basic(PAT)];
    let mut names = Vec::new();
    for credential in users {
        names.push(usuario(&azure, credential).await.unwrap().display_name);
    }

    assert_eq!(names, ["Ana Lima", "Rui Costa", "Ana Lima"]);
    assert_eq!(calls(&server, CONNECTION_DATA).await, 3);
    assert_eq!(kind(&usuario(&azure, bearer("unknown")).await.unwrap_err()), "rejected");
}

#[tokio::test]
async fn concurrent_lookups_of_one_credential_share_one_call() {
    let (server, azure) = azure().await;
    let slow = fixture("connectiondata_200_entra_user").set_delay(Duration::from_millis(100));
    respond(&server, CONNECTION_DATA, slow).await;

    let requests: Vec<_> = (0..100)
        .map(|_| {
            let azure = azure.clone();
            tokio::spawn(async move { usuario(&azure, bearer(PAT)).await })
        })
        .collect();
    for result in join_all(requests).await {
        result.unwrap();
    }

    assert_eq!(calls(&server, CONNECTION_DATA).await, 1);
}

/// Lists require a more recent identity than the cache does.
#[tokio::test]
async fn concurrent_lists_refresh_the_identity_once() {
    let (server, _) = azure().await;
    let mut config = config(&server.uri());
    config.listing_identity_age = Duration::from_millis(200);
    let azure = adapter(&config);
    let slow = fixture("connectiondata_200_entra_user").set_delay(Duration::from_millis(100));
    respond(&server, CONNECTION_DATA, slow).await;
    respond(&server, PROJECTS, fixture("projects_200")).await;
    usuario(&azure, bearer(PAT)).await.unwrap();
    tokio::time::sleep(config.listing_identity_age).await;

    let lists: Vec<_> = (0..20)
        .map(|_| {
            let azure = azure.clone();
            tokio::spawn(async move { azure.list(bearer(PAT)).await })
        })
        .collect();
    for list in lists {
        list.await.unwrap().unwrap();
    }

    assert_eq!(calls(&server, CONNECTION_DATA).await, 2, "at first, and when it was too old");
}

#[tokio::test]
async fn concurrent_lookups_share_an_error_that_is_not_cached() {
    let (server, azure) = azure().await;
    let slow = fixture("error_500_not_transient").set_delay(Duration::from_millis(100));
    respond(&server, CONNECTION_DATA, slow).await;

    let requests: Vec<_> = (0..20)
        .map(|_| {
            let azure = azure.clone();
            tokio::spawn(async move { usuario(&azure, bearer(PAT)).await })
        })
        .collect();
    for request in requests {
        assert_eq!(kind(&request.await.unwrap().unwrap_err()), "bad upstream");
    }
    assert_eq!(calls(&server, CONNECTION_DATA).await, 1);

    usuario(&azure, bearer(PAT)).await.unwrap_err();
    assert_eq!(calls(&server, CONNECTION_DATA).await, 2);
}

#[tokio::test]
async fn cancelled_lookup_does_not_block_concurrent_ones() {
    let (server, azure) = azure().await;
    let slow = fixture("connectiondata_200_entra_user").set_delay(Duration::from_millis(200));
    respond(&server, CONNECTION_DATA, slow).await;
    let first = tokio::spawn({
        let azure = azure.clone();
        async move { usuario(&azure, bearer(PAT)).await }
    });
    until(async || calls(&server, CONNECTION_DATA).await == 1).await;
    let second = tokio::spawn({
        let azure = azure.clone();
        async move { usuario(&azure, bearer(PAT)).await }
    });

    first.abort();

    second.await.unwrap().unwrap();
}

#[tokio::test]
async fn identity_after_cache_ttl_is_looked_up_again() {
    let (server, _) = azure().await;
    know_the_pat(&server).await;
    let mut config = config(&server.uri());
    config.cache_ttl = Duration::from_millis(50);
    let azure = adapter(&config);

    until(async || {
        usuario(&azure, bearer(PAT)).await.unwrap();
        calls(&server, CONNECTION_DATA).await == 3
    })
    .await;
}

#[tokio::test]
async fn cache_ttl_of_zero_disables_the_cache() {
    let (server, _) = azure().await;
    know_the_pat(&server).await;
    let mut config = config(&server.uri());
    config.cache_ttl = Duration::ZERO;
    let azure = adapter(&config);

    for _ in 0..3 {
        usuario(&azure, bearer(PAT)).await.unwrap();
    }

    assert_eq!(calls(&server, CONNECTION_DATA).await, 3);
}

#[tokio::test]
async fn identity_after_token_expiry_is_looked_up_again() {
    // Signed like an app token. Without configured keys every token is verified by Azure DevOps.
    let token = |exp: serde_json::Value| signed("a key of thirty-two characters .", &json!({ "exp": exp }));
    let cases = [
        (token(json!(NOW + 600)), 1),
        (token(json!("soon")), 1),
        (token(json!(NOW)), 3),
        (token(json!(NOW - 5)), 3),
        (token(json!(-1e300)), 3),
    ];
    for (token, expected) in cases {
        let (server, azure) = azure().await;
        respond(&server, CONNECTION_DATA, fixture("connectiondata_200_entra_user")).await;

        for _ in 0..3 {
            usuario(&azure, bearer(&token)).await.unwrap();
        }

        assert_eq!(calls(&server, CONNECTION_DATA).await, expected, "{token}");
    }
}

#[tokio::test]
async fn rejection_is_cached_for_rejected_ttl() {
    let (server, _) = azure().await;
    respond(&server, CONNECTION_DATA, fixture("unauthorized_401_suppress_empty")).await;
    let mut config = config(&server.uri());
    config.rejected_ttl = Duration::from_secs(1);
    let azure = adapter(&config);

    for _ in 0..5 {
        assert_eq!(kind(&usuario(&azure, bearer("unknown")).await.unwrap_err()), "rejected");
    }
    assert_eq!(calls(&server, CONNECTION_DATA).await, 2, "each scheme once");

    until(async || {
        usuario(&azure, bearer("unknown")).await.unwrap_err();
        calls(&server, CONNECTION_DATA).await == 4
    })
    .await;
}

/// Longer than its identity is cached.
#[tokio::test]
async fn credential_is_known_from_acceptance_until_rejection() {
    let (server, _) = azure().await;
    know_the_pat(&server).await;
    let mut config = config(&server.uri());
    config.cache_ttl = Duration::ZERO;
    let azure = adapter(&config);
    assert!(!azure.recently_accepted(&bearer(PAT)));

    usuario(&azure, bearer(PAT)).await.unwrap();
    usuario(&azure, bearer("unknown")).await.unwrap_err();
    assert!(
        azure.recently_accepted(&bearer(PAT))
            && !azure.recently_accepted(&bearer("unknown"))
            && !azure.recently_accepted(&basic(PAT))
    );

    server.reset().await;
    respond(&server, CONNECTION_DATA, fixture("unavailable_503_json")).await;
    usuario(&azure, bearer(PAT)).await.unwrap_err();
    assert!(azure.recently_accepted(&bearer(PAT)), "it was not rejected");

    server.reset().await;
    respond(&server, CONNECTION_DATA, fixture("unauthorized_401_suppress_empty")).await;
    usuario(&azure, bearer(PAT)).await.unwrap_err();
    assert!(!azure.recently_accepted(&bearer(PAT)));
}

#[tokio::test]
async fn rejected_credentials_do_not_evict_users() {
    let (server, _) = azure().await;
    know_the_pat(&server).await;
    let mut config = config(&server.uri());
    config.cache_capacity = 10;
    let azure = adapter(&config);
    usuario(&azure, bearer(PAT)).await.unwrap();

    for n in 0..50 {
        let unknown = Credential::Basic { pat: format!("unknown-{n}").into() };
        assert_eq!(kind(&usuario(&azure, unknown).await.unwrap_err()), "rejected");
    }
    usuario(&azure, bearer(PAT)).await.unwrap();

    assert_eq!(calls(&server, CONNECTION_DATA).await, 51);
}
