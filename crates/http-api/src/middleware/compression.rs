//! Bodies on their way to the connection: as gzip for clients that accept it, and in slices. actix's own middleware
//! encodes every response, however small, and rejects clients that accept nothing.

use actix_http::encoding::Encoder;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    AcceptEncoding, CONTENT_ENCODING, CONTENT_TYPE, ContentEncoding, ETAG, Encoding, Header, HeaderValue, VARY,
};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage};

use super::in_flight::user;
use crate::limits::in_flight::{ENCODER, InFlight, Reservation};
use crate::respond::body::{SLICE, SlicedBody};

/// Below this, in bytes, an answer fits into a packet or two anyway.
const WORTH: u64 = 1024;

/// Encodes what is large enough, if the client accepts gzip and there is memory for an encoder.
///
/// # Errors
/// Those of the inner service.
pub async fn compress(
    in_flight: Data<InFlight>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut answer = next.call(request).await?.map_into_boxed_body();
    let reserved = answer.request().extensions_mut().remove::<Reservation>();
    if !is_worth(&answer) {
        return Ok(sliced(answer, reserved, None));
    }
    let encoder = accepts_gzip(&answer).then(|| in_flight.try_reserve(&user(answer.request()), ENCODER).ok()).flatten();
    if encoder.is_none() {
        answer.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
        return Ok(sliced(answer, reserved, None));
    }
    weaken_tag(&mut answer);
    let answer = sliced(answer, reserved, encoder);
    Ok(answer.map_body(|head, body| Encoder::response(ContentEncoding::Gzip, head, body)).map_into_boxed_body())
}

/// The body in slices, with what is reserved for it; one that is small and holds nothing stays as it is.
fn sliced(answer: ServiceResponse, body: Option<Reservation>, encoder: Option<Reservation>) -> ServiceResponse {
    let reservations: Vec<_> = body.into_iter().chain(encoder).collect();
    let is_small = matches!(answer.response().body().size(), BodySize::Sized(size) if size <= SLICE as u64);
    if reservations.is_empty() && is_small {
        return answer;
    }
    answer.map_body(|_, body| SlicedBody::new(body, reservations)).map_into_boxed_body()
}

fn is_worth(answer: &ServiceResponse) -> bool {
    let is_large = match answer.response().body().size() {
        BodySize::None => false,
        BodySize::Sized(size) => WORTH <= size,
        BodySize::Stream => true,
    };
    let is_text = answer
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/") || kind.as_bytes().starts_with(b"application/"));
    is_large && is_text && !answer.headers().contains_key(CONTENT_ENCODING)
}

/// Whether the client prefers gzip to the body as it is.
fn accepts_gzip(answer: &ServiceResponse) -> bool {
    let supported = [Encoding::identity(), Encoding::gzip()];
    AcceptEncoding::parse(answer.request())
        .is_ok_and(|accepted| accepted.negotiate(supported.iter()) == Some(Encoding::gzip()))
}

/// A strong tag is of the bytes as they are sent (RFC 9110 §8.8.3.3), and these become others.
fn weaken_tag(answer: &mut ServiceResponse) {
    let weak = answer.headers().get(ETAG).map(|tag| [b"W/", tag.as_bytes()].concat());
    if let Some(weak) = weak.and_then(|tag| HeaderValue::from_bytes(&tag).ok()) {
        answer.headers_mut().insert(ETAG, weak);
    }
}
