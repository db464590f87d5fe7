//! The endpoints: for each noun its bodies, its handlers and its routes.

/// One list of routes for two readers: the service itself, and its description, of which apistos keeps a copy wherever it
/// is built (8 MB for each worker).
macro_rules! routes {
    ($(#[$doc:meta])* $config:ident => $routes:block) => {
        $(#[$doc])*
        pub fn routes($config: &mut actix_web::web::ServiceConfig) {
            #[allow(unused_imports, reason = "not every noun has every method")]
            use actix_web::web::{delete, get, post, put, resource};
            $routes
        }

        /// The same routes with their descriptions.
        pub fn described($config: &mut apistos::web::ServiceConfig) {
            #[allow(unused_imports, reason = "not every noun has every method")]
            use apistos::web::{delete, get, post, put, resource};
            $routes
        }
    };
}

pub mod atividades;
pub mod examples;
pub mod integracao;
pub mod projetos;
pub mod service;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};

use crate::error::validation::Faults;

/// The routes under `/api/v1`.
pub fn api(config: &mut actix_web::web::ServiceConfig) {
    atividades::routes(config);
    projetos::routes(config);
    integracao::routes(config);
}

/// The same routes with their descriptions.
pub fn described_api(config: &mut apistos::web::ServiceConfig) {
    atividades::described(config);
    projetos::described(config);
    integracao::described(config);
}

/// A field of an update that may be left out but has a value when it is there: null is a fault.
pub struct IfPresent<T>(pub Option<T>);

/// Absent. Derived, this would ask for a `T` that has a default.
impl<T> Default for IfPresent<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Deserr<Faults>> Deserr<Faults> for IfPresent<T> {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, at: ValuePointerRef<'_>) -> Result<Self, Faults> {
        T::deserialize_from_value(value, at).map(|value| Self(Some(value)))
    }
}
