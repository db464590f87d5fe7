//! Property tests with hostile input: responses, app tokens and similar credentials.
//!
//! Responses are mutations of those in `corpus`. `PROPTEST_CASES` sets the number of cases.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::testing::NOW;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use ring::hmac;
use uuid::Uuid;

use crate::client::json::{read, type_key};
use crate::credential::{AppKey, Fingerprints};
use crate::directory::{Page, Project, project_id};
use crate::identity::{AppTokens, ConnectionData, Profile, from_connection_data, from_profile, is_real_identity};
use crate::service_url::ServiceUrl;
use crate::work_item::{Batch, Item, LinkResult, QueryResult, States, Types};

const KEY: &str = "a key of thirty-two characters .";
const USER: &str = "cdbc0002-5e61-5e97-84f7-32df35fb8951";
const AUDIENCE: &str = "f1aa3281-75ae-5006-ac4e-947e287a2bfe";

fn responses() -> impl Strategy<Value = Vec<u8>> {
    let lines: Vec<_> = include_str!("../corpus/responses.txt").lines().collect();
    let entry = move || select(lines.clone()).prop_map(|line| line.as_bytes().to_vec());
    let cut = (entry(), entry(), any::<Index>(), any::<Index>())
        .prop_map(|(a, b, i, j)| [a.split_at(i.index(a.len() + 1)).0, b.split_at(j.index(b.len() + 1)).1].concat());
    let changed = (entry(), any::<Index>(), any::<Vec<u8>>()).prop_map(|(mut entry, at, with)| {
        let at = at.index(entry.len() + 1);
        entry.splice(at..entry.len().min(at + with.len()), with);
        entry
    });
    let id = "\\{?[0a-]{36}\\}?|[0a]{32}|.*";
    let identity = (id, id).prop_map(|(one, other)| {
        serde_json::json!({"authenticatedUser": {"id": one}, "authorizedUser": {"id": other}}).to_string().into_bytes()
    });
    prop_oneof![entry(), cut, changed, identity, any::<Vec<u8>>()]
}

/// Values of a claim as JSON, each with whether it is valid.
fn claim(valid: Vec<String>, invalid: &[&str]) -> impl Strategy<Value = (String, bool)> + use<> {
    let invalid = invalid.iter().map(|text| ((*text).to_owned(), false));
    // Mostly valid values, so that some tokens are valid as a whole.
    let mut claims: Vec<_> = valid.into_iter().map(|text| (text, true)).cycle().take(24).collect();
    claims.extend(invalid);
    select(claims)
}

