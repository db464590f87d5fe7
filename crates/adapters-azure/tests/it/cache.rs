//! What is remembered, for how long, and that many questions make one call.

use std::time::Duration;

use domain::{Credential, IdentityProvider, ProjectDirectory};
use serde_json::json;
use wiremock::matchers::basic_auth;

use crate::support::{
    CONNECTION_DATA, NOW, PAT, PROJECTS, adapter, answer, azure, basic, bearer, calls, config, fixture, kind, know,
    know_the_pat, signed, until, usuario,
};

#[tokio::test]
async fn an_identity_is_remembered() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;

    for _ in 0..3 {
        usuario(&azure, bearer(PAT)).await.unwrap();
    }

    assert_eq!(calls(&server, CONNECTION_DATA).await, 1);
}

#[tokio::test]
async fn every_credential_is_remembered_for_itself() {
    let (server, azure) = azure().await;
    know(&server, basic_auth("", PAT), "connectiondata_200_entra_user").await;
    know(&server, basic_auth("", "another"), "connectiondata_200_msa_user").await;
    answer(&server, CONNECTION_DATA, fixture("unauthorized_401_suppress_empty")).await;

    let users = [bearer(PAT), bearer("another"), basic(PAT)];
    let mut names = Vec::new();
    for credential in users {
        names.push(usuario(&azure, credential).await.unwrap().display_name);
    }

    assert_eq!(names, ["Ana Lima", "Rui Costa", "Ana Lima"]);
    assert_eq!(calls(&server, CONNECTION_DATA).await, 3);
    assert_eq!(kind(&usuario(&azure, bearer("stranger")).await.unwrap_err()), "rejected");
}

#[tokio::test]
async fn simultaneous_questions_make_one_call() {
    let (server, azure) = azure().await;
    let slow = fixture("connectiondata_200_entra_user").set_delay(Duration::from_millis(100));
    answer(&server, CONNECTION_DATA, slow).await;

    let asked: Vec<_> = (0..100)
        .map(|_| {
            let azure = azure.clone();
            tokio::spawn(async move { usuario(&azure, bearer(PAT)).await })
        })
        .collect();
    for question in asked {
        question.await.unwrap().unwrap();
    }

    assert_eq!(calls(&server, CONNECTION_DATA).await, 1);
}

/// Lists want an identity that is younger than the memory of it.
#[tokio::test]
async fn simultaneous_lists_renew_the_identity_once() {
    let (server, _) = azure().await;
    let mut config = config(&server.uri());
    config.listing_identity_age = Duration::from_millis(200);
    let azure = adapter(&config);
    let slow = fixture("connectiondata_200_entra_user").set_delay(Duration::from_millis(100));
    answer(&server, CONNECTION_DATA, slow).await;
    answer(&server, PROJECTS, fixture("projects_200")).await;
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
async fn simultaneous_questions_share_a_failure_that_is_not_remembered() {
    let (server, azure) = azure().await;
    let slow = fixture("error_500_not_transient").set_delay(Duration::from_millis(100));
    answer(&server, CONNECTION_DATA, slow).await;

    let asked: Vec<_> = (0..20)
        .map(|_| {
            let azure = azure.clone();
            tokio::spawn(async move { usuario(&azure, bearer(PAT)).await })
        })
        .collect();
    for question in asked {
        assert_eq!(kind(&question.await.unwrap().unwrap_err()), "bad upstream");
    }
    assert_eq!(calls(&server, CONNECTION_DATA).await, 1);

    usuario(&azure, bearer(PAT)).await.unwrap_err();
    assert_eq!(calls(&server, CONNECTION_DATA).await, 2);
}

#[tokio::test]
async fn a_question_that_is_given_up_does_not_leave_the_others_waiting() {
    let (server, azure) = azure().await;
    let slow = fixture("connectiondata_200_entra_user").set_delay(Duration::from_millis(200));
    answer(&server, CONNECTION_DATA, slow).await;
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
async fn an_identity_is_forgotten_after_its_time() {
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
async fn a_time_of_zero_turns_the_memory_off() {
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
async fn an_identity_is_not_remembered_beyond_the_expiry_of_its_token() {
    // Signed like an app token, which nobody minds here: without keys all tokens are Azure's concern.
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
        answer(&server, CONNECTION_DATA, fixture("connectiondata_200_entra_user")).await;

        for _ in 0..3 {
            usuario(&azure, bearer(&token)).await.unwrap();
        }

        assert_eq!(calls(&server, CONNECTION_DATA).await, expected, "{token}");
    }
}

#[tokio::test]
async fn a_rejection_is_remembered_for_a_moment() {
    let (server, _) = azure().await;
    answer(&server, CONNECTION_DATA, fixture("unauthorized_401_suppress_empty")).await;
    let mut config = config(&server.uri());
    config.rejected_ttl = Duration::from_secs(1);
    let azure = adapter(&config);

    for _ in 0..5 {
        assert_eq!(kind(&usuario(&azure, bearer("stranger")).await.unwrap_err()), "rejected");
    }
    assert_eq!(calls(&server, CONNECTION_DATA).await, 2, "each scheme once");

    until(async || {
        usuario(&azure, bearer("stranger")).await.unwrap_err();
        calls(&server, CONNECTION_DATA).await == 4
    })
    .await;
}

/// Beyond the time for which its identity is cached, and until it is rejected.
#[tokio::test]
async fn a_credential_is_known_once_it_was_accepted_and_until_it_is_rejected() {
    let (server, _) = azure().await;
    know_the_pat(&server).await;
    let mut config = config(&server.uri());
    config.cache_ttl = Duration::ZERO;
    let azure = adapter(&config);
    assert!(!azure.knows(&bearer(PAT)));

    usuario(&azure, bearer(PAT)).await.unwrap();
    usuario(&azure, bearer("stranger")).await.unwrap_err();
    assert!(azure.knows(&bearer(PAT)) && !azure.knows(&bearer("stranger")) && !azure.knows(&basic(PAT)));

    server.reset().await;
    answer(&server, CONNECTION_DATA, fixture("unavailable_503_json")).await;
    usuario(&azure, bearer(PAT)).await.unwrap_err();
    assert!(azure.knows(&bearer(PAT)), "nobody rejected it");

    server.reset().await;
    answer(&server, CONNECTION_DATA, fixture("unauthorized_401_suppress_empty")).await;
    usuario(&azure, bearer(PAT)).await.unwrap_err();
    assert!(!azure.knows(&bearer(PAT)));
}

#[tokio::test]
async fn strangers_cannot_crowd_out_the_users() {
    let (server, _) = azure().await;
    know_the_pat(&server).await;
    let mut config = config(&server.uri());
    config.cache_capacity = 10;
    let azure = adapter(&config);
    usuario(&azure, bearer(PAT)).await.unwrap();

    for n in 0..50 {
        let stranger = Credential::Basic { pat: format!("stranger-{n}").into() };
        assert_eq!(kind(&usuario(&azure, stranger).await.unwrap_err()), "rejected");
    }
    usuario(&azure, bearer(PAT)).await.unwrap();

    assert_eq!(calls(&server, CONNECTION_DATA).await, 51);
}
