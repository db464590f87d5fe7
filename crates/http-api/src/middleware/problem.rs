//! Errors as problem details (RFC 9457), for those who ask.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::http::header::{Accept, CONTENT_TYPE, Header, HeaderValue, Quality};
use actix_web::{HttpMessage, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::messages_pt;

const PROBLEM: &str = "application/problem+json";

/// The body of an error, as far as it matters here.
#[derive(Deserialize)]
struct ErrorBody {
    detail: Value,
    message: String,
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<&'a Value>,
}

/// Whether the client asks for problem details.
pub fn is_wanted(request: &impl HttpMessage) -> bool {
    Accept::parse(request).is_ok_and(|accept| {
        accept
            .iter()
            .any(|range| range.item.essence_str().eq_ignore_ascii_case(PROBLEM) && Quality::ZERO < range.quality)
    })
}

/// The same error as problem details; `instance` is the path at which it happened.
pub fn of(answer: HttpResponse, instance: &str) -> HttpResponse {
    let status = answer.status();
    let (answer, body) = answer.into_parts();
    let bytes = match body.try_into_bytes() {
        Ok(bytes) => bytes,
        Err(body) => return answer.set_body(body),
    };
    let Ok(error) = serde_json::from_slice::<ErrorBody>(&bytes) else { return answer.set_body(BoxBody::new(bytes)) };
    let problem = Problem {
        r#type: "about:blank",
        title: messages_pt::status(status),
        status: status.as_u16(),
        detail: &error.message,
        instance,
        errors: error.detail.is_array().then_some(&error.detail),
    };
    // Texts and JSON always serialise.
    let mut answer = answer.set_body(BoxBody::new(serde_json::to_vec(&problem).unwrap_or_default()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
    answer
}
