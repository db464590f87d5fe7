//! A client as a script would be: requests over HTTP, responses read to their end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

/// The media type of every JSON response of the API.
pub const JSON: &str = "application/json; charset=utf-8";

/// A client of one server.
#[derive(Clone)]
pub struct Api {
    client: Client,
    base: String,
}

impl Api {
    /// A client of the server at `base`, for example `http://127.0.0.1:8000`.
    #[must_use]
    pub fn new(base: &str) -> Self {
        static PROVIDER: OnceLock<()> = OnceLock::new();
        PROVIDER.get_or_init(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // The server closes connections that are idle for 5 s; a request on one of them would be lost.
            .pool_idle_timeout(Duration::from_secs(2))
            .build()
            .unwrap();
        Self { client, base: base.to_owned() }
    }

    /// Where the server is.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A request that is still to be sent with [`send`].
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    /// Returns what the server responds to bytes that no client library would send, until it closes the connection.
    #[must_use]
    pub fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.base.trim_start_matches("http://")).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        // A connection that is reset was closed as well.
        let _ = stream.read_to_string(&mut response);
        response
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Response {
        send(self.request(Method::GET, path)).await
    }

    /// POST of a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Response {
        send(self.request(Method::POST, path).json(body)).await
    }

    /// PUT of a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> Response {
        send(self.request(Method::PUT, path).json(body)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Response {
        send(self.request(Method::DELETE, path)).await
    }

    /// A new projeto that exists only here; its id.
    pub async fn projeto(&self, nome: &str) -> String {
        self.post("/api/v1/projetos", &json!({"nome": nome})).await.expect(201)["id"].as_str().unwrap().to_owned()
    }

    /// A new atividade; its id.
    pub async fn atividade(&self, nome: &str, id_projeto: &str) -> String {
        let body = json!({"nome": nome, "id_projeto": id_projeto});
        self.post("/api/v1/atividades", &body).await.expect(201)["id"].as_str().unwrap().to_owned()
    }
}

/// Sends a request and reads the response.
pub async fn send(request: RequestBuilder) -> Response {
    let response = request.send().await.expect("the server responds");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Response { status, headers, text: response.text().await.expect("the response can be read") }
}

/// A response, read to its end.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl Response {
    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {:?}", self.text))
    }

    /// The body as JSON, of a response with `status`.
    #[must_use]
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), Some(JSON));
        self.json()
    }

    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// What an error with `status` says to a person; it checks what holds for every error.
    #[must_use]
    #[track_caller]
    pub fn error(&self, status: u16) -> String {
        let json = self.expect(status);
        assert_eq!(json["detail"], json["message"]);
        assert_eq!(self.header("cache-control"), Some("no-store"));
        assert!(self.header("x-request-id").is_some());
        json["detail"].as_str().unwrap().to_owned()
    }

    /// The faults of a 422, each as its code and place: `missing body.nome`.
    #[must_use]
    #[track_caller]
    pub fn faults(&self) -> Vec<String> {
        let json = self.expect(422);
        assert!(json["message"].as_str().is_some_and(|message| !message.is_empty()));
        let faults = json["detail"].as_array().unwrap().iter().map(|fault| {
            assert!(fault["msg"].as_str().is_some_and(|msg| !msg.is_empty()));
            let way: Vec<String> = fault["loc"].as_array().unwrap().iter().map(as_text).collect();
            format!("{} {}", fault["type"].as_str().unwrap(), way.join("."))
        });
        faults.collect()
    }
}

fn as_text(step: &Value) -> String {
    step.as_str().map_or_else(|| step.to_string(), str::to_owned)
}
