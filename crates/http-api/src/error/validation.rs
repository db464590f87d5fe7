//! Validation errors in the shape of FastAPI: all errors of a request at once, each with a code of pydantic 2. A
//! [`Violation`] of the domain becomes an entry of a 422 response only here.

use std::ops::ControlFlow;

use deserr::{DeserializeError, ErrorKind, IntoValue, MergeWithError, ValueKind, ValuePointerRef};
use domain::Violation;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::error::messages_pt;

/// The validation errors of a request.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ValidationErrors(Vec<ValidationError>);

/// One validation error.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValidationError {
    /// A code of pydantic 2. Clients switch on it.
    #[serde(rename = "type")]
    pub code: &'static str,
    /// The location: `body`, `query` or `path`, then the path to the value.
    pub loc: Vec<Value>,
    /// The message for the API user.
    pub msg: String,
    /// The violated limit, by the name that pydantic gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ctx: Option<Map<String, Value>>,
}

impl ValidationError {
    /// Returns an error without a limit.
    pub fn new(code: &'static str, loc: Vec<Value>, msg: impl Into<String>) -> Self {
        Self { code, loc, msg: msg.into(), ctx: None }
    }

    /// Returns the error of a violated rule.
    pub fn from_violation(violation: Violation, loc: Vec<Value>) -> Self {
        let (code, limit) = match violation {
            Violation::TooShort { min } => ("string_too_short", Some(("min_length", json!(min)))),
            Violation::TooLong { max } | Violation::TooManyBytes { max } => {
                ("string_too_long", Some(("max_length", json!(max))))
            }
            Violation::TooFew { min } => ("too_short", Some(("min_length", json!(min)))),
            Violation::TooMany { max } => ("too_long", Some(("max_length", json!(max)))),
            Violation::LessThan { min } => ("greater_than_equal", Some(("ge", json!(min)))),
            Violation::GreaterThan { max } => ("less_than_equal", Some(("le", json!(max)))),
            Violation::NotAGuid => ("uuid_parsing", None),
            Violation::NotADate => ("date_parsing", None),
            Violation::DateBefore { .. } => ("greater_than_equal", None),
            Violation::DateAfter { .. } => ("less_than_equal", None),
            Violation::ContainsNul
            | Violation::ControlCharacter
            | Violation::NotACursor
            | Violation::NotADuration
            | Violation::Repeated
            | Violation::NotTheFirst
            | Violation::UnknownProjeto => ("value_error", None),
        };
        let ctx = limit.map(|(name, value)| Map::from_iter([(name.to_owned(), value)]));
        Self { code, loc, msg: messages_pt::violation(violation), ctx }
    }
}

impl ValidationErrors {
    /// Returns whether there are no errors.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the errors in order.
    pub fn iter(&self) -> impl Iterator<Item = &ValidationError> {
        self.0.iter()
    }

    /// Appends `other` with `part` (`path`, `query` or `body`) in front of each location, in the order of `fields`. deserr
    /// reports errors in the order of the keys in the request, and missing fields last.
    pub fn extend_prefixed(&mut self, part: &str, other: Self, fields: &[String]) {
        let found = other.sort_by_fields(fields, 0);
        self.0.extend(found.0.into_iter().map(|mut error| {
            error.loc.insert(0, part.into());
            error
        }));
    }

    /// Sorts the errors by the order of `fields` in the object at `depth` of their locations.
    pub fn sort_by_fields(mut self, fields: &[String], depth: usize) -> Self {
        self.0.sort_by_key(|error| match error.loc.get(depth) {
            Some(Value::String(name)) => fields.iter().position(|field| field == name).unwrap_or(usize::MAX),
            Some(Value::Number(index)) => index.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX),
            _ => 0,
        });
        self
    }

    /// Appends `other`.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Returns all errors in one sentence.
    pub fn to_message(&self) -> String {
        let words = self.iter().map(|error| match error.loc.get(1..) {
            Some(path @ [Value::String(_), ..]) => format!("{}: {}", field_path(path), error.msg),
            _ => error.msg.clone(),
        });
        words.collect::<Vec<_>>().join("; ")
    }

    /// Appends `error` and continues validation.
    fn and(errors: Option<Self>, error: ValidationError) -> ControlFlow<Self, Self> {
        let mut errors = errors.unwrap_or_default();
        errors.0.push(error);
        ControlFlow::Continue(errors)
    }
}

/// Returns a path as text, such as `items.3.nome`.
fn field_path(path: &[Value]) -> String {
    let steps = path.iter().map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned));
    steps.collect::<Vec<_>>().join(".")
}

impl From<ValidationError> for ValidationErrors {
    fn from(error: ValidationError) -> Self {
        Self(vec![error])
    }
}

impl FromIterator<ValidationError> for ValidationErrors {
    fn from_iter<I: IntoIterator<Item = ValidationError>>(errors: I) -> Self {
        Self(errors.into_iter().collect())
    }
}

/// Returns the path to a value within its part of the request.
fn path_to(location: ValuePointerRef<'_>) -> Vec<Value> {
    let (mut path, last): (_, Value) = match location {
        ValuePointerRef::Origin => return Vec::new(),
        ValuePointerRef::Key { key, prev } => (path_to(*prev), key.into()),
        ValuePointerRef::Index { index, prev } => (path_to(*prev), index.into()),
    };
    path.push(last);
    path
}

/// Returns the error of a value with the wrong JSON type.
pub fn type_error(code: &'static str, msg: &str, location: ValuePointerRef<'_>) -> ValidationErrors {
    ValidationError::new(code, path_to(location), msg).into()
}

/// Returns the error of a value that violates a rule.
pub fn constraint_error(violation: Violation, location: ValuePointerRef<'_>) -> ValidationErrors {
    ValidationError::from_violation(violation, path_to(location)).into()
}

impl MergeWithError<Self> for ValidationErrors {
    fn merge(errors: Option<Self>, other: Self, _: ValuePointerRef<'_>) -> ControlFlow<Self, Self> {
        let mut errors = errors.unwrap_or_default();
        errors.0.extend(other.0);
        ControlFlow::Continue(errors) // `Break` would stop at the first error.
    }
}

impl DeserializeError for ValidationErrors {
    fn error<V: IntoValue>(
        errors: Option<Self>,
        error: ErrorKind<'_, V>,
        location: ValuePointerRef<'_>,
    ) -> ControlFlow<Self, Self> {
        let mut path = path_to(location);
        let error = match error {
            ErrorKind::MissingField { field } => {
                path.push(field.into());
                ValidationError::new("missing", path, messages_pt::MISSING)
            }
            ErrorKind::IncorrectValueKind { accepted: [ValueKind::Boolean], .. } => {
                ValidationError::new("bool_type", path, messages_pt::BOOL_TYPE)
            }
            ErrorKind::IncorrectValueKind { accepted: [ValueKind::Map], .. } => {
                ValidationError::new("model_attributes_type", path, messages_pt::OBJECT_TYPE)
            }
            ErrorKind::IncorrectValueKind { .. } => ValidationError::new("string_type", path, messages_pt::STRING_TYPE),
            ErrorKind::UnknownKey { .. }
            | ErrorKind::UnknownValue { .. }
            | ErrorKind::BadSequenceLen { .. }
            | ErrorKind::Unexpected { .. } => ValidationError::new(
                "value_error",
                path,
                messages_pt::status(actix_web::http::StatusCode::UNPROCESSABLE_ENTITY),
            ),
        };
        Self::and(errors, error)
    }
}
