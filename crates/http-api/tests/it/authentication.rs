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

use crate::support::{StubIdentity, TestApp};

const UNREADABLE: &str = "O cabeçalho Authorization não pode ser lido: use Bearer com um token em ASCII ou Basic com base64 de usuário:token";

type Identity = fn() -> Result<Caller, Error>;

fn test_app(identity: Identity) -> TestApp {
    TestApp { identity: Arc::new(StubIdentity(identity)), ..TestApp::new() }
}

#[actix_web::test]
async fn invalid_request_without_authentication_returns_401() {
    let cases = [
        (None, "Token de autenticação não fornecido"),
        (Some("Digest abc"), "Token de autenticação não fornecido"),
        (Some("Bearer abc"), "Token inválido ou expirado"),
        (Some("Basic OmFiYw=="), "Token inválido ou expirado"),
        // The user name is Latin-1.
        (Some("Basic am9z6TphYmM="), "Token inválido ou expirado"),
        (Some("Basic !!!"), UNREADABLE),
    ];
    for (authorization, text) in cases {
        let mut request = TestRequest::post().uri("/api/v1/atividades").set_payload("{no json");
        if let Some(authorization) = authorization {
            request = request.insert_header(("authorization", authorization));
        }

        let response = test_app(|| Err(Error::CredentialRejected)).send(request).await;

        assert_eq!(response.error(), (401, text.to_owned()));
        assert_eq!(response.header("www-authenticate"), Some("Bearer"));
        assert_eq!(response.header("cache-control"), Some("no-store"));
        assert!(response.header("x-request-id").is_some());
    }
}

#[actix_web::test]
async fn valid_token_sets_the_author() {
    let mut test_app = test_app(|| Ok(maria()));
    test_app.atividades.expect_insert().returning(|record| Ok(stored(record)));
    let body = json!({"nome": "A", "id_projeto": domain::testing::projeto_id().0, "criado_por": "outro@exemplo.br"});
    let request = TestRequest::post().uri("/api/v1/atividades").insert_header(("authorization", "Bearer abc"));

    let response = test_app.send(request.set_json(body)).await;

    assert_eq!(response.json()["criado_por"], "maria@exemplo.br");
    assert_eq!(response.header("cache-control"), Some("private, no-cache"));
}

#[actix_web::test]
async fn identity_provider_failure_never_returns_401() {
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

        let response = test_app(identity).send(request).await;

        assert_eq!(response.error().0, status);
        assert!(!response.body.contains("segredo"));
        assert_eq!(response.header("retry-after"), (status == 503).then_some("5"));
    }
}

#[actix_web::test]
async fn retry_after_is_rounded_up_to_seconds() {
    fn unhealthy(milliseconds: u64) -> Error {
        let retry_after = Some(std::time::Duration::from_millis(milliseconds));
        Error::Unavailable { service: Service::AzureDevOps, retry_after, cause: "segredo".into() }
    }
    let cases: [(Identity, &str); 4] = [
        (|| Err(unhealthy(0)), "1"),
        (|| Err(unhealthy(1000)), "1"),
        (|| Err(unhealthy(1001)), "2"),
        (|| Err(unhealthy(29_500)), "30"),
    ];
    for (identity, seconds) in cases {
        let request = TestRequest::get().uri("/api/v1/projetos").insert_header(("authorization", "Bearer abc"));

        let response = test_app(identity).send(request).await;

        assert_eq!(response.header("retry-after"), Some(seconds));
    }
}

