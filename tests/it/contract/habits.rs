//! What holds for every request.

use e2e::client::{Answer, send};
use e2e::server::Aponta;
use reqwest::Method;

const PATH: &str = "/api/v1/atividades";
const ORIGIN: &str = "https://contoso.gallerycdn.vsassets.io";

fn start() -> Aponta {
    Aponta::start_with(|program| {
        program.env("CORS_ORIGINS", "https://*.gallerycdn.vsassets.io,http://localhost:3000,https://dev.azure.com")
    })
}

#[tokio::test]
async fn a_sane_request_id_is_kept_and_another_replaced() {
    let Aponta { api, .. } = &start();
    let with = |id: &str| api.request(Method::GET, "/nada").header("X-Request-ID", id);

    let longest = "x".repeat(128);
    for id in ["a", "7f.A_-9", &longest] {
        assert_eq!(send(with(id)).await.header("x-request-id"), Some(id));
    }
    let too_long = "x".repeat(129);
    for id in ["", "a b", "a,b", "<script>", "a\u{e7}", &too_long] {
        let answer = send(with(id)).await;
        let new = uuid::Uuid::parse_str(answer.header("x-request-id").unwrap()).unwrap();
        assert_eq!(new.get_version_num(), 7, "{id}");
    }
}

#[tokio::test]
async fn head_answers_as_get_does_without_the_body() {
    let Aponta { api, .. } = &start();
    let projeto = api.projeto("Portal").await;
    for path in
        ["/", "/health", "/docs", "/openapi.json", "/api/v1", PATH, &format!("/api/v1/projetos/{projeto}"), "/nada"]
    {
        let (get, head) = (api.get(path).await, send(api.request(Method::HEAD, path)).await);
        assert_eq!((head.status, head.text.as_str()), (get.status, ""), "{path}");
        for header in ["content-type", "content-length", "etag"] {
            assert_eq!(head.header(header), get.header(header), "{path} {header}");
        }
    }
}

#[tokio::test]
async fn a_trailing_slash_makes_no_difference() {
    let Aponta { api, .. } = &start();
    let projeto = api.projeto("Portal").await;
    for path in ["/health", "/api/v1", PATH, "/api/v1/projetos", &format!("/api/v1/projetos/{projeto}"), "/docs"] {
        let (plain, slash) = (api.get(path).await, api.get(&format!("{path}/")).await);
        assert_eq!((slash.status, slash.text), (plain.status, plain.text), "{path}");
    }
}

fn allowed(answer: &Answer) -> (Option<&str>, Option<&str>) {
    (answer.header("access-control-allow-origin"), answer.header("access-control-allow-credentials"))
}

#[tokio::test]
async fn browsers_pages_of_the_allowed_origins_may_call() {
    let Aponta { api, .. } = &start();
    let from = |origin: &str| api.request(Method::GET, PATH).header("Origin", origin);

    for origin in [ORIGIN, "http://localhost:3000", "https://dev.azure.com"] {
        assert_eq!(allowed(&send(from(origin)).await), (Some(origin), Some("true")));
    }
    for origin in [
        "https://gallerycdn.vsassets.io",
        "https://a.b.gallerycdn.vsassets.io",
        "http://contoso.gallerycdn.vsassets.io",
        "https://contoso.gallerycdn.vsassets.io:8443",
        "https://contoso.gallerycdn.vsassets.io.evil.example",
        "https://evil.example/contoso.gallerycdn.vsassets.io",
        "https://evilgallerycdn.vsassets.io",
        "http://localhost:3001",
        "https://dev.azure.com.evil.example",
        "https://dev.azure.com@evil.example",
        "null",
        "nonsense",
    ] {
        let answer = send(from(origin)).await;
        assert_eq!(allowed(&answer).0, None, "{origin}");
    }
}

#[tokio::test]
async fn a_preflight_is_answered_without_a_token() {
    let aponta = Aponta::start_with(|program| {
        program
            .env("CORS_ORIGINS", "https://*.gallerycdn.vsassets.io")
            .env("AUTH_ENABLED", "true")
            .env("AZURE_DEVOPS_ORG_URL", "http://127.0.0.1:9/exemplo")
    });
    let request = aponta
        .api
        .request(Method::OPTIONS, PATH)
        .header("Origin", ORIGIN)
        .header("Access-Control-Request-Method", "PUT")
        .header("Access-Control-Request-Headers", "authorization, content-type, x-azure-access-token, if-match");

    let stranger = aponta
        .api
        .request(Method::OPTIONS, PATH)
        .header("Origin", "https://evil.example")
        .header("Access-Control-Request-Method", "PUT");
    let refused = send(stranger).await;
    assert_eq!(
        (refused.error(400), allowed(&refused).0),
        (
            "Esta página não pode fazer esta chamada: a origem, o método ou um cabeçalho não é permitido".to_owned(),
            None
        )
    );

    let answer = send(request).await;

    assert_eq!((answer.status, allowed(&answer)), (200, (Some(ORIGIN), Some("true"))));
    let methods = answer.header("access-control-allow-methods").unwrap();
    assert!(["GET", "POST", "PUT", "DELETE"].iter().all(|method| methods.contains(method)), "{methods}");
    let headers = answer.header("access-control-allow-headers").unwrap();
    assert!(headers.contains("x-azure-access-token") && headers.contains("if-match"), "{headers}");
    let refused = send(aponta.api.request(Method::GET, PATH).header("Origin", ORIGIN)).await;
    assert_eq!((refused.status, allowed(&refused).0), (401, Some(ORIGIN)), "a page must be able to read a refusal");
    let exposed = refused.header("access-control-expose-headers").unwrap();
    assert!(["etag", "link", "location", "x-request-id"].iter().all(|header| exposed.contains(header)), "{exposed}");
}

#[tokio::test]
async fn large_answers_come_compressed_to_those_who_ask() {
    let Aponta { api, .. } = &start();

    let plain = api.get("/openapi.json").await;
    let answer = api.request(Method::GET, "/openapi.json").header("Accept-Encoding", "br").send().await.unwrap();

    assert_eq!(answer.headers()["content-encoding"], "br");
    assert!(answer.bytes().await.unwrap().len() * 3 < plain.text.len());
}
