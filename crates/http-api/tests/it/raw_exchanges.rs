//! Raw exchanges: what no client library sends, byte by byte, and every response until the server closes the connection.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::connection::{connect, with_server};

/// A response as it is on the wire.
#[derive(Debug)]
struct Response {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Response {
    /// Reads one response from the start of `bytes`. A response to HEAD has no body, whatever its length.
    fn read(bytes: &mut &[u8], is_head: bool) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
        *bytes = &bytes[end..];
        let status = head[9..12].parse().unwrap();
        let body = if is_head || status == 100 {
            Vec::new()
        } else if head.contains("transfer-encoding: chunked") {
            read_chunks(bytes)
        } else if let Some(length) = head.lines().find_map(|line| line.strip_prefix("content-length: ")) {
            let (body, rest) = bytes.split_at(length.parse().unwrap());
            *bytes = rest;
            body.to_vec()
        } else {
            std::mem::take(bytes).to_vec()
        };
        Self { status, head, body }
    }
}

fn read_chunks(bytes: &mut &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = bytes.windows(2).position(|window| window == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).unwrap(), 16).unwrap();
        body.extend_from_slice(&bytes[line + 2..line + 2 + size]);
        *bytes = &bytes[line + 4 + size..];
        if size == 0 {
            return body;
        }
    }
}

/// Sends `pieces` with a pause between them. Returns the responses; `heads` names those to HEAD.
fn exchange(address: SocketAddr, pieces: &[Vec<u8>], heads: &[usize]) -> Vec<Response> {
    let mut stream = connect(address);
    for (index, piece) in pieces.iter().enumerate() {
        if 0 < index {
            sleep(Duration::from_millis(5));
        }
        // The server may close the connection before it has read all.
        let _ = stream.write_all(piece);
    }
    let mut bytes = Vec::new();
    // The connection is closed and not reset.
    stream.read_to_end(&mut bytes).unwrap();
    let (mut rest, mut responses) = (bytes.as_slice(), Vec::new());
    while !rest.is_empty() {
        responses.push(Response::read(&mut rest, heads.contains(&responses.len())));
    }
    responses
}

