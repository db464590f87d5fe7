//! The application of one worker: routes and their middleware.

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Condition, NormalizePath, from_fn};
use actix_web::web::scope;
use actix_web::{Error, HttpResponse};

use crate::middleware::authentication::authenticate;
use crate::middleware::catch_panic::catch_panic;
use crate::middleware::compression::compress;
use crate::middleware::connection::adapt_connection;
use crate::middleware::cors::cors;
use crate::middleware::in_flight::admit;
use crate::middleware::loopback::loopback_only;
use crate::middleware::person_rate::limit_rate;
use crate::middleware::rejected_origins::log_rejected_origin;
use crate::middleware::request_context::request_context;
use crate::middleware::request_path::reject_malformed_path;
use crate::state::AppState;
use crate::{docs, openapi, routes};

/// Returns the application of one worker.
#[must_use]
pub fn app(
    state: &AppState,
) -> actix_web::App<
    impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()>
    + use<>,
> {
    actix_web::App::new()
        .configure(|config| state.configure(config))
        // The last middleware is the outermost one.
        .wrap(NormalizePath::trim())
        .wrap(from_fn(catch_panic))
        .wrap(from_fn(reject_malformed_path))
        .wrap(Condition::new(!state.cors_origins().is_empty(), cors(state.cors_origins())))
        .wrap(from_fn(log_rejected_origin))
        .wrap(Condition::new(state.is_loopback_only(), from_fn(loopback_only)))
        .wrap(from_fn(request_context))
        .wrap(from_fn(compress))
        .wrap(from_fn(adapt_connection))
        .configure(routes::service::routes)
        .service(
            scope("/api/v1")
                .wrap(from_fn(admit))
                .wrap(from_fn(limit_rate))
                .wrap(from_fn(authenticate))
                .configure(routes::api),
        )
        .configure(openapi::routes)
        .configure(docs::configure)
        .default_service(actix_web::web::to(HttpResponse::NotFound))
}
