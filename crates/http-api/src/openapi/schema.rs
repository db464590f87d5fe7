//! Schemas of values whose rules a Rust type does not express.

use domain::{Comentario, Descricao, WorkItemTypes};
use schemars::r#gen::SchemaGenerator;
use schemars::schema::{InstanceType, Schema, SchemaObject, StringValidation};
use serde_json::json;

use crate::routes::apontamentos::query::QueryUsuario;

/// The white space of Unicode, by code points: classes of regular expressions differ between languages.
const SPACE: &str = r"\x09-\x0d\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";

/// The rejected control characters: all of Unicode but tabs and line breaks.
const CONTROL: &str = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f";

/// Returns the schema of a name: 1 to 255 characters without surrounding white space, and no control characters. A maximum
/// length would count the white space.
pub fn nome(_: &mut SchemaGenerator) -> Schema {
    let (space, other) = (format!("[{SPACE}]*"), format!("[^{CONTROL}{SPACE}]"));
    string(StringValidation {
        min_length: Some(1),
        pattern: Some(format!("^{space}{other}(?:[^{CONTROL}]{{0,253}}{other})?{space}$")),
        ..StringValidation::default()
    })
}

/// Returns the schema of a description, which can be null.
pub fn descricao(_: &mut SchemaGenerator) -> Schema {
    let mut schema = text(Descricao::MAX_BYTES, &format!("^[^{CONTROL}]*$")).into_object();
    schema.extensions.insert("nullable".to_owned(), json!(true));
    schema.into()
}

/// Returns the schema of the text of a search for work items: 2 to 255 characters without surrounding white space, and no
/// control characters.
pub fn work_item_text(_: &mut SchemaGenerator) -> Schema {
    let (space, other) = (format!("[{SPACE}]*"), format!("[^{CONTROL}{SPACE}]"));
    string(StringValidation {
        min_length: Some(2),
        pattern: Some(format!("^{space}{other}[^{CONTROL}]{{0,253}}{other}{space}$")),
        ..StringValidation::default()
    })
}

/// Returns the schema of names of types, separated by commas.
pub fn work_item_types(_: &mut SchemaGenerator) -> Schema {
    let name = format!("[^,{CONTROL}]{{0,{}}}", WorkItemTypes::MAX_NAME);
    string(StringValidation {
        pattern: Some(format!("^(?:{name},){{0,{}}}{name}$", WorkItemTypes::MAX - 1)),
        ..StringValidation::default()
    })
}

/// Returns the schema of a date.
pub fn data(_: &mut SchemaGenerator) -> Schema {
    let mut schema = string(StringValidation::default()).into_object();
    schema.format = Some("date".to_owned());
    schema.into()
}

/// Returns the schema of a comment, which can be null.
pub fn comentario(_: &mut SchemaGenerator) -> Schema {
    let mut schema = text(Comentario::MAX, &format!("^[^{CONTROL}]*$")).into_object();
    schema.extensions.insert("nullable".to_owned(), json!(true));
    schema.into()
}

/// Returns the schema of a person in a query.
pub fn usuario(_: &mut SchemaGenerator) -> Schema {
    text(QueryUsuario::MAX, r"^[^\x00]*$")
}

/// Returns the schema of a text of at most `max` characters.
pub fn text(max: usize, pattern: &str) -> Schema {
    string(StringValidation {
        max_length: u32::try_from(max).ok(),
        pattern: Some(pattern.to_owned()),
        ..StringValidation::default()
    })
}

/// Returns the schema of a text that is one of `texts`.
pub fn one_of(texts: &[&str]) -> Schema {
    Schema::Object(SchemaObject {
        instance_type: Some(InstanceType::String.into()),
        enum_values: Some(texts.iter().map(|text| (*text).into()).collect()),
        ..SchemaObject::default()
    })
}

fn string(validation: StringValidation) -> Schema {
    Schema::Object(SchemaObject {
        instance_type: Some(InstanceType::String.into()),
        string: Some(Box::new(validation)),
        ..SchemaObject::default()
    })
}