/// Asserts that every error has a JSON body and that every response has an id.
fn assert_complete(name: &str, responses: &[Response]) {
    for response in responses.iter().filter(|response| response.status != 100) {
        let Response { status, head, body } = response;
        assert!(head.contains("x-request-id: ") && head.contains("date: "), "{name}: {head}");
        if 400 <= *status && !body.is_empty() {
            assert!(head.contains("content-type: application/json; charset=utf-8"), "{name}: {head}");
            let json: Value = serde_json::from_slice(body).unwrap();
            assert!(json["message"].is_string(), "{name}: {json}");
            assert!(*status == 422 || json["detail"] == json["message"], "{name}: {json}");
        }
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn last(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

fn post(headers: &str, body: &str) -> String {
    format!(
        "POST /api/v1/projetos HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}\r\n\r\n{body}"
    )
}

/// Requests that the dispatcher rejects before the application sees them: the status of the only response.
fn rejected() -> Vec<(&'static str, Vec<u8>, u16)> {
    let with = |header: &str| format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n").into_bytes();
    let many = "X: a\r\n".repeat(120);
    vec![
        ("malformed header line", with("Bad Header"), 400),
        ("space in a header name", with("Na me: a"), 400),
        ("space before the colon", with("Name : a"), 400),
        ("folded header", with("Name: a\r\n b"), 400),
        ("no Host", b"GET /healthz HTTP/1.1\r\n\r\n".to_vec(), 400),
        ("two Hosts", with("Host: other"), 400),
        ("Content-Length is no number", with("Content-Length: a"), 400),
        ("two Content-Lengths", with("Content-Length: 1\r\nContent-Length: 2"), 400),
        ("Content-Length and Transfer-Encoding", with("Content-Length: 1\r\nTransfer-Encoding: chunked"), 400),
        ("unknown Transfer-Encoding", with("Transfer-Encoding: gzip"), 400),
        ("target with a control character", b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), 400),
        ("preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), 400),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), 400),
        ("no version", b"GET /healthz\r\n".to_vec(), 400),
        ("many headers", with(many.trim_end()), 431),
        ("large header", with(&format!("X: {}", "a".repeat(300_000))), 431),
        ("endless header", format!("GET /healthz HTTP/1.1\r\nX: {}", "a".repeat(300_000)).into_bytes(), 431),
        ("incomplete head", b"GET /healthz HTTP/1.1\r\nHost: local".to_vec(), 408),
    ]
}

#[actix_web::test]
async fn rejected_request_gets_one_json_response_with_an_id() {
    for (name, request, status) in rejected() {
        let responses = with_server(move |address| exchange(address, &[request], &[])).await;

        let statuses: Vec<_> = responses.iter().map(|response| response.status).collect();
        assert_eq!(statuses, [status], "{name}");
        assert!(!responses[0].body.is_empty() && responses[0].head.contains("connection: close"), "{name}");
        assert_complete(name, &responses);
    }
}

/// Requests on one connection, all in one packet: the statuses, and which of them are responses to HEAD.
fn pipelined() -> Vec<(&'static str, String, Vec<u16>, Vec<usize>)> {
    let head = "HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let streamed_head = "HEAD /api/v1/projetos HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQBAAAAAAIAAAAA";
    let websocket = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    vec![
        ("HEAD then GET", head.to_owned() + &last("/healthz"), vec![200, 200], vec![0]),
        ("GET then HEAD", get("/healthz") + head + &last("/nada"), vec![200, 200, 404], vec![1]),
        ("list then HEAD", get("/api/v1/projetos") + head + &last("/healthz"), vec![200, 200, 200], vec![1]),
        ("HEAD of a list", streamed_head.to_owned() + &last("/api/v1/projetos"), vec![200, 200], vec![0]),
        ("forty GETs", get("/healthz").repeat(39) + &last("/nada"), [vec![200; 39], vec![404]].concat(), vec![]),
        ("body then GET", post("Content-Length: 2", "{}") + &last("/healthz"), vec![422, 200], vec![]),
        (
            "chunks then GET",
            post("Transfer-Encoding: chunked", "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n") + &last("/healthz"),
            vec![422, 200],
            vec![],
        ),
        (
            "unread body then GET",
            format!("POST /nada HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello{}", last("/healthz")),
            vec![404],
            vec![],
        ),
        ("malformed chunk", post("Transfer-Encoding: chunked", "zz\r\n") + &last("/healthz"), vec![400], vec![]),
        ("GET then malformed", get("/healthz") + "Bad Line\r\n\r\n" + &last("/healthz"), vec![200, 400], vec![]),
        ("close then GET", last("/healthz") + &get("/nada"), vec![200], vec![]),
        ("empty lines", "\r\n\n".to_owned() + &get("/healthz") + "\r\n" + &last("/nada"), vec![200, 404], vec![]),
        ("bare line feeds", "GET /healthz HTTP/1.1\nHost: a\n\n".to_owned() + &last("/nada"), vec![200, 404], vec![]),
        (
            "h2c then GET",
            post(&format!("{upgrade}\r\nContent-Length: 2"), "{}") + &last("/healthz"),
            vec![422, 200],
            vec![],
        ),
        ("websocket then GET", websocket.to_owned() + &last("/healthz"), vec![200, 200], vec![]),
        (
            "Expect",
            post("Expect: 100-continue\r\nContent-Length: 2", "{}") + &last("/healthz"),
            vec![100, 422, 200],
            vec![],
        ),
        ("HTTP/1.0", "GET /healthz HTTP/1.0\r\n\r\n".to_owned() + &get("/healthz"), vec![200], vec![]),
    ]
}

#[actix_web::test]
async fn pipelined_requests_are_answered_in_order() {
    for (name, request, statuses, heads) in pipelined() {
        for size in [usize::MAX, 7] {
            let pieces: Vec<_> = request.as_bytes().chunks(size.min(request.len())).map(<[u8]>::to_vec).collect();
            // Many small pieces only where they take little time.
            if 200 < pieces.len() {
                continue;
            }
            let names = heads.clone();
            let responses = with_server(move |address| exchange(address, &pieces, &names)).await;

            let found: Vec<_> = responses.iter().map(|response| response.status).collect();
            assert_eq!(found, statuses, "{name}, pieces of {size}");
            for (index, response) in responses.iter().enumerate() {
                let has_no_body = heads.contains(&index) || response.status == 100;
                assert_eq!(response.body.is_empty(), has_no_body, "{name}: {index}");
                assert!(!response.head.contains("upgrade"), "{name}: {}", response.head);
            }
            assert_complete(name, &responses);
        }
    }
}

#[actix_web::test]
async fn head_that_stays_incomplete_after_a_response_gets_408() {
    let responses = with_server(|address| {
        let incomplete = "GET /healthz HTTP/1.1\r\nHost: loc".to_owned();
        exchange(address, &[(get("/healthz") + &incomplete).into_bytes()], &[])
    });

    let responses = responses.await;
    assert_eq!(responses.iter().map(|response| response.status).collect::<Vec<_>>(), [200, 408]);
    assert_complete("incomplete", &responses);
}

#[actix_web::test]
async fn connection_without_a_request_is_closed() {
    let responses = with_server(|address| {
        let mut stream = connect(address);
        stream.write_all(get("/healthz").as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        Response::read(&mut bytes.as_slice(), false)
    });

    assert_eq!(responses.await.status, 200);
}

/// A body of several megabytes that is read in many pieces, and the next request behind it.
#[actix_web::test]
async fn large_body_is_followed_by_the_next_request() {
    let responses = with_server(|address| {
        let body = " ".repeat(1_000_000) + "{}";
        let request = post(&format!("Content-Length: {}", body.len()), &body) + &last("/healthz");
        exchange(address, &[request.into_bytes()], &[])
    });

    let responses = responses.await;
    assert_eq!(responses.iter().map(|response| response.status).collect::<Vec<_>>(), [422, 200]);
}
