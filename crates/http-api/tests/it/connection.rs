//! Streams to HTTP/1.0 clients over a real socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use domain::testing::projeto;
use domain::{Descricao, Projeto};
use http_api::{Server, Stop};

use crate::support::TestApp;

/// More than one chunk, so that the list is streamed.
pub const ROWS: usize = 40;

/// Serves a streamed list of projetos, runs `exchange` and stops.
pub async fn with_server<T: Send + 'static>(exchange: impl FnOnce(SocketAddr) -> T + Send + 'static) -> T {
    let mut test_app = TestApp::new();
    test_app.projetos.expect_list().returning(|_| Ok(vec![large_projeto(); ROWS].into()));
    let state = test_app.state();
    let server = Server::bind(move || state.clone(), 1, "127.0.0.1:0".parse().unwrap()).unwrap();
    let address = server.address();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let running = actix_web::rt::spawn(server.run(async move {
        let _ = stopped.await;
        Stop::Immediate
    }));
    let result = actix_web::rt::task::spawn_blocking(move || exchange(address)).await.unwrap();
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    result
}

fn large_projeto() -> Projeto {
    Projeto { descricao: Some(Descricao::parse("a".repeat(60_000)).unwrap()), ..projeto("Portal") }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Sends `request` and reads until the server closes the connection.
fn read_to_close(address: SocketAddr, request: &str) -> (String, Vec<u8>) {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    (String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase(), bytes[end + 4..].to_vec())
}

#[actix_web::test]
async fn stream_to_http_1_0_client_has_no_transfer_coding() {
    let (head, body) =
        with_server(|address| read_to_close(address, "GET /api/v1/projetos HTTP/1.0\r\nHost: localhost\r\n\r\n")).await;

    assert!(head.starts_with("http/1.0 200") && !head.contains("transfer-encoding"), "{head}");
    let projetos: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(projetos.as_array().unwrap().len(), ROWS);
}

#[actix_web::test]
async fn compressed_stream_to_http_1_0_client_has_no_transfer_coding() {
    let request = "GET /api/v1/projetos HTTP/1.0\r\nConnection: keep-alive\r\nAccept-Encoding: gzip\r\n\r\n";
    let (head, body) = with_server(move |address| read_to_close(address, request)).await;

    assert!(head.contains("content-encoding: gzip") && !head.contains("transfer-encoding"), "{head}");
    assert!(!head.contains("keep-alive"), "{head}");
    assert_eq!(body[..2], [0x1f, 0x8b], "gzip starts without a chunk size");
}
