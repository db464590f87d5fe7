//! What keeps pages from elsewhere away where authentication is off. The browser of a developer reaches the service on
//! loopback, so a page could read it under a name that it lets resolve to 127.0.0.1 (DNS rebinding), or change data by a
//! request without a preflight (CSRF).

use std::net::IpAddr;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Uri;
use actix_web::http::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use actix_web::http::uri::Authority;
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, ResponseError};

use crate::error::{ApiError, Refusal};
use crate::middleware::OriginPattern;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Rejects requests for another host than loopback, and requests that change something for a page that is neither on
/// loopback nor in `origins`. Clients that are no browsers send neither `Origin` nor `Sec-Fetch-Site`.
///
/// # Errors
/// Those of the inner service; a rejection is a response, since an error would slip past the outer middleware.
pub async fn loopback_only(
    origins: Data<[OriginPattern]>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let refusal = if !is_for_loopback(request.uri(), request.headers()) {
        Refusal::ForeignHost
    } else if !request.method().is_safe() && !is_from_allowed_page(request.headers(), &origins) {
        Refusal::ForeignOrigin
    } else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    Ok(request.into_response(ApiError::from(refusal).error_response()))
}

/// Whether the one `Host` header names loopback, and so does the target where it is a whole URL. `Forwarded` and
/// `X-Forwarded-Host` do not count: any client can send them.
fn is_for_loopback(uri: &Uri, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST);
    let host =
        hosts.next().filter(|_| hosts.next().is_none()).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    host.as_ref().is_some_and(is_loopback) && uri.authority().is_none_or(is_loopback)
}

/// Whether no page sent the request, or one on loopback, or one of `origins`. Browsers send `Origin` with every request
/// that can change something; `Sec-Fetch-Site` decides where it is missing.
fn is_from_allowed_page(headers: &HeaderMap, origins: &[OriginPattern]) -> bool {
    let is_allowed = |origin: &HeaderValue| {
        let Ok(origin) = origin.to_str() else { return false };
        is_loopback_origin(origin) || origins.iter().any(|pattern| pattern.matches(origin))
    };
    if headers.contains_key(ORIGIN) {
        return headers.get_all(ORIGIN).all(is_allowed);
    }
    headers.get_all(SEC_FETCH_SITE).all(|site| site == "same-origin" || site == "none")
}

fn is_loopback_origin(origin: &str) -> bool {
    origin.parse::<Uri>().is_ok_and(|origin| {
        matches!(origin.scheme_str(), Some("http" | "https")) && origin.authority().is_some_and(is_loopback)
    })
}

/// `localhost`, 127.0.0.0/8 or `[::1]`, with any port.
fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}
