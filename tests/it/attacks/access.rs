//! API2 broken authentication, API5 broken function level authorization, API8 security misconfiguration, API9 improper
//! inventory management.

use std::time::{SystemTime, UNIX_EPOCH};

use e2e::azure::{Endpoint, anonymous, app_token};
use e2e::client::send;
use e2e::server::Aponta;
use reqwest::Method;
use reqwest::header::AUTHORIZATION;

use super::{TOKEN, guarded};

const PATH: &str = "/api/v1/projetos";

/// A cached identity is never used for a token that is only similar.
#[tokio::test]
async fn api2_token_similar_to_a_cached_one_is_rejected() {
    let (_organisation, aponta) = guarded().await;
    let with = |value: String| send(aponta.api.request(Method::GET, PATH).header(AUTHORIZATION, value));
    assert_eq!(with(format!("Bearer {TOKEN}")).await.status, 200);

    let mut similar = vec![TOKEN.to_uppercase(), TOKEN.to_lowercase(), format!("{TOKEN}x"), format!("x{TOKEN}")];
    similar.extend([TOKEN[1..].to_owned(), TOKEN[..TOKEN.len() - 1].to_owned(), TOKEN.chars().rev().collect()]);
    similar.extend([
        format!("{TOKEN} {TOKEN}"),
        format!("{TOKEN},{TOKEN}"),
        format!("{TOKEN}%00"),
        format!("%20{TOKEN}"),
    ]);
    similar.extend([TOKEN.replace('-', "_"), format!("\"{TOKEN}\""), TOKEN.repeat(2), "x".repeat(60_000)]);
    for token in similar {
        let response = with(format!("Bearer {token}")).await;
        assert!([401, 400, 431].contains(&response.status), "{}: {token:.80}", response.status);
    }
    for scheme in ["Token", "Negotiate", "Digest", "bearer:", ""] {
        let _ = with(format!("{scheme} {TOKEN}")).await.error(401);
    }
}

/// What is rejected stays rejected in whichever way it is shown, and a good token is not poisoned by it.
#[tokio::test]
async fn api2_token_cache_cannot_be_poisoned() {
    let (organisation, aponta) = guarded().await;
    let bearer = |token: &str| send(aponta.api.request(Method::GET, PATH).bearer_auth(token));

    // Azure DevOps returns the anonymous identity for every token for a while, and then works again.
    organisation.respond_with(Endpoint::Identity, anonymous());
    for token in [TOKEN, "lixo"] {
        let _ = bearer(token).await.error(401);
    }
    organisation.recover();
    let _ = bearer("lixo").await.error(401);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while bearer(TOKEN).await.status != 200 {
        assert!(std::time::Instant::now() < deadline, "a good token stays rejected");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    // Two different credentials in one request are none.
    let both = aponta.api.request(Method::GET, PATH).header(AUTHORIZATION, "Bearer lixo");
    let both = send(both.header(AUTHORIZATION, format!("Bearer {TOKEN}"))).await;
    assert_eq!(both.status, 401);
}

#[tokio::test]
async fn api2_expired_or_unsigned_app_token_is_rejected() {
    let (_organisation, aponta) = guarded().await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let user = uuid::Uuid::now_v7();
    let good = app_token(user, now + 3600);
    let (head, payload, signature) = (good.split('.').next(), good.split('.').nth(1), good.split('.').nth(2));
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let tokens = [
        app_token(user, now - 3600),
        // This server has no keys, so that even a valid token is rejected.
        good.clone(),
        format!("{none}.{}.", payload.unwrap()),
        format!("{none}.{}.{}", payload.unwrap(), signature.unwrap()),
        format!("{}.{}.", head.unwrap(), payload.unwrap()),
    ];
    for token in tokens {
        let _ = send(aponta.api.request(Method::GET, PATH).bearer_auth(token)).await.error(401);
    }
}

#[tokio::test]
async fn api5_method_override_is_ignored() {
    let aponta = Aponta::start();
    let projeto = aponta.api.projeto("P").await;
    let id = aponta.api.atividade("A", &projeto).await;
    let path = format!("/api/v1/atividades/{id}");

    for header in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"] {
        let overridden = aponta.api.request(Method::GET, &path).header(header, "DELETE");
        assert_eq!(send(overridden).await.status, 200);
    }
    for method in ["TRACE", "CONNECT", "PATCH", "PROPFIND", "get", "X"] {
        let response = send(aponta.api.request(method.parse().unwrap(), &path)).await;
        assert!([400, 404, 405].contains(&response.status), "{method}: {}", response.status);
    }
    assert_eq!(aponta.api.get(&path).await.status, 200);
}

