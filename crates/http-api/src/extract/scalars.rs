//! How the values of a request are read: the domain's types from JSON and from text, with the fault that each can have.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use domain::{
    AtividadeId, Busca, Cursor, Descricao, Limit, NomeAtividade, NomeProjeto, Patch, ProjetoId, ProjetoRef, Skip,
    SortKey, Violation,
};
use uuid::Uuid;

use crate::error::messages_pt;
use crate::error::validation::{Faults, broken, wrong_type};

/// A text, or the fault of not being one.
fn text<V: IntoValue>(value: Value<V>, at: ValuePointerRef<'_>) -> Result<String, Faults> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(wrong_type("string_type", messages_pt::STRING_TYPE, at)),
    }
}

/// A UUID in any of its spellings, or the fault of not being one.
fn uuid<V: IntoValue>(value: Value<V>, at: ValuePointerRef<'_>) -> Result<Uuid, Faults> {
    match value {
        Value::String(text) => {
            Uuid::parse_str(&text).map_err(|_| wrong_type("uuid_parsing", messages_pt::UUID_PARSING, at))
        }
        _ => Err(wrong_type("uuid_type", messages_pt::UUID_TYPE, at)),
    }
}

/// An integer written as text, as in a query; what does not fit into 64 bits is none.
fn integer<V: IntoValue>(value: Value<V>, at: ValuePointerRef<'_>) -> Result<i64, Faults> {
    let fault = || wrong_type("int_parsing", messages_pt::INT_PARSING, at);
    match value {
        Value::String(text) => text.trim().parse().map_err(|_| fault()),
        _ => Err(fault()),
    }
}

/// Reads a type of the domain from a JSON value by one of the functions above and the type's own constructor.
macro_rules! read {
    ($($type:ty: $from:ident => $parse:expr;)+) => {$(
        impl Deserr<Faults> for $type {
            fn deserialize_from_value<V: IntoValue>(
                value: Value<V>,
                at: ValuePointerRef<'_>,
            ) -> Result<Self, Faults> {
                let parse: fn(_) -> Result<Self, Violation> = $parse;
                parse($from(value, at)?).map_err(|violation| broken(violation, at))
            }
        }
    )+};
}

read! {
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

/// A cursor as [`cursor_text`] writes it.
fn read_cursor<K: SortKey>(text: &str) -> Result<Cursor<K>, Violation> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| Violation::NotACursor)?;
    Cursor::parse(std::str::from_utf8(&bytes).map_err(|_| Violation::NotACursor)?)
}

impl<K: SortKey> Deserr<Faults> for Cursor<K> {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, at: ValuePointerRef<'_>) -> Result<Self, Faults> {
        read_cursor(&text(value, at)?).map_err(|violation| broken(violation, at))
    }
}

/// A cursor as clients get it: it goes into an address as it is, and looks like nothing to take apart.
pub fn cursor_text<K: SortKey>(cursor: &Cursor<K>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(cursor.to_text())
}

impl<T: Deserr<Faults>> Deserr<Faults> for Patch<T> {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, at: ValuePointerRef<'_>) -> Result<Self, Faults> {
        match value {
            Value::Null => Ok(Self::Null),
            value => T::deserialize_from_value(value, at).map(Self::Value),
        }
    }
}
