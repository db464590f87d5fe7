//! What requests of users may hold in memory: see [`InFlight`].

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, ResponseError};

use super::CurrentUser;
use crate::error::ApiError;
use crate::extract::MAX_BODY;
use crate::limits::in_flight::{InFlight, Reservation, cost};

/// How many times its size a body takes until it is stored: as JSON, as records of which one copy stays for a second
/// attempt, and as the response. Parameters and rows of statements are bounded by the number of connections.
const COPIES: usize = 4;
/// What a request that changes something may hold at least: the response to a small one can be a whole description.
const LEAST: usize = 128 * 1024;

/// Reserves what a request takes. One that changes something reserves before anything is done, and waits for it. The
/// response to any other one is made first, in the bounds of a batch, and dropped if there is no room for it. The
/// reservation is left in the request, for the body of the response to hold.
///
/// # Errors
/// Those of the inner service; a refusal is a response.
pub async fn admit(
    in_flight: Data<InFlight>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let user = user(&request);
    let writes = matches!(*request.method(), Method::POST | Method::PUT);
    let reserved = if writes {
        match in_flight.reserve(&user, cost_of_body(&request)).await {
            Ok(reservation) => Some(reservation),
            Err(refusal) => return Ok(request.into_response(ApiError::from(refusal).error_response())),
        }
    } else {
        None
    };
    let response = next.call(request).await?.map_into_boxed_body();
    let bytes = match response.response().body().size() {
        BodySize::None => 0,
        BodySize::Sized(size) => cost(Some(size)),
        BodySize::Stream => cost(None),
    };
    let is_reserved = response.request().extensions().get::<Reservation>().is_some();
    let reservation = match reserved {
        // The handler knows what its response holds.
        _ if is_reserved => return Ok(response),
        Some(mut reservation) => {
            reservation.resize(bytes);
            reservation
        }
        None if bytes == 0 => return Ok(response),
        None => match in_flight.try_reserve(&user, bytes) {
            Ok(reservation) => reservation,
            Err(refusal) => return Ok(response.into_response(ApiError::from(refusal).error_response())),
        },
    };
    response.request().extensions_mut().insert(reservation);
    Ok(response)
}

/// What the request with its body takes in memory until its response is made.
fn cost_of_body(request: &ServiceRequest) -> usize {
    let headers = request.headers();
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let length = match length {
        Some(length) => MAX_BODY.min(length),
        None if headers.contains_key(TRANSFER_ENCODING) => MAX_BODY,
        None => 0,
    };
    (length * COPIES).max(LEAST)
}

/// Whose request it is; strangers are one user together.
pub(super) fn user(request: &impl HttpMessage) -> String {
    request.extensions().get::<CurrentUser>().map(|user| user.usuario.id.clone()).unwrap_or_default()
}
