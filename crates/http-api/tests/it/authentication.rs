use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use actix_web::body::to_bytes;
use actix_web::dev::Service as _;
use actix_web::http::Method;
use actix_web::test::{TestRequest, init_service};
use async_trait::async_trait;
use domain::testing::{maria, stored};
use domain::{Caller, Credential, Error, IdentityProvider, Service};
use http_api::app;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::support::{Always, World};

type Identity = fn() -> Result<Caller, Error>;

fn world(identity: Identity) -> World {
    World { identity: Arc::new(Always(identity)), ..World::new() }
}

#[actix_web::test]
async fn a_stranger_gets_401_whatever_else_is_wrong() {
    let cases = [
        (None, "Token de autenticação não fornecido"),
        (Some("Digest abc"), "Token de autenticação não fornecido"),
        (Some("Bearer abc"), "Token inválido ou expirado"),
        (Some("Basic OmFiYw=="), "Token inválido ou expirado"),
    ];
    for (authorization, text) in cases {
        let mut request = TestRequest::post().uri("/api/v1/atividades").set_payload("{no json");
        if let Some(authorization) = authorization {
            request = request.insert_header(("authorization", authorization));
        }

        let answer = world(|| Err(Error::CredentialRejected)).answer(request).await;

        assert_eq!(answer.error(), (401, text.to_owned()));
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.header("x-request-id").is_some());
    }
}

#[actix_web::test]
async fn a_good_token_is_the_author() {
    let mut world = world(|| Ok(maria()));
    world.atividades.expect_insert().returning(|record| Ok(stored(record)));
    let body = json!({"nome": "A", "id_projeto": domain::testing::projeto_id().0, "criado_por": "outro@exemplo.br"});
    let request = TestRequest::post().uri("/api/v1/atividades").insert_header(("authorization", "Bearer abc"));

    let answer = world.answer(request.set_json(body)).await;

    assert_eq!(answer.json()["criado_por"], "maria@exemplo.br");
    assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
}

#[actix_web::test]
async fn when_nobody_can_tell_it_is_never_a_401() {
    fn cause() -> domain::Cause {
        "segredo".into()
    }
    const SERVICE: Service = Service::AzureDevOps;
    let cases: [(Identity, u16); 4] = [
        (|| Err(Error::Unavailable { service: SERVICE, retry_after: None, cause: cause() }), 503),
        (|| Err(Error::TimedOut { service: SERVICE, cause: cause() }), 504),
        (|| Err(Error::BadUpstream { service: SERVICE, cause: cause() }), 502),
        (|| Err(Error::Internal(cause())), 500),
    ];
    for (identity, status) in cases {
        let request = TestRequest::get().uri("/api/v1/projetos").insert_header(("authorization", "Bearer abc"));

        let answer = world(identity).answer(request).await;

        assert_eq!(answer.error().0, status);
        assert!(!answer.body.contains("segredo"));
        assert_eq!(answer.header("retry-after"), (status == 503).then_some("5"));
    }
}

#[actix_web::test]
async fn who_is_told_to_wait_does_not_come_too_early() {
    fn ill(milliseconds: u64) -> Error {
        let retry_after = Some(std::time::Duration::from_millis(milliseconds));
        Error::Unavailable { service: Service::AzureDevOps, retry_after, cause: "segredo".into() }
    }
    let cases: [(Identity, &str); 4] =
        [(|| Err(ill(0)), "1"), (|| Err(ill(1000)), "1"), (|| Err(ill(1001)), "2"), (|| Err(ill(29_500)), "30")];
    for (identity, seconds) in cases {
        let request = TestRequest::get().uri("/api/v1/projetos").insert_header(("authorization", "Bearer abc"));

        let answer = world(identity).answer(request).await;

        assert_eq!(answer.header("retry-after"), Some(seconds));
    }
}

/// Takes the one token, and knows it.
struct OneUser;

#[async_trait]
impl IdentityProvider for OneUser {
    async fn authenticate(&self, credential: Option<Credential>) -> Result<Caller, Error> {
        match credential {
            None => Err(Error::CredentialMissing),
            Some(credential) if self.recently_accepted(&credential) => Ok(maria()),
            Some(_) => Err(Error::CredentialRejected),
        }
    }

    fn recently_accepted(&self, credential: &Credential) -> bool {
        matches!(credential, Credential::Bearer { token, .. } if token.expose_secret() == "bom")
    }
}

