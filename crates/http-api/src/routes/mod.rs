//! The endpoints: one module per noun with its bodies, handlers and routes.

/// Defines `routes` for the service and `documented_routes` for its OpenAPI description. They are separate because apistos
/// keeps a copy of the description (8 MB) in each worker that uses its routes.
macro_rules! routes {
    ($(#[$doc:meta])* $config:ident => $routes:block) => {
        $(#[$doc])*
        pub fn routes($config: &mut actix_web::web::ServiceConfig) {
            #[allow(unused_imports, reason = "not every noun has every method")]
            use actix_web::web::{delete, get, post, put, resource};
            $routes
        }

        /// The same routes with their descriptions.
        pub fn documented_routes($config: &mut apistos::web::ServiceConfig) {
            #[allow(unused_imports, reason = "not every noun has every method")]
            use apistos::web::{delete, get, post, put, resource};
            $routes
        }
    };
}

/// Declares the modules under `/api/v1` and registers their routes.
macro_rules! nouns {
    ($($noun:ident),+ $(,)?) => {
        $(pub mod $noun;)+

        /// Registers the routes under `/api/v1`.
        pub fn api(config: &mut actix_web::web::ServiceConfig) {
            $($noun::routes(config);)+
        }

        /// Registers the same routes with their descriptions.
        pub fn documented_api(config: &mut apistos::web::ServiceConfig) {
            $($noun::documented_routes(config);)+
        }

        /// The tags of all operations, each with its description.
        pub const TAGS: &[(&str, &str)] = &[$($noun::TAG,)+ service::TAG];
    };
}

nouns!(atividades, projetos, work_items, teams, iterations, integracao, apontamentos, timesheet, relatorios, usuario,);

pub mod service;
