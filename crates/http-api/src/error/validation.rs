//! What is wrong with a request, in the shape that clients of FastAPI know: every fault at once, each with one of
//! pydantic 2's codes. The one place where a [`Violation`] becomes an entry of a 422 answer.

use std::ops::ControlFlow;

use deserr::{DeserializeError, ErrorKind, IntoValue, MergeWithError, ValueKind, ValuePointerRef};
use domain::Violation;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::error::messages_pt;

/// The faults of one request.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Faults(Vec<Fault>);

/// One fault: what, where, in words and with the limit that was broken.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fault {
    /// One of pydantic's codes; clients switch on them.
    #[serde(rename = "type")]
    pub code: &'static str,
    /// Where: `body`, `query` or `path`, then the way to the value.
    pub loc: Vec<Value>,
    /// What is wrong, in words.
    pub msg: String,
    /// The limit that was broken, by pydantic's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ctx: Option<Map<String, Value>>,
}

impl Fault {
    /// A fault that its code and place say all about.
    pub fn new(code: &'static str, loc: Vec<Value>, msg: impl Into<String>) -> Self {
        Self { code, loc, msg: msg.into(), ctx: None }
    }

    /// What a broken rule is called.
    pub fn of(violation: Violation, loc: Vec<Value>) -> Self {
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
            Violation::ContainsNul
            | Violation::ControlCharacter
            | Violation::NotACursor
            | Violation::UnknownProjeto => ("value_error", None),
        };
        let ctx = limit.map(|(name, value)| Map::from_iter([(name.to_owned(), value)]));
        Self { code, loc, msg: messages_pt::violation(violation), ctx }
    }
}

impl Faults {
    /// A single fault.
    pub fn one(fault: Fault) -> Self {
        Self(vec![fault])
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    /// Takes over `other`, whose places lie within `section` (`path`, `query` or `body`), in the order of `fields`:
    /// deserr reports them in the order of the keys that came, and the missing ones last.
    pub fn absorb(&mut self, section: &str, other: Self, fields: &[String]) {
        let found = other.in_order_of(fields, 0);
        self.0.extend(found.0.into_iter().map(|mut fault| {
            fault.loc.insert(0, section.into());
            fault
        }));
    }

    /// The same, in the order in which `fields` stand in the object that is `depth` steps down.
    pub fn in_order_of(mut self, fields: &[String], depth: usize) -> Self {
        self.0.sort_by_key(|fault| match fault.loc.get(depth) {
            Some(Value::String(name)) => fields.iter().position(|field| field == name).unwrap_or(usize::MAX),
            Some(Value::Number(index)) => index.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX),
            _ => 0,
        });
        self
    }

    /// Those of both.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// All faults in one sentence for a person.
    pub fn in_words(&self) -> String {
        let words = self.iter().map(|fault| match fault.loc.get(1..) {
            Some(way @ [Value::String(_), ..]) => format!("{}: {}", way_in_words(way), fault.msg),
            _ => fault.msg.clone(),
        });
        words.collect::<Vec<_>>().join("; ")
    }

    /// The fault `code` at `location`, on top of `self_`; the search goes on.
    fn and(self_: Option<Self>, fault: Fault) -> ControlFlow<Self, Self> {
        let mut faults = self_.unwrap_or_default();
        faults.0.push(fault);
        ControlFlow::Continue(faults)
    }
}

/// `items.3.nome`.
fn way_in_words(way: &[Value]) -> String {
    let steps = way.iter().map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned));
    steps.collect::<Vec<_>>().join(".")
}

impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        Self(faults.into_iter().collect())
    }
}

/// The way to a value, within its section.
fn loc(location: ValuePointerRef<'_>) -> Vec<Value> {
    let (mut way, last): (_, Value) = match location {
        ValuePointerRef::Origin => return Vec::new(),
        ValuePointerRef::Key { key, prev } => (loc(*prev), key.into()),
        ValuePointerRef::Index { index, prev } => (loc(*prev), index.into()),
    };
    way.push(last);
    way
}

/// A value at `location` has the wrong JSON type.
pub fn wrong_type(code: &'static str, msg: &str, location: ValuePointerRef<'_>) -> Faults {
    Faults::one(Fault::new(code, loc(location), msg))
}

/// A value at `location` broke a rule.
pub fn broken(violation: Violation, location: ValuePointerRef<'_>) -> Faults {
    Faults::one(Fault::of(violation, loc(location)))
}

impl MergeWithError<Self> for Faults {
    fn merge(self_: Option<Self>, other: Self, _at: ValuePointerRef<'_>) -> ControlFlow<Self, Self> {
        let mut faults = self_.unwrap_or_default();
        faults.0.extend(other.0);
        ControlFlow::Continue(faults) // `Break` would stop at the first fault.
    }
}

impl DeserializeError for Faults {
    fn error<V: IntoValue>(
        self_: Option<Self>,
        error: ErrorKind<'_, V>,
        location: ValuePointerRef<'_>,
    ) -> ControlFlow<Self, Self> {
        let mut at = loc(location);
        let fault = match error {
            ErrorKind::MissingField { field } => {
                at.push(field.into());
                Fault::new("missing", at, messages_pt::MISSING)
            }
            ErrorKind::IncorrectValueKind { accepted: [ValueKind::Boolean], .. } => {
                Fault::new("bool_type", at, messages_pt::BOOL_TYPE)
            }
            ErrorKind::IncorrectValueKind { accepted: [ValueKind::Map], .. } => {
                Fault::new("model_attributes_type", at, messages_pt::OBJECT_TYPE)
            }
            ErrorKind::IncorrectValueKind { .. } => Fault::new("string_type", at, messages_pt::STRING_TYPE),
            ErrorKind::UnknownKey { .. }
            | ErrorKind::UnknownValue { .. }
            | ErrorKind::BadSequenceLen { .. }
            | ErrorKind::Unexpected { .. } => {
                Fault::new("value_error", at, messages_pt::status(actix_web::http::StatusCode::UNPROCESSABLE_ENTITY))
            }
        };
        Self::and(self_, fault)
    }
}
