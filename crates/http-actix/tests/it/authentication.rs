use std::sync::Arc;

use actix_web::test::TestRequest;
use domain::testing::{maria, stored};
use domain::{Caller, Error, Service};
use serde_json::json;

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
async fn what_is_public_asks_for_nothing() {
    for path in ["/", "/healthz", "/api/v1", "/openapi.json"] {
        let answer = world(|| Err(Error::CredentialRejected)).answer(TestRequest::get().uri(path)).await;

        assert_eq!(answer.status, 200, "{path}");
    }
}
