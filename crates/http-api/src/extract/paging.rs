//! Query parameters that every list has: page, cursor, order and representation.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use domain::{Busca, Limit, Skip, Violation};
use schemars::r#gen::SchemaGenerator;
use schemars::schema::{InstanceType, Metadata, Schema, SchemaObject};

use super::accept::Formato;
use super::scalars::boolean_text;
use crate::error::messages_pt;
use crate::error::validation::{ValidationError, ValidationErrors, type_error};
use crate::openapi::schema;
use crate::respond::csv::CsvOptions;

const FORMATOS: [(&str, Formato); 2] = [("json", Formato::Json), ("csv", Formato::Csv)];
const SEPARADORES: [(&str, u8); 2] = [(",", b','), (";", b';')];

/// The page that a request selects, and its representation.
#[derive(Debug, Clone, Copy)]
pub struct Paging {
    /// The number of matches to skip.
    pub skip: Skip,
    /// The maximum number of items.
    pub limit: Limit,
    /// Whether the request has a limit.
    pub has_limit: bool,
    /// Whether the request selects no page: it has neither `skip`, `limit` nor `apos`.
    pub is_default_page: bool,
    /// Whether the request pages by cursor.
    pub by_cursor: bool,
    /// The requested format; without it `Accept` decides.
    pub formato: Option<Formato>,
    /// The form of a CSV document.
    pub csv: CsvOptions,
}

impl Paging {
    /// Returns the page of the parameters.
    pub fn new(
        (skip, limit, by_cursor): (Option<Skip>, Option<Limit>, bool),
        (formato, bom, separador): (Option<Formato>, Option<QueryBool>, Option<Separador>),
    ) -> Self {
        // Browser clients list without parameters and filter locally, so a short page would hide rows from them.
        let is_default_page = skip.is_none() && limit.is_none() && !by_cursor;
        let default = if is_default_page { Limit::LARGEST } else { Limit::default() };
        Self {
            skip: skip.unwrap_or_default(),
            limit: limit.unwrap_or(default),
            is_default_page,
            has_limit: limit.is_some(),
            by_cursor,
            formato,
            csv: CsvOptions {
                bom: bom.is_some_and(|bom| bom.0),
                separator: separador.map_or(b',', |separador| separador.0),
            },
        }
    }
}

/// Returns the error of a cursor that belongs to another order.
pub fn foreign_cursor() -> ValidationErrors {
    ValidationError::from_violation(Violation::NotACursor, vec!["query".into(), "apos".into()]).into()
}

/// A boolean in a query, in any of the notations of pydantic.
pub struct QueryBool(pub bool);

impl Deserr<ValidationErrors> for QueryBool {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ValidationErrors> {
        let Value::String(text) = value else {
            return Err(type_error("bool_type", messages_pt::BOOL_TYPE, location));
        };
        let parsed = boolean_text(text.trim()).map(Self);
        parsed.ok_or_else(|| type_error("bool_parsing", messages_pt::BOOL_PARSING, location))
    }
}

/// The cursor after which the page starts. An empty text selects the first page.
pub struct Apos<C>(pub Option<C>);

impl<C: Deserr<ValidationErrors>> Deserr<ValidationErrors> for Apos<C> {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ValidationErrors> {
        match value {
            Value::String(text) if text.is_empty() => Ok(Self(None)),
            value => C::deserialize_from_value(value, location).map(|cursor| Self(Some(cursor))),
        }
    }
}

impl Deserr<ValidationErrors> for Formato {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ValidationErrors> {
        one_of(value, location, &FORMATOS)
    }
}

/// The separator of CSV columns.
pub struct Separador(u8);

impl Deserr<ValidationErrors> for Separador {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ValidationErrors> {
        one_of(value, location, &SEPARADORES).map(Self)
    }
}

/// Parses a text that must be one of the names.
pub fn one_of<T: Copy, V: IntoValue>(
    value: Value<V>,
    location: ValuePointerRef<'_>,
    allowed: &[(&str, T)],
) -> Result<T, ValidationErrors> {
    let Value::String(text) = value else {
        return Err(type_error("string_type", messages_pt::STRING_TYPE, location));
    };
    let found = allowed.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    let names: Vec<_> = allowed.iter().map(|(name, _)| *name).collect();
    found.ok_or_else(|| type_error("value_error", &messages_pt::one_of(&names), location))
}

/// Returns the schema of a text that must be one of the names.
pub fn names<T>(default: Option<&str>, allowed: &[(&str, T)]) -> Schema {
    let metadata = Metadata { default: default.map(Into::into), ..Metadata::default() };
    Schema::Object(SchemaObject {
        metadata: Some(Box::new(metadata)),
        instance_type: Some(InstanceType::String.into()),
        enum_values: Some(allowed.iter().map(|(name, _)| (*name).into()).collect()),
        ..SchemaObject::default()
    })
}

/// Returns the schema of `formato`.
pub fn formatos(_: &mut SchemaGenerator) -> Schema {
    names(None, &FORMATOS)
}

/// Returns the schema of `separador`.
pub fn separadores(_: &mut SchemaGenerator) -> Schema {
    names(Some(","), &SEPARADORES)
}

/// Returns the schema of `q`.
pub fn busca(_: &mut SchemaGenerator) -> Schema {
    schema::text(Busca::MAX, r"^[^\x00]*$")
}

/// Returns the schema of `apos`. The longest cursor encodes a field, an id and a name of 255 characters in base64.
pub fn cursor(_: &mut SchemaGenerator) -> Schema {
    const MAX_BYTES: usize = 1 + 32 + 255 * 4;
    schema::text(MAX_BYTES.div_ceil(3) * 4, "^[A-Za-z0-9_-]*$")
}

/// Returns the default of `limit`.
pub const fn limit_default() -> i64 {
    Limit::DEFAULT
}
