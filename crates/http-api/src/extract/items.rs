//! The items of a bulk request.

use apistos::ApiComponent;
use deserr::{Deserr, IntoValue, Sequence, Value, ValuePointerRef};
use domain::Violation;

use crate::error::messages_pt;
use crate::error::validation::{ValidationErrors, constraint_error, type_error};
use crate::extract::part::fields;

/// The items of a bulk request: 1 to 1,000.
pub struct Itens<T>(pub Vec<T>);

const MIN: usize = 1;
const MAX: usize = 1000;

impl<T: Deserr<ValidationErrors> + ApiComponent + 'static> Deserr<ValidationErrors> for Itens<T> {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ValidationErrors> {
        let Value::Sequence(items) = value else {
            return Err(type_error("list_type", messages_pt::LIST_TYPE, location));
        };
        match items.len() {
            n if n < MIN => return Err(constraint_error(Violation::TooFew { min: MIN }, location)),
            // The items of an oversized list are not validated.
            n if MAX < n => return Err(constraint_error(Violation::TooMany { max: MAX }, location)),
            _ => {}
        }
        let fields = fields::<T>();
        let (mut read, mut errors) = (Vec::with_capacity(items.len()), ValidationErrors::default());
        for (index, item) in items.into_iter().enumerate() {
            match T::deserialize_from_value(item.into_value(), location.push_index(index)) {
                Ok(item) => read.push(item),
                // The fields are at depth 2 of the body, after `items` and the index.
                Err(found) => errors.extend(found.sort_by_fields(&fields, 2)),
            }
        }
        if errors.is_empty() { Ok(Self(read)) } else { Err(errors) }
    }
}
