//! The documentation pages `/docs` (Swagger UI) and `/redoc` (ReDoc). The binary serves all their files.

mod assets;
#[cfg(test)]
mod tests;

use actix_web::HttpResponse;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ContentType, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::web::{ServiceConfig, get, resource};

/// Swagger UI sets style attributes, and its style sheet contains icons as data URLs.
const SWAGGER_UI_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// ReDoc also inserts style sheets, and its search runs in a worker from a blob URL.
const REDOC_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; worker-src blob:; form-action 'none'; base-uri 'none'; \
    frame-ancestors 'none'";

/// Registers the routes of the documentation.
pub fn configure(config: &mut ServiceConfig) {
    // URLs in the pages are relative, so that they work behind a proxy with a path prefix. Relative to `/docs/` and
    // `/redoc/` they have one segment more.
    let assets = ["/docs/assets/{release}/{file}", "/{page:docs|redoc}/docs/assets/{release}/{file}"];
    config
        .service(resource("/docs").route(get().to(swagger_ui)))
        .service(resource("/redoc").route(get().to(redoc)))
        .service(resource(assets).route(get().to(assets::serve)))
        .service(resource(["/favicon.ico", "/favicon.svg"]).route(get().to(assets::favicon)));
}

async fn swagger_ui() -> HttpResponse {
    page(include_str!("web/swagger-ui.html"), SWAGGER_UI_POLICY)
}

async fn redoc() -> HttpResponse {
    page(include_str!("web/redoc.html"), REDOC_POLICY)
}

fn page(html: &str, policy: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::html())
        .insert_header((CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)))
        .insert_header((REFERRER_POLICY, HeaderValue::from_static("no-referrer")))
        .insert_header((X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-cache")))
        .body(html.replace("{assets}", &format!("docs/assets/{}", assets::release())))
}
