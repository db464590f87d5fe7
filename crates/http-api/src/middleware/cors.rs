//! CORS: the origins whose browser pages may call the API.

use std::sync::Arc;

use actix_cors::Cors;
use actix_web::http::Method;
use actix_web::http::header::HeaderName;

use super::origin_pattern::OriginPattern;

/// The maximum time that a browser caches a preflight, in seconds.
const PREFLIGHT_MAX_AGE: usize = 3600;

/// Returns the CORS middleware for origins that match one of `patterns`.
pub fn cors(patterns: Arc<[OriginPattern]>) -> Cors {
    let exposed = ["etag", "link", "location", "ratelimit", "ratelimit-policy", "retry-after", "x-request-id"];
    let exposed = exposed.map(HeaderName::from_static);
    Cors::default()
        .allowed_origin_fn(move |origin, _| {
            origin.to_str().is_ok_and(|origin| patterns.iter().any(|pattern| pattern.matches(origin)))
        })
        .allowed_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE])
        .allow_any_header()
        .expose_headers(exposed)
        .supports_credentials()
        .max_age(PREFLIGHT_MAX_AGE)
}
