//! The projetos in the body of a request: `ids_projetos`, or `id_projeto` from clients that know only one.

use apistos::ApiComponent;
use deserr::{Deserr, IntoValue, Map, Sequence, Value, ValuePointerRef};
use domain::{ProjetoRef, ProjetoRefs, Violation};
use schemars::JsonSchema;
use uuid::Uuid;

use crate::error::messages_pt;
use crate::error::validation::{ValidationErrors, constraint_error, type_error};
use crate::extract::scalars::IfPresent;

/// The two fields, for the OpenAPI document.
#[derive(JsonSchema, ApiComponent)]
#[expect(dead_code, reason = "it describes what `read` reads")]
pub struct ProjetosFields {
    /// Id do único projeto a que pertence. Basta este campo ou `ids_projetos`; com ambos, é o primeiro da lista.
    #[schemars(with = "Uuid", default)]
    id_projeto: IfPresent<ProjetoRef>,
    /// Ids dos projetos a que pertence, em ordem e sem repetição.
    #[schemars(with = "Vec<Uuid>", length(min = 1, max = 100), default)]
    ids_projetos: IfPresent<Vec<ProjetoRef>>,
}

/// Reads the projetos and the other fields of a body, so that all validation errors come in one response. `presence` is
/// [`required`] or [`optional`].
pub fn read<T: Deserr<ValidationErrors>, P, V: IntoValue>(
    body: Value<V>,
    location: ValuePointerRef<'_>,
    presence: fn(Option<ProjetoRefs>, ValuePointerRef<'_>) -> Result<P, ValidationErrors>,
) -> Result<(T, P), ValidationErrors> {
    let Value::Map(mut fields) = body else {
        return Err(type_error("model_attributes_type", messages_pt::OBJECT_TYPE, location));
    };
    let projetos = read_fields(&mut fields, location).and_then(|projetos| presence(projetos, location));
    both(T::deserialize_from_value(Value::Map::<V>(fields), location), projetos)
}

/// Rejects a body without projetos, for `id_projeto`, the field of all clients.
pub fn required(
    projetos: Option<ProjetoRefs>,
    location: ValuePointerRef<'_>,
) -> Result<ProjetoRefs, ValidationErrors> {
    projetos.ok_or_else(|| type_error("missing", messages_pt::MISSING, location.push_key("id_projeto")))
}

/// Accepts a body without projetos.
#[expect(clippy::unnecessary_wraps, reason = "it has the signature of `required`")]
pub fn optional(
    projetos: Option<ProjetoRefs>,
    _: ValuePointerRef<'_>,
) -> Result<Option<ProjetoRefs>, ValidationErrors> {
    Ok(projetos)
}

/// Takes the two fields out of `fields`.
fn read_fields<M: Map>(
    fields: &mut M,
    location: ValuePointerRef<'_>,
) -> Result<Option<ProjetoRefs>, ValidationErrors> {
    let single = fields.remove("id_projeto").map(|value| {
        ProjetoRef::deserialize_from_value(value.into_value(), location.push_key("id_projeto"))
    });
    let list = fields.remove("ids_projetos").map(|value| {
        read_list(value.into_value(), location.push_key("ids_projetos"))
    });
    match both(single.transpose(), list.transpose())? {
        (Some(single), Some(list)) if single != list.first() => {
            Err(constraint_error(Violation::NotTheFirst, location.push_key("id_projeto")))
        }
        (_, Some(list)) => Ok(Some(list)),
        (single, None) => Ok(single.map(Into::into)),
    }
}

fn read_list<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<ProjetoRefs, ValidationErrors> {
    let Value::Sequence(items) = value else {
        return Err(type_error("list_type", messages_pt::LIST_TYPE, location));
    };
    // The items of an oversized list are not validated.
    if ProjetoRefs::MAX < items.len() {
        return Err(constraint_error(Violation::TooMany { max: ProjetoRefs::MAX }, location));
    }
    let (mut ids, mut errors) = (Vec::with_capacity(items.len()), ValidationErrors::default());
    for (index, item) in items.into_iter().enumerate() {
        match ProjetoRef::deserialize_from_value(item.into_value(), location.push_index(index)) {
            Ok(id) => ids.push(id),
            Err(found) => errors.extend(found),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    ProjetoRefs::parse(ids).map_err(|violations| {
        let mut errors = ValidationErrors::default();
        for (index, violation) in violations {
            errors.extend(match index {
                Some(index) => constraint_error(violation, location.push_index(index)),
                None => constraint_error(violation, location),
            });
        }
        errors
    })
}

/// Returns both values, or the errors of both.
fn both<A, B>(
    first: Result<A, ValidationErrors>,
    second: Result<B, ValidationErrors>,
) -> Result<(A, B), ValidationErrors> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (Err(mut errors), Err(further)) => {
            errors.extend(further);
            Err(errors)
        }
        (Err(errors), Ok(_)) | (Ok(_), Err(errors)) => Err(errors),
    }
}
