//! Error responses as problem details (RFC 9457).

use actix_web::HttpResponse;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::messages_pt;
use crate::media_type::PROBLEM_JSON;

/// The fields of an error body that problem details repeat.
#[derive(Deserialize)]
struct ErrorBody {
    detail: Value,
    message: String,
    errors: Option<Value>,
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

/// Converts the JSON body of an error response to problem details; `instance` is the path of the request.
pub fn to_problem(response: HttpResponse, instance: &str) -> HttpResponse {
    let status = response.status();
    let (response, body) = response.into_parts();
    let bytes = match body.try_into_bytes() {
        Ok(bytes) => bytes,
        Err(body) => return response.set_body(body),
    };
    let Ok(error) = serde_json::from_slice::<ErrorBody>(&bytes) else { return response.set_body(BoxBody::new(bytes)) };
    let problem = Problem {
        r#type: "about:blank",
        title: messages_pt::status(status),
        status: status.as_u16(),
        detail: &error.message,
        instance,
        errors: if error.detail.is_array() { Some(&error.detail) } else { error.errors.as_ref() },
    };
    // Serialization of strings and JSON values cannot fail.
    let mut response = response.set_body(BoxBody::new(serde_json::to_vec(&problem).unwrap_or_default()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    response
}
