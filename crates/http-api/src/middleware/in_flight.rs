//! Admission of requests by the memory that they and their responses hold: see [`InFlight`].

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, ResponseError};

use super::authentication::user_id;
use crate::error::ApiError;
use crate::extract::input::MAX_BODY_BYTES;
use crate::limits::in_flight::{InFlight, Reservation, cost};

/// Memory of a body until it is stored, as a multiple of its size: the JSON value, the records, their copy for a retry, and
/// the response. Parameters and rows of statements are bounded by the number of connections.
const COPIES: usize = 4;
/// The minimum for a write, in bytes: the response to a small body can hold a description of maximum length.
const MIN_WRITE_BYTES: usize = 128 * 1024;

/// Reserves the memory of a request and leaves the reservation in its extensions, for the response body to hold.
///
/// A write waits for its reservation before the handler runs. The response to a read is produced first, bounded by the
/// size of a batch, and replaced by 503 if its memory cannot be reserved. A handler whose response can be larger reserves it
/// first with [`InFlight::reserve_response`]; the rows behind a stream hold that reservation until it is sent.
///
/// # Errors
/// Those of the inner service. A rejection is a response.
pub async fn admit(
    in_flight: Data<InFlight>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let user = user_id(&request);
    let writes = matches!(*request.method(), Method::POST | Method::PUT);
    let reserved = if writes {
        match in_flight.reserve(&user, cost_of_body(&request)).await {
            Ok(reservation) => Some(reservation),
            Err(rejection) => return Ok(request.into_response(ApiError::from(rejection).error_response())),
        }
    } else {
        None
    };
    let response = next.call(request).await?.map_into_boxed_body();
    // The handler may have reserved the memory of its response.
    let of_handler = response.request().extensions_mut().remove::<Reservation>();
    let has_rows = of_handler.is_some();
    let size = response.response().body().size();
    let bytes = match size {
        BodySize::None => 0,
        BodySize::Sized(size) => cost(Some(size)),
        BodySize::Stream => cost(None),
    };
    let reserved = match of_handler.or(reserved) {
        Some(reservation) if has_rows && size == BodySize::Stream => Ok(reservation),
        Some(mut reservation) if writes => {
            reservation.resize(bytes);
            Ok(reservation)
        }
        Some(mut reservation) => reservation.try_resize(bytes).map(|()| reservation),
        None if bytes == 0 => return Ok(response),
        None => in_flight.try_reserve(&user, bytes),
    };
    let reservation = match reserved {
        Ok(reservation) => reservation,
        Err(rejection) => return Ok(response.into_response(ApiError::from(rejection).error_response())),
    };
    response.request().extensions_mut().insert(reservation);
    Ok(response)
}

/// Returns the memory of the request and its body until the response is produced.
fn cost_of_body(request: &ServiceRequest) -> usize {
    let headers = request.headers();
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let length = match length {
        Some(length) => MAX_BODY_BYTES.min(length),
        None if headers.contains_key(TRANSFER_ENCODING) => MAX_BODY_BYTES,
        None => 0,
    };
    (length * COPIES).max(MIN_WRITE_BYTES)
}
