//! Domain types as values of a request: parsing from JSON and from query strings.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use domain::{
    AtividadeId, Busca, Cursor, Descricao, Limit, NomeAtividade, NomeProjeto, Patch, ProjetoId, ProjetoRef, Skip,
    SortKey, Violation,
};
use uuid::Uuid;

use crate::error::messages_pt;
use crate::error::validation::{ValidationErrors, constraint_error, type_error};

/// Parses a string.
fn text<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<String, ValidationErrors> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(type_error("string_type", messages_pt::STRING_TYPE, location)),
    }
}

/// Parses a UUID in any of its notations.
fn uuid<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<Uuid, ValidationErrors> {
    match value {
        Value::String(text) => {
            Uuid::parse_str(&text).map_err(|_| type_error("uuid_parsing", messages_pt::UUID_PARSING, location))
        }
        _ => Err(type_error("uuid_type", messages_pt::UUID_TYPE, location)),
    }
}

/// Parses an integer of 64 bits from a string.
fn integer<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<i64, ValidationErrors> {
    let error = || type_error("int_parsing", messages_pt::INT_PARSING, location);
    match value {
        Value::String(text) => text.trim().parse().map_err(|_| error()),
        _ => Err(error()),
    }
}

/// Implements `Deserr` for domain types: one of the functions above, then the constructor of the type.
macro_rules! parse_with {
    ($($type:ty: $from:ident => $parse:expr;)+) => {$(
        impl Deserr<ValidationErrors> for $type {
            fn deserialize_from_value<V: IntoValue>(
                value: Value<V>,
                location: ValuePointerRef<'_>,
            ) -> Result<Self, ValidationErrors> {
                let parse: fn(_) -> Result<Self, Violation> = $parse;
                parse($from(value, location)?).map_err(|violation| constraint_error(violation, location))
            }
        }
    )+};
}

parse_with! {
    NomeAtividade: text => Self::parse;
    NomeProjeto: text => Self::parse;
    Descricao: text => Self::parse;
    AtividadeId: uuid => |id| Ok(Self(id));
    ProjetoId: uuid => |id| Ok(Self(id));
    ProjetoRef: uuid => |id| Ok(Self(id));
    Skip: integer => Self::parse;
    Limit: integer => Self::parse;
    Busca: text => |text: String| Self::parse(&text);
}

/// Parses the text that [`cursor_text`] returns.
fn parse_cursor<K: SortKey>(text: &str) -> Result<Cursor<K>, Violation> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| Violation::NotACursor)?;
    Cursor::parse(std::str::from_utf8(&bytes).map_err(|_| Violation::NotACursor)?)
}

impl<K: SortKey> Deserr<ValidationErrors> for Cursor<K> {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ValidationErrors> {
        parse_cursor(&text(value, location)?).map_err(|violation| constraint_error(violation, location))
    }
}

/// Returns a cursor as opaque text that needs no encoding in a URL.
pub fn cursor_text<K: SortKey>(cursor: &Cursor<K>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(cursor.to_text())
}

impl<T: Deserr<ValidationErrors>> Deserr<ValidationErrors> for Patch<T> {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ValidationErrors> {
        match value {
            Value::Null => Ok(Self::Null),
            value => T::deserialize_from_value(value, location).map(Self::Value),
        }
    }
}

/// A field of an update that keeps its value if absent and cannot be null.
pub struct IfPresent<T>(pub Option<T>);

// Not derived, because a derived implementation would require `T: Default`.
impl<T> Default for IfPresent<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Deserr<ValidationErrors>> Deserr<ValidationErrors> for IfPresent<T> {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ValidationErrors> {
        T::deserialize_from_value(value, location).map(|value| Self(Some(value)))
    }
}
