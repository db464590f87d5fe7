//! The application over mocked ports, and its responses.

use std::sync::Arc;

use actix_web::body::to_bytes;
use actix_web::dev::Service;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::test::{TestRequest, init_service};
use async_trait::async_trait;
use domain::testing::{fixed_clock, maria};
use domain::{
    Caller, Credential, Error, IdentityProvider, MockApontamentoRepository, MockAtividadeRepository,
    MockProjectDirectory, MockProjetoRepository, MockReadiness, MockWorkItemDirectory, Usuario, WriteBackQueue,
};
use http_api::OriginPattern;
use http_api::{AppState, DevelopmentIdentity, Ports, ServiceInfo, app};
use secrecy::ExposeSecret;
use serde_json::Value;

/// The mocked ports of one test. A call without an expectation panics.
pub struct TestApp {
    pub apontamentos: MockApontamentoRepository,
    pub atividades: MockAtividadeRepository,
    pub projetos: MockProjetoRepository,
    pub readiness: MockReadiness,
    pub identity: Arc<dyn IdentityProvider>,
    pub directory: MockProjectDirectory,
    pub work_items: MockWorkItemDirectory,
    pub write_back: Option<Arc<dyn WriteBackQueue>>,
}

impl TestApp {
    /// Returns ports without expectations and with the development user.
    pub fn new() -> Self {
        Self {
            apontamentos: MockApontamentoRepository::new(),
            atividades: MockAtividadeRepository::new(),
            projetos: MockProjetoRepository::new(),
            readiness: MockReadiness::new(),
            identity: Arc::new(DevelopmentIdentity),
            directory: MockProjectDirectory::new(),
            work_items: MockWorkItemDirectory::new(),
            write_back: None,
        }
    }

    /// Returns the response with its body as text.
    pub async fn send(self, request: TestRequest) -> Response {
        let Response { status, headers, body } = self.send_raw(request).await;
        Response { status, headers, body: String::from_utf8(body).unwrap() }
    }

    /// Returns the response.
    pub async fn send_raw(self, request: TestRequest) -> Response<Vec<u8>> {
        send(&self.state(), request).await
    }

    /// Returns the application state.
    pub fn state(self) -> AppState {
        let ports = Ports {
            apontamentos: Arc::new(self.apontamentos),
            atividades: Arc::new(self.atividades),
            projetos: Arc::new(self.projetos),
            readiness: Arc::new(self.readiness),
            identity: self.identity,
            directory: Arc::new(self.directory),
            work_items: Arc::new(self.work_items),
            write_back: self.write_back,
            organizacao: Some("exemplo".to_owned()),
            service_credential: None,
            clock: fixed_clock(),
        };
        let origins = vec!["https://*.gallerycdn.vsassets.io".parse::<OriginPattern>().unwrap()];
        AppState::new(ports, ServiceInfo::new("development"), origins)
    }
}

/// Returns the response of the application with that state.
pub async fn send(state: &AppState, request: TestRequest) -> Response<Vec<u8>> {
    let service = init_service(app(state)).await;
    // The response of an error is what actix sends.
    let response = match service.call(request.to_request()).await {
        Ok(response) => response.into_parts().1,
        Err(error) => error.error_response(),
    };
    let (status, headers) = (response.status(), response.headers().clone());
    let body = to_bytes(response.into_body()).await.unwrap();
    Response { status, headers, body: body.to_vec() }
}

/// A response with its whole body.
pub struct Response<Body = String> {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Body,
}

impl<Body> Response<Body> {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Response {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {:?}", self.body))
    }

    /// Status, and `detail` when it is a text.
    pub fn error(&self) -> (u16, String) {
        let json = self.json();
        assert_eq!(json["message"], json["detail"]);
        assert_eq!(self.header("content-type"), Some("application/json; charset=utf-8"));
        (self.status.as_u16(), json["detail"].as_str().unwrap().to_owned())
    }

    /// The errors of a 422: the type and the location of each.
    pub fn errors(&self) -> Vec<(String, Value)> {
        assert_eq!(self.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", self.body);
        let json = self.json();
        assert!(!json["message"].as_str().unwrap().is_empty());
        let errors = json["detail"].as_array().unwrap().iter();
        errors
            .map(|error| {
                assert!(!error["msg"].as_str().unwrap().is_empty());
                (error["type"].as_str().unwrap().to_owned(), error["loc"].clone())
            })
            .collect()
    }
}

/// An identity provider with one result for each credential.
pub struct StubIdentity(pub fn() -> Result<Caller, Error>);

#[async_trait]
impl IdentityProvider for StubIdentity {
    async fn authenticate(&self, credential: Option<Credential>) -> Result<Caller, Error> {
        credential.map_or(Err(Error::CredentialMissing), |_| (self.0)())
    }

    fn recently_accepted(&self, _: &Credential) -> bool {
        false
    }
}

/// The token is the name of its user.
pub struct ByToken;

#[async_trait]
impl IdentityProvider for ByToken {
    async fn authenticate(&self, credential: Option<Credential>) -> Result<Caller, Error> {
        let Some(Credential::Bearer { token, .. }) = credential else { return Err(Error::CredentialMissing) };
        let usuario = Usuario { id: token.expose_secret().to_owned(), ..maria().usuario };
        Ok(Caller { usuario, credential: None })
    }

    fn recently_accepted(&self, _: &Credential) -> bool {
        true
    }
}

/// Returns a GET of the user with that name, for [`ByToken`].
pub fn get(uri: &str, user: &str) -> TestRequest {
    TestRequest::get().uri(uri).insert_header(("Authorization", format!("Bearer {user}")))
}
