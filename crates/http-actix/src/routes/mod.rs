//! The endpoints: for each noun its bodies, its handlers and its routes.

pub mod atividades;
pub mod examples;
pub mod integracao;
pub mod projetos;
pub mod service;

use apistos::web::ServiceConfig;
use deserr::{Deserr, IntoValue, Value, ValuePointerRef};

use crate::faults::Faults;

/// The routes under `/api/v1`.
pub fn api(config: &mut ServiceConfig) {
    atividades::routes(config);
    projetos::routes(config);
    integracao::routes(config);
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
