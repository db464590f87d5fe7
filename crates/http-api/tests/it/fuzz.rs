//! Fuzzing: any input gets a valid response. Each target starts with the lines of its file in `tests/corpus` and continues
//! with mutations of them. `PROPTEST_CASES` sets their number. Failed inputs are kept beside this file.

use actix_web::http::{Method, header};
use actix_web::test::TestRequest;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::testing::{atividade, maria, projeto, stored};
use domain::{Error, Page};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::support::{Response, StubIdentity, TestApp};

const BODIES: &str = include_str!("../corpus/bodies.txt");
const QUERIES: &str = include_str!("../corpus/queries.txt");
const AUTHORIZATION: &str = include_str!("../corpus/authorization.txt");
const ORIGINS: &str = include_str!("../corpus/origins.txt");
const PATHS: &str = include_str!("../corpus/paths.txt");
const METHODS: [Method; 6] = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH];
const WRITABLE: [&str; 4] = [
    "/api/v1/atividades",
    "/api/v1/atividades/lote",
    "/api/v1/projetos",
    "/api/v1/atividades/00000000-0000-7000-8000-000000000007",
];

/// Bytes: out of a corpus, made of two of its entries, with a few bytes changed, or any at all.
fn bytes(corpus: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let entry = || select(corpus.lines().collect::<Vec<_>>()).prop_map(|line| line.as_bytes().to_vec());
    let cut = (entry(), entry(), any::<Index>(), any::<Index>())
        .prop_map(|(a, b, i, j)| [a.split_at(i.index(a.len() + 1)).0, b.split_at(j.index(b.len() + 1)).1].concat());
    let changed = (entry(), any::<Index>(), any::<Vec<u8>>()).prop_map(|(mut entry, at, with)| {
        let at = at.index(entry.len() + 1);
        entry.splice(at..entry.len().min(at + with.len() / 2), with);
        entry
    });
    prop_oneof![entry(), cut, changed, any::<Vec<u8>>(), ".*".prop_map(String::into_bytes)]
}

/// A world in which everything succeeds.
fn willing() -> TestApp {
    let mut test_app = TestApp::new();
    test_app.atividades.expect_insert().returning(|record| Ok(stored(record)));
    test_app.atividades.expect_insert_all().returning(|records, _| Ok(records.into_iter().map(stored).collect()));
    test_app
        .atividades
        .expect_list()
        .returning(|_| Ok(Page { items: vec![atividade("A")], total: 1_000_000, last: None }));
    test_app.atividades.expect_list_items().returning(|_| Ok(vec![atividade("=A")].into()));
    test_app.atividades.expect_find().returning(|_| Ok(Some(atividade("A"))));
    test_app.atividades.expect_update().returning(|_, _, _| Ok(Some(atividade("A"))));
    test_app.atividades.expect_delete().returning(|_, _| Ok(true));
    test_app.projetos.expect_insert().returning(|_, _| Ok(projeto("P")));
    test_app.projetos.expect_list().returning(|_| Ok(vec![projeto("P")].into()));
    test_app.projetos.expect_find().returning(|_| Ok(Some(projeto("P"))));
    test_app.projetos.expect_update().returning(|_, _, _| Ok(Some(projeto("P"))));
    test_app.projetos.expect_delete().returning(|_, _| Ok(true));
    test_app.readiness.expect_check().returning(|| Ok(()));
    test_app
}

/// Returns a path that is valid in a URL, with its escapes unchanged.
fn path() -> impl Strategy<Value = String> {
    bytes(PATHS).prop_map(|path| {
        let path: String = path
            .iter()
            .map(|byte| match byte {
                b'!' | b'$'..=b';' | b'=' | b'@'..=b'Z' | b'_' | b'a'..=b'z' | b'~' => char::from(*byte).to_string(),
                byte => format!("%{byte:02x}"),
            })
            .collect();
        format!("/{}", path.trim_start_matches('/'))
    })
}

/// Returns whether `Authorization` contains a credential.
fn is_credential(value: &header::HeaderValue) -> bool {
    let Some((scheme, shown)) = value.to_str().ok().and_then(|value| value.trim().split_once(' ')) else {
        return false;
    };
    let shown = shown.trim();
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => !shown.is_empty(),
        "basic" => BASE64_STANDARD.decode(shown).is_ok_and(|pair| {
            // A name, a colon and a password.
            std::str::from_utf8(&pair).is_ok_and(|pair| pair.split_once(':').is_some_and(|(_, pat)| !pat.is_empty()))
        }),
        _ => false,
    }
}

fn respond(test_app: TestApp, request: TestRequest) -> Response<Vec<u8>> {
    actix_web::rt::System::new().block_on(test_app.send_raw(request))
}

/// Asserts that the response is no 5xx and that an error is JSON.
fn assert_sane(response: &Response<Vec<u8>>) {
    assert!(!response.status.is_server_error(), "{}", String::from_utf8_lossy(&response.body));
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    if response.status.is_client_error() {
        let json: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        assert!(json["message"].as_str().is_some_and(|message| !message.is_empty()), "{json}");
        assert_eq!(response.header("cache-control"), Some("no-store"));
    }
}

