use actix_web::http::Method;
use actix_web::test::TestRequest;
use domain::testing::projeto;
use domain::{Error, Service};

use crate::support::{World, ask};

#[actix_web::test]
async fn health_says_whether_the_database_answers() {
    let mut well = World::new();
    well.readiness.expect_check().returning(|| Ok(()));
    let mut ill = World::new();
    ill.readiness.expect_check().returning(|| {
        Err(Error::Unavailable { service: Service::Database, retry_after: None, cause: "segredo".into() })
    });

    let well = well.answer(TestRequest::get().uri("/health")).await;
    let ill = ill.answer(TestRequest::get().uri("/health")).await;

    let version = env!("CARGO_PKG_VERSION");
    let body = |status| format!(r#"{{"status":"{status}","version":"{version}","environment":"development"}}"#);
    assert_eq!((well.status.as_u16(), well.body), (200, body("healthy")));
    assert_eq!(ill.header("retry-after"), Some("5"));
    assert_eq!((ill.status.as_u16(), ill.body), (503, body("unhealthy")));
}

#[actix_web::test]
async fn the_process_is_alive_without_a_database() {
    for path in ["/", "/healthz"] {
        let answer = World::new().answer(TestRequest::get().uri(path)).await;

        assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (200, &"healthy".into()));
    }
}

#[actix_web::test]
async fn the_api_says_what_it_is() {
    for path in ["/api/v1", "/api/v1/"] {
        let answer = World::new().answer(TestRequest::get().uri(path)).await;

        let version = env!("CARGO_PKG_VERSION");
        let expected = format!(r#"{{"name":"API Aponta","version":"{version}","docs":"/docs","redoc":"/redoc"}}"#);
        assert_eq!(answer.body, expected);
    }
}

#[actix_web::test]
async fn unknown_paths_are_404_in_json() {
    for path in ["/nada", "/api", "/api/v1/nada", "/api/v1/atividades/1/2", "/api/v2/atividades"] {
        let answer = World::new().answer(TestRequest::get().uri(path)).await;

        assert_eq!(answer.error(), (404, "Recurso não encontrado".to_owned()), "{path}");
    }
}

#[actix_web::test]
async fn a_wrong_method_is_405_and_names_the_right_ones() {
    let cases = [
        ("/api/v1/atividades", Method::PATCH, "GET, HEAD, POST"),
        ("/api/v1/atividades/1", Method::POST, "GET, HEAD, PUT, DELETE"),
        ("/api/v1/projetos", Method::DELETE, "GET, HEAD, POST"),
        ("/health", Method::POST, "GET, HEAD"),
    ];
    for (path, method, allowed) in cases {
        let answer = World::new().answer(TestRequest::with_uri(path).method(method)).await;

        assert_eq!(answer.error(), (405, "Método não permitido".to_owned()), "{path}");
        assert_eq!(answer.header("allow"), Some(allowed), "{path}");
    }
}

#[actix_web::test]
async fn a_trailing_slash_answers_like_the_path_without_it() {
    let mut world = World::new();
    world.projetos.expect_list().returning(|_| Ok(vec![projeto("A")].into()));

    let answer = world.answer(TestRequest::get().uri("/api/v1/projetos/")).await;

    assert_eq!(answer.status, 200);
}

#[actix_web::test]
async fn head_answers_like_get() {
    let mut world = World::new();
    world.projetos.expect_list().returning(|_| Ok(vec![].into()));

    let answer = world.answer(TestRequest::default().method(Method::HEAD).uri("/api/v1/projetos")).await;

    assert_eq!(answer.status, 200);
}

#[actix_web::test]
async fn every_answer_has_a_request_id() {
    for path in ["/", "/nada", "/api/v1/atividades/1", "/%zz"] {
        let own = World::new().answer(TestRequest::get().uri(path).insert_header(("x-request-id", "a.B_9-"))).await;
        let bad = World::new().answer(TestRequest::get().uri(path).insert_header(("x-request-id", "a b"))).await;

        assert_eq!(own.header("x-request-id"), Some("a.B_9-"), "{path}");
        assert_eq!(uuid::Uuid::parse_str(bad.header("x-request-id").unwrap()).unwrap().get_version_num(), 7);
    }
}

#[actix_web::test]
async fn a_path_that_cannot_be_read_is_a_400() {
    let answer = World::new().answer(TestRequest::get().uri("/api/v1/atividades/%zz")).await;

    assert_eq!(answer.error().0, 400);
}

#[actix_web::test]
async fn a_panic_is_a_500_that_says_nothing() {
    let mut world = World::new();
    world.projetos.expect_list().returning(|_| panic!("segredo"));

    let answer = world.answer(TestRequest::get().uri("/api/v1/projetos")).await;

    assert_eq!(answer.error(), (500, "Erro interno".to_owned()));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.header("x-request-id").is_some());
}

#[actix_web::test]
async fn a_panic_is_counted_for_its_route() {
    let mut world = World::new();
    world.projetos.expect_list().returning(|_| panic!("segredo"));
    let state = world.state();
    let mut registry = prometheus_client::registry::Registry::default();
    state.metrics().register(&mut registry);

    let answer = ask(&state, TestRequest::get().uri("/api/v1/projetos")).await;

    let mut metrics = String::new();
    prometheus_client::encoding::text::encode(&mut metrics, &registry).unwrap();
    assert_eq!(answer.status, 500);
    let count = r#"request_duration_seconds_count{method="GET",route="/api/v1/projetos",status="500"} 1"#;
    assert!(metrics.contains(count), "{metrics}");
}

#[actix_web::test]
async fn a_page_may_read_whatever_goes_wrong() {
    let origin = ("origin", "https://ms.gallerycdn.vsassets.io");
    let mut panicking = World::new();
    panicking.projetos.expect_list().returning(|_| panic!("segredo"));
    for (world, path, status) in [
        (World::new(), "/api/v1/atividades/%zz", 400),
        (World::new(), "/nada", 404),
        (panicking, "/api/v1/projetos", 500),
    ] {
        let answer = world.answer(TestRequest::get().uri(path).insert_header(origin)).await;

        assert_eq!(answer.error().0, status, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin.1), "{path}");
        assert!(answer.header("access-control-expose-headers").unwrap().contains("x-request-id"), "{path}");
    }
}

#[actix_web::test]
async fn a_refused_preflight_does_not_guess_why() {
    for (origin, method) in [("https://ms.gallerycdn.vsassets.io", "PATCH"), ("https://evil.example", "GET")] {
        let request = TestRequest::default().method(Method::OPTIONS).uri("/api/v1/projetos");
        let request =
            request.insert_header(("origin", origin)).insert_header(("access-control-request-method", method));

        let answer = World::new().answer(request).await;

        let text = "Esta página não pode fazer esta chamada: a origem, o método ou um cabeçalho não é permitido";
        assert_eq!(answer.error(), (400, text.to_owned()), "{origin} {method}");
    }
}

#[actix_web::test]
async fn only_listed_origins_may_read_answers() {
    let origin = |origin| TestRequest::get().uri("/healthz").insert_header(("origin", origin));

    let friend = World::new().answer(origin("https://ms.gallerycdn.vsassets.io")).await;
    let stranger = World::new().answer(origin("https://gallerycdn.vsassets.io.evil.com")).await;

    assert_eq!(friend.header("access-control-allow-origin"), Some("https://ms.gallerycdn.vsassets.io"));
    assert_eq!(stranger.header("access-control-allow-origin"), None);
}
