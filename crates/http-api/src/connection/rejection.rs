//! The response to a request that the dispatcher rejects before the application sees it.

use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use actix_web::http::header::HttpDate;
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use tracing::field;
use uuid::Uuid;

use crate::error;
use crate::error::messages_pt;
use crate::media_type::JSON_UTF8;
use crate::observability::metrics::{self, Metrics};

/// Returns the status of an error response of the dispatcher, if `bytes` start with one.
pub fn status_of(bytes: &[u8]) -> Option<StatusCode> {
    let status = StatusCode::from_bytes(bytes.strip_prefix(b"HTTP/1.1 ")?.get(..3)?).ok()?;
    (status.is_client_error() || status.is_server_error()).then_some(status)
}

/// Returns a response with the body and the headers of every error. Counts and logs it as the application does.
pub fn response(status: StatusCode, started: Instant, peer: Option<SocketAddr>, counters: &Metrics) -> Bytes {
    let request_id = Uuid::now_v7();
    let body = error::body(messages_pt::status(status));
    let duration = started.elapsed();
    // The method is unknown, and `_OTHER` is a valid token.
    let method = Method::from_bytes(b"_OTHER").unwrap_or_default();
    counters.request_completed(&method, None, status, duration);
    tracing::info!(
        target: "http_api::request",
        method = metrics::method_name(&method),
        route = "unknown",
        status = status.as_u16(),
        duration_ms = duration.as_secs_f64() * 1000.0,
        bytes = body.len(),
        client = peer.map(|peer| field::display(peer.ip().to_canonical())),
        request_id = %request_id,
        "request completed"
    );
    let head = format!(
        "HTTP/1.1 {} {}\r\ncontent-length: {}\r\nconnection: close\r\ncontent-type: {JSON_UTF8}\r\n\
         cache-control: no-store\r\nx-content-type-options: nosniff\r\nx-request-id: {request_id}\r\ndate: {}\r\n\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        body.len(),
        HttpDate::from(SystemTime::now()),
    );
    Bytes::from(head + &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_read_from_errors_only() {
        assert_eq!(
            status_of(b"HTTP/1.1 431 Request Header Fields Too Large\r\n"),
            Some(StatusCode::from_u16(431).unwrap())
        );
        for bytes in ["HTTP/1.1 100 Continue\r\n", "HTTP/1.1 200 OK", "HTTP/1.1 4", "{}", ""] {
            assert_eq!(status_of(bytes.as_bytes()), None, "{bytes}");
        }
    }
}