/// What a browser could be talked into by a page from elsewhere; origins that are not allowed are in the tests of `http-api`.
#[tokio::test]
async fn api8_foreign_page_cannot_read_responses() {
    let aponta = Aponta::start_with(|program| program.env("CORS_ORIGINS", "https://*.gallerycdn.vsassets.io"));
    let disguises = [
        "https://gallerycdn.vsassets.io.",
        "https://x.gallerycdn.vsassets.io.",
        "https://x%2egallerycdn.vsassets.io",
        "https://x.gallerycdn.vsassets.io#.evil.example",
        "https://x.gallerycdn.vsassets.io?.evil.example",
        "https://x.gallerycdn.vsassets.io\\@evil.example",
        "https://evil.example#x.gallerycdn.vsassets.io",
        "https://evil.example\\.gallerycdn.vsassets.io",
        "https://.gallerycdn.vsassets.io",
        "https://*.gallerycdn.vsassets.io",
        "https://x..gallerycdn.vsassets.io",
        "https://x.gallerycdn.vsassets.io:0443",
        "https://x.gallerycdn.vsassets.io:",
        "https://x.gallerycdn.vsassets.io/",
        "https://x.gallerycdn.vsassets.io, https://evil.example",
        "https://x.gallerycdn.vsassets.io https://evil.example",
        "https://user@x.gallerycdn.vsassets.io",
        "http://x.gallerycdn.vsassets.io",
        "//x.gallerycdn.vsassets.io",
        "file://",
        "null",
        "",
    ];
    // Other spellings of an allowed origin: no browser sends them, and an echo of them allows nothing.
    let spellings = [
        "https://x.gallerycdn.vsassets.io",
        "HTTPS://x.gallerycdn.vsassets.io",
        "https://X.GalleryCDN.vsassets.io",
        "https://x.gallerycdn.vsassets.io:443",
    ];
    let disguises = disguises.into_iter().map(|origin| (origin, None));
    for (origin, expected) in disguises.chain(spellings.into_iter().map(|origin| (origin, Some(origin)))) {
        let response = send(aponta.api.request(Method::GET, PATH).header("Origin", origin)).await;
        assert_eq!(response.header("access-control-allow-origin"), expected, "{origin:?}");
    }
}

#[tokio::test]
async fn api8_responses_disable_sniffing_and_hide_the_version() {
    let aponta = Aponta::start();
    for path in ["/", "/api/v1/atividades", "/nada", "/docs", "/redoc", "/openapi.json", "/docs/favicon.svg"] {
        let response = aponta.api.get(path).await;
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!((response.header("server"), response.header("x-powered-by")), (None, None), "{path}");
    }
    for path in ["/docs", "/redoc"] {
        let response = aponta.api.get(path).await;
        let policy = response.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") || policy.contains("default-src 'self'"), "{policy}");
        let scripts = policy.split(';').find(|part| part.trim().starts_with("script-src")).unwrap_or("");
        assert!(!scripts.contains("unsafe") && !scripts.contains("http"), "{policy}");
    }
}

#[tokio::test]
async fn api9_undocumented_paths_return_404() {
    let aponta = Aponta::start();
    for path in [
        "/metrics",
        "/debug",
        "/debug/pprof",
        "/actuator",
        "/.env",
        "/.git/config",
        "/admin",
        "/api",
        "/api/v0",
        "/api/v2",
        "/api/v1/usuarios",
        "/api/v1/idempotencia",
        "/swagger.json",
        "/api/v1/openapi.json",
        "/server-status",
        "/graphql",
        "/readyz",
    ] {
        assert_eq!(aponta.api.get(path).await.status, 404, "{path}");
    }
    // As they stand: a client library would take the dots out.
    for path in [
        "/docs/../.env",
        "/docs/%2e%2e/.env",
        "/docs/%252e%252e/.env",
        "/docs/..%2f..%2fetc/passwd",
        "/docs/..;/.env",
        "/docs//../..//.env",
        "/docs/.././../metrics",
        "/../../etc/passwd",
        "//etc/passwd",
        "/api/v1/../../metrics",
        "/redoc/..\\..\\.env",
    ] {
        let response = aponta.api.raw(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        assert!(response.starts_with("HTTP/1.1 404 "), "{path}: {response:.300}");
    }
}
