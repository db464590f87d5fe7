//! Encoding of response bodies with gzip, and their transfer in slices. The middleware of actix encodes small responses as
//! well and rejects clients whose `Accept-Encoding` allows nothing.

use actix_http::encoding::Encoder;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    AcceptEncoding, CONTENT_ENCODING, CONTENT_TYPE, ContentEncoding, ETAG, Encoding, Header, HeaderValue, VARY,
};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage};

use super::authentication::user_id;
use crate::limits::in_flight::{ENCODER, InFlight, Reservation};
use crate::respond::body::{SLICE, SlicedBody};

/// The minimum size of an encoded body: a smaller one fits into a packet or two.
const MIN_SIZE_BYTES: u64 = 1024;

/// Encodes a large text if the client accepts gzip and the memory of an encoder can be reserved.
///
/// # Errors
/// Those of the inner service.
pub async fn compress(
    in_flight: Data<InFlight>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut response = next.call(request).await?.map_into_boxed_body();
    let reserved = response.request().extensions_mut().remove::<Reservation>();
    if !should_compress(&response) {
        return Ok(sliced(response, reserved, None));
    }
    let encoder =
        accepts_gzip(&response).then(|| in_flight.try_reserve(&user_id(response.request()), ENCODER).ok()).flatten();
    if encoder.is_none() {
        response.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
        return Ok(sliced(response, reserved, None));
    }
    weaken_etag(&mut response);
    let response = sliced(response, reserved, encoder);
    Ok(response.map_body(|head, body| Encoder::response(ContentEncoding::Gzip, head, body)).map_into_boxed_body())
}

/// Wraps the body in slices with its reservations. A small body without reservations is unchanged.
fn sliced(response: ServiceResponse, body: Option<Reservation>, encoder: Option<Reservation>) -> ServiceResponse {
    let reservations: Vec<_> = body.into_iter().chain(encoder).collect();
    let is_small = matches!(response.response().body().size(), BodySize::Sized(size) if size <= SLICE as u64);
    if reservations.is_empty() && is_small {
        return response;
    }
    response.map_body(|_, body| SlicedBody::new(body, reservations)).map_into_boxed_body()
}

/// Returns whether the body is a text of at least [`MIN_SIZE_BYTES`] that is not encoded yet.
fn should_compress(response: &ServiceResponse) -> bool {
    let is_large = match response.response().body().size() {
        BodySize::None => false,
        BodySize::Sized(size) => MIN_SIZE_BYTES <= size,
        BodySize::Stream => true,
    };
    let is_text = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/") || kind.as_bytes().starts_with(b"application/"));
    is_large && is_text && !response.headers().contains_key(CONTENT_ENCODING)
}

/// Returns whether the client prefers gzip to an unencoded body.
fn accepts_gzip(response: &ServiceResponse) -> bool {
    let supported = [Encoding::identity(), Encoding::gzip()];
    AcceptEncoding::parse(response.request())
        .is_ok_and(|accepted| accepted.negotiate(supported.iter()) == Some(Encoding::gzip()))
}

/// Weakens the `ETag`: a strong one identifies the transferred bytes, and encoding changes them (RFC 9110 §8.8.3.3).
fn weaken_etag(response: &mut ServiceResponse) {
    let weak = response.headers().get(ETAG).map(|etag| [b"W/", etag.as_bytes()].concat());
    if let Some(weak) = weak.and_then(|etag| HeaderValue::from_bytes(&etag).ok()) {
        response.headers_mut().insert(ETAG, weak);
    }
}
