//! The path of a request: rejection of malformed percent-encoding and normalization (RFC 3986 §6.2.2).

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Uri;
use actix_web::http::uri::PathAndQuery;
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{Error, ResponseError};

use crate::error::{ApiError, RequestRejection, messages_pt};
use crate::root_path::RootPath;

/// Responds 400 to a path with malformed percent-encoding or bytes that are not UTF-8.
///
/// # Errors
/// Those of the inner service.
pub async fn reject_malformed_path(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if is_well_formed(request.path()) {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    }
    let rejection = ApiError::from(RequestRejection::Unreadable(messages_pt::UNREADABLE_PATH));
    Ok(request.into_response(rejection.error_response()))
}

/// Returns whether two hex digits follow each percent sign and the decoded path is UTF-8.
fn is_well_formed(path: &str) -> bool {
    let mut escapes = path.split('%');
    escapes.next();
    escapes.all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
        && percent_encoding::percent_decode_str(path).decode_utf8().is_ok()
}

/// Removes the prefix `root` and decodes percent-encoded unreserved characters of the path. Both forms are equivalent (RFC 3986 §2.3) and the router
/// treats them alike, so every middleware and handler sees one form.
pub(super) fn normalize_path(request: &mut ServiceRequest, root: &RootPath) {
    let uri = request.uri();
    let decoded = decode_unreserved(uri.path());
    let path = decoded.as_deref().unwrap_or(uri.path());
    let stripped = root.strip(path);
    if decoded.is_none() && stripped.is_none() {
        return;
    }
    let path = stripped.unwrap_or(path);
    let target = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let Ok(target) = PathAndQuery::from_maybe_shared(Bytes::from(target)) else { return };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target);
    let Ok(uri) = Uri::from_parts(parts) else { return };
    request.match_info_mut().get_mut().update(&uri);
    request.head_mut().uri = uri;
}

/// Returns the path with its unreserved characters decoded, or `None` if it has no encoded ones.
fn decode_unreserved(path: &str) -> Option<String> {
    let mut parts = path.split('%');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..2).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let character = code.and_then(|code| u8::from_str_radix(code, 16).ok()).map(char::from);
        if let Some(character) = character.filter(|c| c.is_ascii_alphanumeric() || "-._~".contains(*c)) {
            decoded.push(character);
            decoded.push_str(part.get(2..).unwrap_or_default());
        } else {
            decoded.push('%');
            decoded.push_str(part);
        }
    }
    (decoded.len() != path.len()).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_with_malformed_encoding_is_not_well_formed() {
        for good in ["/", "/a%20b", "/%C3%A7", "/ç"] {
            assert!(is_well_formed(good), "{good}");
        }
        for bad in ["/%", "/%2", "/%zz", "/%C3", "/a%/b"] {
            assert!(!is_well_formed(bad), "{bad}");
        }
    }

    #[test]
    fn path_with_encoded_characters_decodes_only_unreserved_ones() {
        let cases = [
            ("/api/v1", None),
            ("/a%20b%2Fc%25%3F", None),
            ("/%zz%", None),
            ("/%61%62c", Some("/abc")),
            ("/%2D%2e%5F%7e%41%30", Some("/-._~A0")),
            ("/%2561", None),
            ("/%ç%61", Some("/%ça")),
        ];
        for (path, expected) in cases {
            assert_eq!(decode_unreserved(path).as_deref(), expected, "{path}");
        }
    }
}
