//! Protection of a service without authentication from pages of other origins. A browser on this machine reaches the
//! service on loopback, so a page could read it by DNS rebinding, or change data by a request without a preflight (CSRF).

use std::net::IpAddr;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Uri;
use actix_web::http::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use actix_web::http::uri::Authority;
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, ResponseError};

use super::origin_pattern::OriginPattern;
use crate::error::{ApiError, RequestRejection};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Rejects requests whose host is not loopback, and writes from pages that are neither on loopback nor in `origins`.
/// Clients other than browsers send neither `Origin` nor `Sec-Fetch-Site`.
///
/// # Errors
/// Those of the inner service. A rejection is a response, because an error would bypass the outer middleware.
pub async fn loopback_only(
    origins: Data<[OriginPattern]>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let rejection = if !is_for_loopback(request.uri(), request.headers()) {
        RequestRejection::ForeignHost
    } else if !request.method().is_safe() && !is_from_allowed_page(request.headers(), &origins) {
        RequestRejection::ForeignOrigin
    } else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    Ok(request.into_response(ApiError::from(rejection).error_response()))
}

/// Returns whether the only `Host` header, and the target if it is an absolute URL, name loopback. `Forwarded` and
/// `X-Forwarded-Host` are ignored, because any client can send them.
fn is_for_loopback(uri: &Uri, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST);
    let host =
        hosts.next().filter(|_| hosts.next().is_none()).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    host.as_ref().is_some_and(is_loopback) && uri.authority().is_none_or(is_loopback)
}

/// Returns whether the request comes from no page, from one on loopback or from one of `origins`. Browsers send `Origin`
/// with each write; without it `Sec-Fetch-Site` decides.
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

/// Returns whether the host is `localhost`, in 127.0.0.0/8 or `[::1]`.
fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}