/// App tokens, each with whether it is valid.
fn app_tokens() -> impl Strategy<Value = (String, bool)> {
    let now = NOW.unix_timestamp();
    let head = claim(
        vec![r#"{"alg":"HS256","typ":"JWT"}"#.to_owned(), r#"{"kid":7,"alg":"HS256"}"#.to_owned()],
        &[r#"{"alg":"none"}"#, r#"{"alg":"hs256"}"#, r#"{"alg":"HS512"}"#, r#"{"alg":["HS256"]}"#, "{}", "[]", "HS256"],
    );
    let user = claim(
        vec![format!("\"{USER}\"")],
        &[
            "null",
            "7",
            "\"ana\"",
            "\"00000000-0000-0000-0000-000000000000\"",
            "\"aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa\"",
        ],
    );
    let issuer = claim(
        vec!["\"app.vstoken.visualstudio.com\"".to_owned()],
        &["null", "\"\"", "\"https://app.vstoken.visualstudio.com\"", "[\"app.vstoken.visualstudio.com\"]"],
    );
    let audience = claim(
        vec![format!("\"{AUDIENCE}\""), format!("\"{}\"", AUDIENCE.to_uppercase())],
        &["null", "\"*\"", "\"00000000-0000-0000-0000-000000000000\"", "[\"f1aa3281-75ae-5006-ac4e-947e287a2bfe\"]"],
    );
    let (past, float) = ((now - 60).to_string(), format!("{}.5", now + 600));
    let end = claim(
        vec![(now + 600).to_string(), (now - 59).to_string(), i64::MAX.to_string()],
        &[&past, &float, "-1", "null", "\"soon\"", "1e300", "9223372036854775808", "true"],
    );
    let early = format!(r#","nbf":{}"#, now + 61);
    let begin = claim(
        vec![String::new(), format!(r#","nbf":{}"#, now + 60), format!(r#","nbf":{}"#, i64::MIN)],
        &[&early, r#","nbf":"x""#, r#","nbf":null"#, r#","exp":7"#],
    );
    let key = claim(vec![KEY.to_owned()], &["another key of thirty-two characters", ""]);
    let change = prop_oneof![4 => Just(None), 1 => (any::<Index>(), "[A-Za-z0-9_.=-]{0,2}").prop_map(Some)];
    (head, user, issuer, audience, end, begin, key, change).prop_map(
        |(head, user, issuer, audience, end, begin, key, change)| {
            let claims = format!(
                r#"{{"nameid":{},"iss":{},"aud":{},"exp":{}{}}}"#,
                user.0, issuer.0, audience.0, end.0, begin.0
            );
            let [head_text, claims] = [&head.0, &claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
            let signed = format!("{head_text}.{claims}");
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.0.as_bytes()), signed.as_bytes());
            let good = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag));
            let mut token = good.clone();
            if let Some((at, with)) = change {
                let at = at.index(token.len());
                token.replace_range(at..=at, &with);
            }
            let is_valid =
                [head.1, user.1, issuer.1, audience.1, end.1, begin.1, key.1].iter().all(|is_valid| *is_valid);
            (token.clone(), is_valid && token == good)
        },
    )
}

proptest! {
    #[test]
    fn app_token_is_accepted_only_if_every_part_is_valid((token, is_valid) in app_tokens(), nonsense in ".*") {
        let key = AppKey { key: KEY.into(), audience: AUDIENCE.to_owned() };
        let tokens = AppTokens::new(&[key]);
        let passes = |token: &str| {
            let token = token.into();
            tokens.is_app_token(&token).then(|| tokens.verify(&token, NOW)).flatten()
        };
        prop_assert_eq!(passes(&token).map(|id| id.to_string()), is_valid.then(|| USER.to_owned()), "{}", token);
        prop_assert_eq!(passes(&nonsense), None);
    }

    #[test]
    fn tokens_that_differ_anywhere_have_different_fingerprints(token in "[!-~]{1,80}", at in any::<Index>(), with in "[!-~]{0,2}") {
        let fingerprints = Fingerprints::new("https://dev.azure.com/contoso").unwrap();
        let mut similar = token.clone();
        let at = at.index(token.len());
        similar.replace_range(at..=at, &with);
        let (one, other) = (fingerprints.of("bearer", &token.as_str().into()), fingerprints.of("bearer", &similar.as_str().into()));
        prop_assert_eq!(one == other, token == similar);
    }

    #[test]
    fn identity_from_any_response_is_real(response in responses()) {
        let by_organisation = read::<ConnectionData>(&response).and_then(from_connection_data);
        let by_profile = read::<Profile>(&response).and_then(from_profile);
        for usuario in [by_organisation, by_profile].into_iter().flatten() {
            let id = Uuid::parse_str(&usuario.id).unwrap();
            prop_assert!(is_real_identity(id) && id.to_string() != "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa" && !id.is_nil());
            prop_assert!(!usuario.display_name.trim().is_empty());
            prop_assert!(usuario.email.is_none_or(|email| email.contains('@') && email.chars().count() <= 255));
        }
    }

    #[test]
    fn projects_and_work_items_from_any_response_obey_the_domain_rules(response in responses()) {
        if let Ok(page) = read::<Page>(&response) {
            for raw in page.value {
                let _ = project_id(&raw);
                if let Ok(projeto) = read::<Project>(raw.get().as_bytes()).and_then(Project::into_domain) {
                    prop_assert!((1..=255).contains(&projeto.nome.as_str().chars().count()));
                    prop_assert!(projeto.descricao.is_none_or(|descricao| descricao.as_str().len() <= 64 * 1024));
                }
            }
        }
        let org = ServiceUrl::parse("https://dev.azure.com/contoso").unwrap();
        let batch = read::<Batch>(&response).map(|batch| batch.into_domain(&org)).unwrap_or_default();
        let item = read::<Item>(&response).and_then(|item| item.into_domain(&org));
        for item in batch.into_iter().chain(item) {
            prop_assert!(0 < item.id.get() && (1..=256).contains(&item.titulo.chars().count()));
            prop_assert!(item.completed_work.is_none_or(f64::is_finite));
        }
        let ids = read::<QueryResult>(&response).map(QueryResult::into_ids).unwrap_or_default();
        prop_assert!(ids.iter().all(|id| 0 < id.get()));
        let links = read::<LinkResult>(&response).map(LinkResult::into_pairs).unwrap_or_default();
        prop_assert!(links.iter().all(|(_, id)| 0 < id.get()));
        let _ = read::<States>(&response).and_then(States::into_domain);
        let _ = read::<Types>(&response).map(Types::into_domain);
        prop_assert!(type_key(&response).is_none_or(|key| key.bytes().all(|byte| byte.is_ascii_alphanumeric())));
    }
}
