//! Connection handling that actix leaves to the application: HTTP/1.0 and upgrades that are not supported.

use actix_web::Error;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{ConnectionType, Version};
use actix_web::middleware::Next;

/// Sends streams to HTTP/1.0 clients without a transfer coding and ends them by close (RFC 9112 §6.1).
///
/// A request for an upgrade gets a normal response with `Connection: close`. actix closes the connection after such a
/// request, and clients must know it before they send the next one.
///
/// # Errors
/// Those of the inner service.
pub async fn adapt_connection(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let is_old = request.version() < Version::HTTP_11;
    let is_upgrade = request.head().upgrade();
    let mut response = next.call(request).await?.map_into_boxed_body();
    let is_stream = response.response().body().size() == BodySize::Stream;
    let head = response.response_mut().head_mut();
    if is_old && is_stream {
        head.no_chunking(true);
        head.set_connection_type(ConnectionType::Close);
    }
    if is_upgrade {
        head.set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}
