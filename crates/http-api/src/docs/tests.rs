use actix_web::App;
use actix_web::body::{BodySize, BodyStream, MessageBody, to_bytes};
use actix_web::http::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Compress;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::web::Bytes;

use super::assets::{ASSETS, Asset, Content, MANIFEST, inflate, release};
use super::configure;

struct Response {
    status: StatusCode,
    headers: Vec<(HeaderName, String)>,
    size: BodySize,
    body: Bytes,
}

impl Response {
    fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

async fn send(method: Method, path: &str, accept_encoding: &str) -> Response {
    let app = init_service(App::new().wrap(Compress::default()).configure(configure)).await;
    let mut request = TestRequest::with_uri(path).method(method);
    if !accept_encoding.is_empty() {
        request = request.insert_header((ACCEPT_ENCODING, accept_encoding));
    }
    let (head, body) = call_service(&app, request.to_request()).await.into_parts().1.into_parts();
    let headers =
        head.headers().iter().map(|(name, value)| (name.clone(), value.to_str().unwrap().to_owned())).collect();
    let size = body.size();
    let Ok(body) = to_bytes(body).await else { panic!("{path}: the body broke off") };
    Response { status: head.status(), headers, size, body }
}

async fn get(path: &str, accept_encoding: &str) -> Response {
    send(Method::GET, path, accept_encoding).await
}

fn address(file: &str) -> String {
    format!("/docs/assets/{}/{file}", release())
}

async fn plain(asset: &Asset) -> Bytes {
    match asset.content {
        Content::Plain(bytes) => Bytes::from_static(bytes),
        Content::Gzip(bytes) => to_bytes(BodyStream::new(inflate(bytes))).await.unwrap(),
    }
}

/// What stands between `before` and the next quotation mark, wherever `before` occurs.
fn quoted_after<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(before).skip(1).map(|rest| rest.split('"').next().unwrap())
}

#[actix_web::test]
async fn pages_have_a_strict_policy_and_no_inline_script() {
    for path in ["/docs", "/redoc"] {
        let page = get(path, "identity").await;

        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert_eq!(page.header(&CONTENT_TYPE), Some("text/html; charset=utf-8"));
        assert_eq!(page.header(&CACHE_CONTROL), Some("no-cache"));
        assert_eq!(page.header(&X_CONTENT_TYPE_OPTIONS), Some("nosniff"));
        assert_eq!(page.header(&REFERRER_POLICY), Some("no-referrer"));
        let policy: Vec<_> = page.header(&CONTENT_SECURITY_POLICY).unwrap().split("; ").collect();
        for directive in ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(&directive), "{path}: {directive} is not in {policy:?}");
        }
        assert!(policy.iter().all(|directive| !directive.contains("http") && !directive.contains('*')), "{policy:?}");
        let html = std::str::from_utf8(&page.body).unwrap();
        assert!(
            html.matches("<script ").all(|_| true) && !html.contains("<script>") && !html.contains("://"),
            "{html}"
        );
    }
}

#[actix_web::test]
async fn page_assets_resolve_with_and_without_trailing_slash() {
    for (path, least) in [("/docs", 5), ("/redoc", 4)] {
        let page = get(path, "identity").await;
        let html = std::str::from_utf8(&page.body).unwrap();
        let files: Vec<_> = quoted_after(html, "href=\"").chain(quoted_after(html, "src=\"")).collect();
        assert_eq!(files.len(), least, "{html}");

        for file in files {
            for seen_from in ["/", "/docs/", "/redoc/"] {
                let response = get(&format!("{seen_from}{file}"), "gzip").await;
                assert_eq!(response.status, StatusCode::OK, "{seen_from}{file}");
                assert_eq!(response.header(&CACHE_CONTROL), Some("public, max-age=31536000, immutable"));
                assert_eq!(response.header(&X_CONTENT_TYPE_OPTIONS), Some("nosniff"));
            }
        }
    }
}

#[actix_web::test]
async fn vendored_asset_is_sent_compressed_if_gzip_is_accepted() {
    let bundle = ASSETS.iter().find(|asset| asset.name == "swagger-ui-bundle.js").unwrap();
    let Content::Gzip(compressed) = bundle.content else { panic!("the bundle is not compressed") };

    // The Compress around it must not compress a second time.
    for accepted in ["gzip", "gzip, deflate, br, zstd", "identity;q=0.5, gzip"] {
        let response = get(&address(bundle.name), accepted).await;
        assert_eq!(response.header(&CONTENT_ENCODING), Some("gzip"), "{accepted}");
        assert_eq!(response.header(&CONTENT_TYPE), Some("text/javascript; charset=utf-8"));
        assert_eq!(response.header(&VARY).map(str::to_ascii_lowercase).as_deref(), Some("accept-encoding"));
        assert_eq!(response.size, BodySize::Sized(compressed.len() as u64));
        assert!(response.body == compressed, "{accepted}: another body");
    }
}

#[actix_web::test]
async fn vendored_asset_is_inflated_without_gzip() {
    let style = ASSETS.iter().find(|asset| asset.name == "swagger-ui.css").unwrap();
    let inflated = plain(style).await;

    for accepted in ["", "identity", "gzip;q=0"] {
        let response = get(&address(style.name), accepted).await;
        assert_eq!(response.header(&CONTENT_ENCODING), None, "{accepted}");
        assert_eq!(response.header(&VARY).map(str::to_ascii_lowercase).as_deref(), Some("accept-encoding"));
        assert_eq!(response.size, BodySize::Sized(inflated.len() as u64));
        assert!(response.body == inflated, "{accepted}: another body");
    }
}

#[actix_web::test]
async fn favicon_is_served_at_both_usual_paths() {
    for path in ["/favicon.ico", "/favicon.svg"] {
        let response = get(path, "identity").await;
        assert_eq!(
            (response.status, response.header(&CONTENT_TYPE)),
            (StatusCode::OK, Some("image/svg+xml")),
            "{path}"
        );
        assert_eq!(response.header(&CACHE_CONTROL), Some("public, max-age=86400"));
    }
}

#[actix_web::test]
async fn unknown_asset_returns_404() {
    let another_release = "/docs/assets/0000000000000000/swagger-ui.css";
    for path in [another_release, &address("nada.js"), &address(""), "/docs/assets", "/outra/docs/assets/a/b"] {
        let response = get(path, "identity").await;
        assert_eq!((response.status, response.header(&CACHE_CONTROL)), (StatusCode::NOT_FOUND, None), "{path}");
    }
}

#[actix_web::test]
async fn other_methods_return_405() {
    for path in ["/docs", "/redoc", "/favicon.ico", &address("swagger-ui.css")] {
        let response = send(Method::POST, path, "identity").await;
        let allowed = response.header(&ALLOW);
        assert_eq!((response.status, allowed), (StatusCode::METHOD_NOT_ALLOWED, Some("GET")), "{path}");
    }
}

#[actix_web::test]
async fn embedded_assets_match_their_checksums() {
    let mut checked = 0;
    for line in MANIFEST.lines() {
        let (expected, path) = line.split_once("  ").unwrap();
        let name = path.rsplit('/').next().unwrap();
        let asset = ASSETS.iter().find(|asset| asset.name == name).unwrap();
        let sum = ring::digest::digest(&ring::digest::SHA256, &plain(asset).await);
        let actual = sum.as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        assert_eq!(actual, expected, "{path}");
        checked += 1;
    }
    assert_eq!(checked, ASSETS.iter().filter(|asset| matches!(asset.content, Content::Gzip(_))).count());
}
