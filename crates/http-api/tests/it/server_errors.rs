//! The observer of responses 500.

use std::sync::{Arc, Mutex};

use actix_web::test::TestRequest;
use domain::Error;
use http_api::{ServerError, ServerErrorCause, is_panic_of_handler};

use crate::support::{TestApp, send};

/// Sends `request` and returns the status and what the observer got.
async fn observe(test_app: TestApp, request: TestRequest) -> (u16, Vec<ServerError>) {
    let observed = Arc::new(Mutex::new(Vec::new()));
    let list = observed.clone();
    let state = test_app.state().with_server_errors(Arc::new(move |error| list.lock().unwrap().push(error)));
    let response = send(&state, request).await;
    let observed = observed.lock().unwrap().clone();
    (response.status.as_u16(), observed)
}

fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(path).insert_header(("x-request-id", "pedido-1"))
}

#[actix_web::test]
async fn internal_error_is_observed_with_its_causes_and_route_template() {
    let mut test_app = TestApp::new();
    test_app.projetos.expect_find().returning(|_| Err(Error::internal("relation missing")));

    let path = format!("/api/v1/projetos/{}?segredo=1", uuid::Uuid::nil());
    let (status, observed) = observe(test_app, get(&path).insert_header(("accept", "application/problem+json"))).await;

    let [error] = &observed[..] else { panic!("{observed:?}") };
    assert_eq!((status, error.method, &*error.route), (500, "GET", "/api/v1/projetos/{projeto_id}"));
    assert_eq!((&*error.request_id, error.trace_id.len()), ("pedido-1", 32));
    assert_eq!(error.cause, ServerErrorCause::Error("internal error: relation missing".to_owned()));
}

#[actix_web::test]
async fn panic_is_observed_with_its_location() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        previous(panic);
        let _: bool = is_panic_of_handler(&panic.location().unwrap().to_string());
    }));
    let mut test_app = TestApp::new();
    test_app.projetos.expect_list().returning(|_| panic!("segredo"));

    let (status, observed) = observe(test_app, get("/api/v1/projetos")).await;

    let [ServerError { cause: ServerErrorCause::Panic { location }, route, .. }] = &observed[..] else {
        panic!("{observed:?}")
    };
    assert_eq!((status, &**route), (500, "/api/v1/projetos"));
    assert!(location.contains("server_errors.rs:"), "{location}");
    assert!(!is_panic_of_handler("outside of a request"));
}

#[actix_web::test]
async fn other_errors_are_not_observed() {
    let unavailable =
        || Error::Unavailable { service: domain::Service::Database, retry_after: None, cause: "down".into() };
    let mut test_app = TestApp::new();
    test_app.projetos.expect_list().returning(move |_| Err(unavailable()));
    assert_eq!(observe(test_app, get("/api/v1/projetos")).await, (503, Vec::new()));
    assert_eq!(observe(TestApp::new(), get("/api/v1/nada")).await, (404, Vec::new()));
}
