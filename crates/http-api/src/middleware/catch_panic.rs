//! Turns a panic of a handler into a 500 response.
//!
//! Runs inside the CORS middleware, so that the response has CORS headers and a browser page can read it.

use std::cell::OnceCell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError};
use futures_util::FutureExt;

use crate::error::{ApiError, RequestRejection};

tokio::task_local! {
    static CONTEXT: Rc<RouteContext>;
}

/// What is known of a request, kept outside it: a panic in a handler drops the request.
#[derive(Debug, Default)]
pub(super) struct RouteContext {
    /// The route, as a template.
    pub(super) route: OnceCell<String>,
    /// The id of the user.
    pub(super) user: OnceCell<String>,
    /// Where the handler panicked.
    pub(super) panic: OnceCell<String>,
}

/// A panic in a handler. The panic hook has logged its message.
#[derive(Debug, thiserror::Error)]
#[error("the handler panicked")]
pub(super) struct HandlerPanic(pub(super) Rc<RouteContext>);

impl ResponseError for HandlerPanic {
    fn status_code(&self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }

    fn error_response(&self) -> HttpResponse {
        ApiError::from(RequestRejection::Internal).error_response()
    }
}

/// Returns whether a panic at `location` in the current task becomes a response 500, which then names the place. For a panic hook.
#[must_use]
pub fn is_panic_of_handler(location: &str) -> bool {
    // The first panic counts: a later one happens while the handler is dropped.
    CONTEXT.try_with(|context| _ = context.panic.set(location.to_owned())).is_ok()
}

/// Adds a [`RouteContext`] to the request and turns a panic of the inner service into an error.
///
/// # Errors
/// Those of the inner service, and [`HandlerPanic`].
pub async fn catch_panic(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let context = Rc::new(RouteContext::default());
    request.extensions_mut().insert(context.clone());
    match CONTEXT.scope(context.clone(), AssertUnwindSafe(next.call(request)).catch_unwind()).await {
        Ok(response) => response.map(ServiceResponse::map_into_boxed_body),
        Err(_) => Err(HandlerPanic(context).into()),
    }
}