/// Accepts one token, as if it had been accepted recently.
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
async fn failed_sign_ins_are_limited_by_address_without_locking_out_users() {
    let mut test_app = TestApp { identity: Arc::new(OneUser), ..TestApp::new() };
    test_app.projetos.expect_list().returning(|_| Ok(vec![].into()));
    let service = init_service(app(&test_app.state())).await;
    let send_from = async |client: &str, authorization: Option<String>| {
        let request = TestRequest::get().uri("/api/v1/projetos").peer_addr(SocketAddr::new(client.parse().unwrap(), 1));
        let request = authorization.into_iter().fold(request, |r, text| r.insert_header(("authorization", text)));
        service.call(request.to_request()).await.unwrap().map_into_boxed_body()
    };
    // The number of failures before the first rejection, and its response.
    let fail = async |client: &str| {
        for n in 0.. {
            let response = send_from(client, Some(format!("Bearer errado-{n}"))).await;
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
            assert_eq!(send_from(client, None).await.status(), 401);
            assert_eq!(send_from(client, Some("Bearer bom".to_owned())).await.status(), 200);
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
async fn public_routes_need_no_credential() {
    for path in ["/", "/healthz", "/api/v1", "/openapi.json"] {
        let response = test_app(|| Err(Error::CredentialRejected)).send(TestRequest::get().uri(path)).await;

        assert_eq!(response.status, 200, "{path}");
    }
}

/// Every way to write a path of the description with one segment percent-encoded, wholly or by its first letter.
fn spellings(path: &str) -> Vec<String> {
    let path =
        path.replace("{atividade_id}", "{projeto_id}").replace("{projeto_id}", "0190c0de-0000-7000-8000-000000000000");
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
async fn encoded_path_requires_authentication() {
    let description = TestApp::new().send(TestRequest::get().uri("/openapi.json")).await.json();
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
            let stranger = test_app(|| Err(Error::CredentialRejected)).send(request()).await;
            assert_eq!(stranger.status, 401, "{method} {path}");
            tried += 1;
        }
    }
    assert!(50 < tried, "{tried}");

    let mut test_app = test_app(|| Ok(maria()));
    test_app.projetos.expect_list().returning(|_| Ok(vec![].into()));
    let token = ("authorization", "Bearer abc");
    let response = test_app.send(TestRequest::get().uri("/api/%76%31/%70rojetos").insert_header(token)).await;
    assert_eq!((response.status.as_u16(), response.json()), (200, Value::Array(vec![])));
}

#[actix_web::test]
async fn unknown_path_without_token_returns_404() {
    for path in ["/api/v1/%6eada", "/api/v1/atividades%2F1", "/api/v1/%2561tividades", "/api/v1/atividade%73/1/2"] {
        let response = test_app(|| Err(Error::CredentialRejected)).send(TestRequest::get().uri(path)).await;

        assert_eq!(response.error().0, 404, "{path}");
    }
}

#[actix_web::test]
async fn repeated_authorization_header_is_ignored() {
    for (one, other) in
        [("Bearer abc", "Bearer def"), ("Bearer abc", "Basic OmFiYw=="), ("Basic OmFiYw==", "x"), ("x", "Bearer abc")]
    {
        let request = TestRequest::get().uri("/api/v1/projetos");
        let request = request.append_header(("authorization", one)).append_header(("authorization", other));

        let response = test_app(|| Ok(maria())).send(request).await;

        assert_eq!(response.error(), (401, "Token de autenticação não fornecido".to_owned()), "{one}, {other}");
    }
}

/// Returns method, path and whether it is public, of every operation. Parameters of the path are filled in.
async fn operations() -> Vec<(Method, String, bool)> {
    let description = TestApp::new().send(TestRequest::get().uri("/openapi.json")).await.json();
    let mut operations = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let is_public = operation["security"].as_array().is_some_and(Vec::is_empty);
            operations.push((method, path.clone(), is_public));
        }
    }
    operations
}

/// No operation can be forgotten, because the list is that of the description.
#[actix_web::test]
async fn every_operation_requires_a_valid_credential() {
    let guarded: Vec<_> = operations().await.into_iter().filter(|(.., is_public)| !is_public).collect();
    assert!(20 < guarded.len(), "{guarded:?}");
    for (method, path, _) in guarded {
        let path = path.replace("{work_item_id}", "41").replace(['{', '}'], "x");
        for authorization in [None, Some("Bearer lixo"), Some("Basic OmxpeG8="), Some("Digest abc")] {
            let mut request = TestRequest::default().method(method.clone()).uri(&path).set_payload("{no json");
            if let Some(authorization) = authorization {
                request = request.insert_header(("authorization", authorization));
            }

            let response = test_app(|| Err(Error::CredentialRejected)).send(request).await;

            assert_eq!(response.status, 401, "{method} {path} {authorization:?}: {}", response.body);
        }
    }
}

/// Everybody reads an entry, only its owner changes it, in whichever way.
#[actix_web::test]
async fn every_change_of_an_entry_of_somebody_else_is_forbidden() {
    let of_entries = operations().await.into_iter().filter(|(_, path, _)| path.contains("{apontamento_id}"));
    let mut methods = Vec::new();
    for (method, path, _) in of_entries {
        let mut test_app = test_app(|| {
            let rui = domain::Usuario { id: "rui".to_owned(), ..maria().usuario };
            Ok(Caller { usuario: rui, ..maria() })
        });
        test_app.apontamentos.expect_find().returning(|_| Ok(Some(domain::testing::apontamento(90))));
        let path = path.replace("{apontamento_id}", &domain::testing::apontamento(90).id.0.to_string());
        let request =
            TestRequest::default().method(method.clone()).uri(&path).insert_header(("authorization", "Bearer abc"));

        let response = test_app.send(request.set_json(json!({"duracao": "1:00"}))).await;

        let expected = if method == Method::GET { 200 } else { 403 };
        assert_eq!(response.status, expected, "{method} {path}: {}", response.body);
        methods.push(method);
    }
    assert_eq!(methods.len(), 3, "{methods:?}");
}
