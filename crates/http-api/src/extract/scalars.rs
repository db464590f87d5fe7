//! Domain types as values of a request: parsing from JSON and from query strings.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use domain::{
    ApontamentoId, AtividadeId, Busca, Comentario, Cursor, Descricao, IterationId, Limit, Minutos, NomeAtividade,
    NomeProjeto, Organizacao, Patch, ProjetoId, ProjetoRef, ProjetoSelector, Semana, Skip, SortKey, TeamId, Violation,
    WorkItemId, WorkItemLimit, WorkItemText, WorkItemTypes, parse_date,
};
use time::Date;
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

/// Parses an integer of 64 bits from a number or a string.
fn number<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<i64, ValidationErrors> {
    match value {
        // A larger one is above every limit.
        Value::Integer(n) => Ok(i64::try_from(n).unwrap_or(i64::MAX)),
        Value::NegativeInteger(n) => Ok(n),
        value => integer(value, location),
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
    ApontamentoId: uuid => |id| Ok(Self(id));
    AtividadeId: uuid => |id| Ok(Self(id));
    ProjetoId: uuid => |id| Ok(Self(id));
    ProjetoRef: uuid => |id| Ok(Self(id));
    TeamId: uuid => |id| Ok(Self(id));
    IterationId: uuid => |id| Ok(Self(id));
    Semana: text => |text: String| parse_date(&text).and_then(Self::of);
    Skip: integer => Self::parse;
    Limit: integer => Self::parse;
    Busca: text => |text: String| Self::parse(&text);
    WorkItemId: number => Self::new;
    Minutos: text => |text: String| Self::parse(&text);
    Date: text => |text: String| parse_date(&text);
    Organizacao: text => Self::parse;
    ProjetoSelector: text => Self::parse;
    WorkItemLimit: integer => Self::parse;
    WorkItemText: text => |text: String| Self::parse(&text);
    WorkItemTypes: text => |text: String| Self::parse(&text);
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

/// A comment in a body. Null and an empty text are no comment.
#[derive(Default)]
pub struct ComentarioOuVazio(pub Option<Comentario>);

impl Deserr<ValidationErrors> for ComentarioOuVazio {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ValidationErrors> {
        if let Value::Null = value {
            return Ok(Self(None));
        }
        let parsed = Comentario::parse(text(value, location)?);
        parsed.map(Self).map_err(|violation| constraint_error(violation, location))
    }
}

/// A boolean as pydantic 2 parses it: `true`, `false`, 0, 1, or one of the texts of [`boolean_text`].
pub struct Booleano(pub bool);

impl Deserr<ValidationErrors> for Booleano {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ValidationErrors> {
        let parsed = match value {
            Value::Boolean(boolean) => Some(boolean),
            Value::Integer(0) => Some(false),
            Value::Integer(1) => Some(true),
            // Integers beyond 1 and negative ones are numbers, but no booleans.
            Value::Integer(_) | Value::NegativeInteger(_) => None,
            Value::Float(number) => [(0.0, false), (1.0, true)]
                .into_iter()
                .find_map(|(float, boolean)| (number.total_cmp(&float).is_eq()).then_some(boolean)),
            Value::String(text) => boolean_text(&text),
            _ => return Err(type_error("bool_type", messages_pt::BOOL_TYPE, location)),
        };
        parsed.map(Self).ok_or_else(|| type_error("bool_parsing", messages_pt::BOOL_PARSING, location))
    }
}

/// Parses a boolean from the texts of pydantic 2, in any case.
pub fn boolean_text(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" | "t" | "y" => Some(true),
        "false" | "0" | "no" | "off" | "f" | "n" => Some(false),
        _ => None,
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
