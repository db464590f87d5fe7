//! The parts of a request: path, query and body.

use std::any::TypeId;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use apistos::ApiComponent;
use apistos::reference_or::ReferenceOr;
use deserr::{Deserr, Value, ValuePointerRef};

use crate::error::validation::ValidationErrors;
use crate::openapi::component::api_component;

/// A type that is parsed from the path, the query or the body.
pub trait RequestPart: Deserr<ValidationErrors> + ApiComponent + 'static {
    /// Whether the part is parsed at all.
    const IS_PRESENT: bool = true;
    /// Whether `Idempotency-Key` is honoured for requests with this body.
    const IDEMPOTENT: bool = false;
}

/// A part that is ignored.
pub struct NoPart;

impl RequestPart for NoPart {
    const IS_PRESENT: bool = false;
}

impl<E: deserr::DeserializeError> Deserr<E> for NoPart {
    fn deserialize_from_value<V: deserr::IntoValue>(_: Value<V>, _: ValuePointerRef<'_>) -> Result<Self, E> {
        Ok(Self)
    }
}

api_component!([] NoPart => ());

/// Returns the names of the fields of `T` in the order of their declaration, generated once per thread.
pub fn fields<T: ApiComponent + 'static>() -> Rc<[String]> {
    thread_local! {
        static FIELDS: RefCell<HashMap<TypeId, Rc<[String]>>> = RefCell::default();
    }
    FIELDS.with_borrow_mut(|fields| Rc::clone(fields.entry(TypeId::of::<T>()).or_insert_with(declared_fields::<T>)))
}

fn declared_fields<T: ApiComponent>() -> Rc<[String]> {
    match T::schema() {
        Some((_, ReferenceOr::Object(schema))) => {
            schema.into_object().object.map(|object| object.properties.into_keys().collect()).unwrap_or_default()
        }
        _ => Rc::default(),
    }
}
