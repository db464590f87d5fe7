//! Between CORS and the routes: whatever goes wrong from here on is answered through CORS, so that a page can read it, and
//! a handler that panics is told of like one that answers.

use std::cell::OnceCell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError};
use futures_util::FutureExt;

use crate::error::messages_pt;
use crate::error::{ApiError, Refusal};

/// What is known of a request on its way to the handler, and outlives it: a panic takes the request itself along.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The route, as a template.
    pub(super) route: OnceCell<String>,
    /// The id of the user.
    pub(super) user: OnceCell<String>,
}

/// A handler panicked. What it said is in the log: its hook wrote it.
#[derive(Debug, thiserror::Error)]
#[error("panicked")]
pub(super) struct Panicked(pub(super) Rc<Told>);

impl ResponseError for Panicked {
    fn status_code(&self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }

    fn error_response(&self) -> HttpResponse {
        ApiError::from(Refusal::Internal).error_response()
    }
}

/// Refuses a path that cannot be read, and makes an error of a panic.
///
/// # Errors
/// Those of the inner service, and [`Panicked`].
pub async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if !is_readable(request.path()) {
        let refusal = ApiError::from(Refusal::Unreadable(messages_pt::UNREADABLE_PATH));
        return Ok(request.into_response(refusal.error_response()));
    }
    let told = Rc::new(Told::default());
    request.extensions_mut().insert(told.clone());
    match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(answered) => answered.map(ServiceResponse::map_into_boxed_body),
        Err(_) => Err(Panicked(told).into()),
    }
}

/// Whether every percent sign of a path is followed by two hex digits and the whole is UTF-8.
fn is_readable(path: &str) -> bool {
    let mut escapes = path.split('%');
    escapes.next();
    escapes.all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
        && percent_encoding::percent_decode_str(path).decode_utf8().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_path_encodings_are_seen() {
        for good in ["/", "/a%20b", "/%C3%A7", "/ç"] {
            assert!(is_readable(good), "{good}");
        }
        for bad in ["/%", "/%2", "/%zz", "/%C3", "/a%/b"] {
            assert!(!is_readable(bad), "{bad}");
        }
    }
}