proptest! {
    #[test]
    fn whatever_the_body(body in bytes(BODIES), path in select(WRITABLE.to_vec()), kind in select(vec!["application/json", "text/plain", ""])) {
        let method = if path.ends_with("07") { Method::PUT } else { Method::POST };
        let request = TestRequest::default().method(method).uri(path).set_payload(body);
        let request = if kind.is_empty() { request } else { request.insert_header((header::CONTENT_TYPE, kind)) };
        let response = respond(willing(), request);
        assert_sane(&response);
        prop_assert!([200, 201, 400, 415, 422].contains(&response.status.as_u16()), "{}", response.status);
    }

    #[test]
    fn whatever_the_query(query in bytes(QUERIES)) {
        // A path that is invalid in a URL is rejected by the parser.
        let query: String = query.iter().map(|byte| match byte {
            b'!' | b'$'..=b';' | b'=' | b'?'..=b'Z' | b'_' | b'a'..=b'z' | b'~' => char::from(*byte).to_string(),
            byte => format!("%{byte:02x}"),
        }).collect();
        let response = respond(willing(), TestRequest::get().uri(&format!("/api/v1/atividades?{query}")));
        assert_sane(&response);
        prop_assert!([200, 422].contains(&response.status.as_u16()), "{} {query}", response.status);
        // Wherever a link leads, one gets there.
        let links = response.header("link").unwrap_or_default().to_owned();
        for target in links.split(", ").filter_map(|link| link.strip_prefix('<')?.split_once('>')) {
            prop_assert_eq!(respond(willing(), TestRequest::get().uri(target.0)).status.as_u16(), 200, "{}", target.0);
        }
    }

    #[test]
    fn whatever_the_authorization(value in bytes(AUTHORIZATION), path in select(WRITABLE.to_vec())) {
        let Ok(value) = header::HeaderValue::from_bytes(&value) else { return Ok(()) };
        let mut test_app = TestApp::new();
        test_app.identity = std::sync::Arc::new(StubIdentity(|| Err(Error::CredentialRejected)));
        let response = respond(test_app, TestRequest::post().uri(path).insert_header((header::AUTHORIZATION, value)));
        assert_sane(&response);
        prop_assert_eq!(response.status.as_u16(), 401);
        prop_assert_eq!(response.header("www-authenticate"), Some("Bearer"));
    }

    #[test]
    fn whatever_the_origin(value in bytes(ORIGINS)) {
        let Ok(value) = header::HeaderValue::from_bytes(&value) else { return Ok(()) };
        let is_ours = value.to_str().is_ok_and(|origin| {
            // In whatever case, and with the port that https has anyway.
            let origin = origin.to_ascii_lowercase();
            let origin = origin.strip_suffix(":443").unwrap_or(&origin);
            let label = origin.strip_prefix("https://").and_then(|host| host.strip_suffix(".gallerycdn.vsassets.io"));
            label.is_some_and(|label| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)))
        });
        let response = respond(willing(), TestRequest::get().uri("/api/v1/atividades").insert_header((header::ORIGIN, value.clone())));
        assert_sane(&response);
        let allowed = response.headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        prop_assert!(allowed.is_none() || is_ours && allowed == Some(&value), "{value:?} is allowed as {allowed:?}");
    }

    /// If the identity provider accepts each credential, requests with one pass and others do not.
    #[test]
    fn any_credential_reaches_the_identity_provider(value in bytes(AUTHORIZATION)) {
        let Ok(value) = header::HeaderValue::from_bytes(&value) else { return Ok(()) };
        let mut test_app = willing();
        test_app.identity = std::sync::Arc::new(StubIdentity(|| Ok(maria())));
        let response = respond(test_app, TestRequest::get().uri(WRITABLE[3]).insert_header((header::AUTHORIZATION, value.clone())));
        assert_sane(&response);
        prop_assert_eq!(response.status.as_u16(), if is_credential(&value) { 200 } else { 401 }, "{:?}", value);
    }

    #[test]
    fn whatever_the_path(path in path(), method in select(METHODS.to_vec())) {
        let response = respond(willing(), TestRequest::default().method(method).uri(&path));
        assert_sane(&response);
    }

    /// No spelling of a path leads past the door: behind it, nothing may be called.
    #[test]
    fn whatever_the_path_of_a_stranger(path in path(), method in select(METHODS.to_vec())) {
        let mut test_app = TestApp::new();
        test_app.readiness.expect_check().returning(|| Ok(()));
        test_app.identity = std::sync::Arc::new(StubIdentity(|| Err(Error::CredentialRejected)));
        let request = TestRequest::default().method(method).uri(&path).insert_header((header::AUTHORIZATION, "Bearer lixo"));
        assert_sane(&respond(test_app, request));
    }

    #[test]
    fn whatever_the_other_headers(tag in bytes(AUTHORIZATION), key in bytes(AUTHORIZATION), id in bytes(AUTHORIZATION), accept in bytes(ORIGINS)) {
        let mut request = TestRequest::get().uri(WRITABLE[3]);
        for (name, value) in [("if-match", &tag), ("if-none-match", &tag), ("idempotency-key", &key), ("x-request-id", &id),
                              ("traceparent", &id), ("accept", &accept), ("accept-encoding", &accept), ("x-forwarded-for", &accept)] {
            if let Ok(value) = header::HeaderValue::from_bytes(value) {
                request = request.insert_header((name, value));
            }
        }
        assert_sane(&respond(willing(), request));
    }
}
