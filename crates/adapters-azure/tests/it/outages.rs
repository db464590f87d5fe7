//! Outages of Azure DevOps: slow, down, throttled or invalid. A valid token is never reported as rejected.

use std::time::Duration;

use wiremock::ResponseTemplate;

use crate::raw_server::{Behaviour, RawServer, closed_port};
use crate::support::{
    CONNECTION_DATA, PAT, adapter, azure, bearer, calls, config, fixture, fixture_json, kind, respond, retry_after,
    usuario,
};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn error_response_maps_to_its_error_kind() {
    let html = |status: u16| ResponseTemplate::new(status).set_body_raw("<h1>Our services…</h1>", "text/html");
    let throttled = |template: ResponseTemplate| template.insert_header("retry-after", "49");
    let cases = [
        ("429", fixture("ratelimit_429"), "unavailable", Some(49)),
        ("429 without Retry-After", ResponseTemplate::new(429), "unavailable", Some(5)),
        ("503, HTML", fixture("unavailable_503_html"), "unavailable", None),
        ("503, JSON, host offline", fixture("unavailable_503_json"), "unavailable", None),
        ("503 with Retry-After", throttled(fixture("unavailable_503_html")), "unavailable", Some(49)),
        ("401 while throttled", throttled(fixture("unauthorized_401_suppress_empty")), "unavailable", Some(49)),
        ("203 while throttled", throttled(fixture("signin_203_html")), "unavailable", Some(49)),
        (
            "401 with no remaining quota",
            fixture("unauthorized_401_suppress_empty").insert_header("x-ratelimit-remaining", "0"),
            "unavailable",
            Some(5),
        ),
        ("504", html(504), "timed out", None),
        ("408", html(408), "timed out", None),
        ("500", fixture("error_500_not_transient"), "bad upstream", None),
        ("502", html(502), "bad upstream", None),
        ("507", html(507), "bad upstream", None),
    ];
    for (name, response, expected, seconds) in cases {
        let (server, azure) = azure().await;
        respond(&server, CONNECTION_DATA, response).await;

        let error = usuario(&azure, bearer(PAT)).await.unwrap_err();

        assert_eq!((kind(&error), retry_after(&error)), (expected, seconds.map(Duration::from_secs)), "{name}");
    }
}

#[tokio::test]
async fn identity_body_over_one_mebibyte_is_bad_upstream() {
    let good = fixture_json("connectiondata_200_entra_user")["response"]["body"].to_string();
    for (size, expected) in [(MIB, Ok(())), (MIB + 1, Err("bad upstream"))] {
        let (server, azure) = azure().await;
        let padded = format!("{good}{}", " ".repeat(size - good.len()));
        respond(&server, CONNECTION_DATA, ResponseTemplate::new(200).set_body_raw(padded, "application/json")).await;

        let result = usuario(&azure, bearer(PAT)).await;

        assert_eq!(result.map(drop).map_err(|e| kind(&e)), expected, "{size} bytes");
    }
}

#[tokio::test]
async fn broken_connection_maps_to_its_error_kind() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    const CUT: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n\
        {\"authenticatedUser\":{\"id\":\"cdbc0002-5e61-5e97-84f7-32df35fb8951\"}}";
    const CUT_CHUNK: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
        45\r\n{\"authenticatedUser\":{\"id\":\"cdbc0002-5e61-5e97-84f7-32df35fb8951\"}}\r\n";
    let cases = [
        (Behaviour::Hang, "timed out", 1),
        (Behaviour::HangAfter(concat!("HTTP/1.1 200 OK\r\n", "Content-Length: 9\r\n\r\n")), "timed out", 1),
        (Behaviour::Close, "unavailable", 3),
        (Behaviour::CloseAfter(CUT), "bad upstream", 3),
        (Behaviour::CloseAfter(CUT_CHUNK), "bad upstream", 3),
        (Behaviour::CloseAfter(HEAD), "unavailable", 3),
        (Behaviour::CloseAfter("SSH-2.0-OpenSSH_9.2\r\n\r\n"), "bad upstream", 1),
        (Behaviour::Flood("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"), "bad upstream", 1),
    ];
    for (behaviour, expected, attempts) in cases {
        let server = RawServer::start(behaviour.clone()).await;
        let mut config = config(&server.uri);
        config.timeouts.attempt = Duration::from_secs(1);

        let error = usuario(&adapter(&config), bearer(PAT)).await.unwrap_err();

        assert_eq!(kind(&error), expected, "{behaviour:?}: {error:?}");
        assert_eq!(server.connections(), attempts, "{behaviour:?}: retried only if retryable");
    }
}

#[tokio::test]
async fn connection_refused_is_unavailable() {
    let azure = adapter(&config(&closed_port().await));

    assert_eq!(kind(&usuario(&azure, bearer(PAT)).await.unwrap_err()), "unavailable");
}

#[tokio::test]
async fn lookup_after_transient_errors_succeeds_by_retry() {
    let (server, azure) = azure().await;
    for status in [502, 503] {
        wiremock::Mock::given(wiremock::matchers::path(CONNECTION_DATA))
            .respond_with(ResponseTemplate::new(status))
            .up_to_n_times(1)
            .mount(&server)
            .await;
    }
    respond(&server, CONNECTION_DATA, fixture("connectiondata_200_entra_user")).await;

    usuario(&azure, bearer(PAT)).await.unwrap();

    assert_eq!(calls(&server, CONNECTION_DATA).await, 3);
}

#[tokio::test]
async fn permanent_error_is_not_retried() {
    let cases = ["ratelimit_429", "unavailable_503_json", "error_500_not_transient", "error_403_permission"];
    for name in cases {
        let (server, azure) = azure().await;
        respond(&server, CONNECTION_DATA, fixture(name)).await;

        usuario(&azure, bearer(PAT)).await.unwrap_err();

        assert_eq!(calls(&server, CONNECTION_DATA).await, 1, "{name}");
    }
}
