//! Smaller answers for those who ask: gzip or Brotli, by the client's choice. actix's own middleware encodes every
//! answer, however small, and refuses whoever accepts nothing.

use actix_http::encoding::Encoder;
use actix_web::Error;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    AcceptEncoding, CONTENT_ENCODING, CONTENT_TYPE, ContentEncoding, ETAG, Encoding, Header, HeaderValue, VARY,
};
use actix_web::middleware::Next;

/// Below this, in bytes, an answer fits into a packet or two anyway.
const WORTH: u64 = 1024;

/// Encodes what is large enough, if the client takes it encoded.
///
/// # Errors
/// Those of the inner service.
pub async fn compress(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut answer = next.call(request).await?.map_into_boxed_body();
    if !is_worth(&answer) {
        return Ok(answer);
    }
    let Some(encoding) = accepted(&answer) else {
        answer.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
        return Ok(answer);
    };
    weaken_tag(&mut answer);
    Ok(answer.map_body(|head, body| Encoder::response(encoding, head, body)).map_into_boxed_body())
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

/// The encoding that the client likes best, if it likes any.
fn accepted(answer: &ServiceResponse) -> Option<ContentEncoding> {
    let supported = [Encoding::identity(), Encoding::brotli(), Encoding::gzip()];
    match AcceptEncoding::parse(answer.request()).ok()?.negotiate(supported.iter())? {
        Encoding::Known(encoding) if encoding != ContentEncoding::Identity => Some(encoding),
        _ => None,
    }
}

/// A strong tag is of the bytes as they are sent (RFC 9110 §8.8.3.3), and these become others.
fn weaken_tag(answer: &mut ServiceResponse) {
    let weak = answer.headers().get(ETAG).map(|tag| [b"W/", tag.as_bytes()].concat());
    if let Some(weak) = weak.and_then(|tag| HeaderValue::from_bytes(&tag).ok()) {
        answer.headers_mut().insert(ETAG, weak);
    }
}