#[actix_web::test]
async fn failed_sign_ins_are_limited_by_address_and_lock_out_no_user() {
    let mut world = World { identity: Arc::new(OneUser), ..World::new() };
    world.projetos.expect_list().returning(|_| Ok(vec![].into()));
    let service = init_service(app(&world.state())).await;
    let ask_from = async |client: &str, authorization: Option<String>| {
        let request = TestRequest::get().uri("/api/v1/projetos").peer_addr(SocketAddr::new(client.parse().unwrap(), 1));
        let request = authorization.into_iter().fold(request, |r, text| r.insert_header(("authorization", text)));
        service.call(request.to_request()).await.unwrap().map_into_boxed_body()
    };
    // How many fail until the first is refused, and what it is told.
    let fail = async |client: &str| {
        for n in 0.. {
            let response = ask_from(client, Some(format!("Bearer errado-{n}"))).await;
            if response.status() != 401 {
                return (n, response);
            }
        }
        unreachable!("nothing is refused")
    };
    for client in ["192.0.2.1", "2001:db8::1"] {
        let began = Instant::now();
        let (failed, response) = fail(client).await;

        // One more each second is let through.
        let allowed = 100..=101 + began.elapsed().as_secs();
        assert!(allowed.contains(&failed), "{failed} failed in {:?}", began.elapsed());
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers().get("retry-after").unwrap(), "1");
        assert_eq!(response.headers().get("cache-control").unwrap(), "no-store");
        let body: Value = serde_json::from_slice(&to_bytes(response.into_body()).await.unwrap()).unwrap();
        assert_eq!(body["detail"], "Tentativas de autenticação demais sem sucesso; tente novamente em instantes");
        // A request without a credential costs nothing, and users go on.
        for _ in 0..200 {
            assert_eq!(ask_from(client, None).await.status(), 401);
            assert_eq!(ask_from(client, Some("Bearer bom".to_owned())).await.status(), 200);
        }
    }
    let (failed, _) = fail("2001:db8::ffff").await;
    assert!(failed < 90, "{failed} failed in the same /64");
    for client in ["192.0.2.2", "2001:db8:0:1::1"] {
        let (failed, _) = fail(client).await;
        assert!(100 <= failed, "{client} has failures of its own: {failed}");
    }
}

#[actix_web::test]
async fn what_is_public_asks_for_nothing() {
    for path in ["/", "/healthz", "/api/v1", "/openapi.json"] {
        let answer = world(|| Err(Error::CredentialRejected)).answer(TestRequest::get().uri(path)).await;

        assert_eq!(answer.status, 200, "{path}");
    }
}

/// Every way to write a path of the description with one segment percent-encoded, wholly or by its first letter.
fn spellings(path: &str) -> Vec<String> {
    let path = path.replace("{id}", "0190c0de-0000-7000-8000-000000000000");
    let segments: Vec<&str> = path.split('/').collect();
    let whole = |text: &str| text.bytes().fold(String::new(), |hex, byte| hex + &format!("%{byte:02x}"));
    let first =
        |text: &str| text.chars().next().map_or_else(String::new, |c| whole(&text[..1]) + &text[c.len_utf8()..]);
    let spelt = (1..segments.len()).flat_map(|at| {
        [whole(segments[at]), first(segments[at])].map(|segment| {
            let mut segments = segments.clone();
            segments[at] = &segment;
            segments.join("/")
        })
    });
    spelt.collect()
}

#[actix_web::test]
async fn an_encoded_path_is_as_secret_as_the_plain_one() {
    let description = World::new().answer(TestRequest::get().uri("/openapi.json")).await.json();
    let secured = description["paths"].as_object().unwrap().iter().filter(|(_, item)| {
        item.as_object()
            .unwrap()
            .values()
            .all(|operation| operation["security"].as_array().is_none_or(|s| !s.is_empty()))
    });
    let mut tried = 0;
    for (path, item) in secured {
        let methods = item.as_object().unwrap().keys().map(|name| name.to_uppercase().parse::<Method>().unwrap());
        for (method, path) in methods
            .chain([Method::PATCH])
            .flat_map(|method| spellings(path).into_iter().map(move |path| (method.clone(), path)))
        {
            let request = || TestRequest::with_uri(&path).method(method.clone());
            let stranger = world(|| Err(Error::CredentialRejected)).answer(request()).await;
            assert_eq!(stranger.status, 401, "{method} {path}");
            tried += 1;
        }
    }
    assert!(50 < tried, "{tried}");

    let mut world = world(|| Ok(maria()));
    world.projetos.expect_list().returning(|_| Ok(vec![].into()));
    let token = ("authorization", "Bearer abc");
    let answer = world.answer(TestRequest::get().uri("/api/%76%31/%70rojetos").insert_header(token)).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, Value::Array(vec![])));
}

#[actix_web::test]
async fn an_unknown_path_is_404_without_a_token_however_it_is_written() {
    for path in ["/api/v1/%6eada", "/api/v1/atividades%2F1", "/api/v1/%2561tividades", "/api/v1/atividade%73/1/2"] {
        let answer = world(|| Err(Error::CredentialRejected)).answer(TestRequest::get().uri(path)).await;

        assert_eq!(answer.error().0, 404, "{path}");
    }
}

#[actix_web::test]
async fn several_credentials_are_none() {
    for (one, other) in
        [("Bearer abc", "Bearer def"), ("Bearer abc", "Basic OmFiYw=="), ("Basic OmFiYw==", "x"), ("x", "Bearer abc")]
    {
        let request = TestRequest::get().uri("/api/v1/projetos");
        let request = request.append_header(("authorization", one)).append_header(("authorization", other));

        let answer = world(|| Ok(maria())).answer(request).await;

        assert_eq!(answer.error(), (401, "Token de autenticação não fornecido".to_owned()), "{one}, {other}");
    }
}
