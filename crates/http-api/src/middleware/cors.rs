//! Which browser pages may call (the Fetch standard's CORS protocol).

use std::sync::Arc;

use actix_cors::Cors;
use actix_web::http::Method;
use actix_web::http::header::HeaderName;

use crate::middleware::OriginPattern;

/// How long a browser may remember a preflight, in seconds.
const MAX_AGE: usize = 3600;

/// Answers preflights and marks answers for the origins that match one of `patterns`.
pub fn cors(patterns: Arc<[OriginPattern]>) -> Cors {
    let exposed = ["etag", "link", "location", "retry-after", "x-request-id"].map(HeaderName::from_static);
    Cors::default()
        .allowed_origin_fn(move |origin, _| {
            origin.to_str().is_ok_and(|origin| patterns.iter().any(|pattern| pattern.matches(origin)))
        })
        .allowed_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE])
        .allow_any_header()
        .expose_headers(exposed)
        .supports_credentials()
        .max_age(MAX_AGE)
}
