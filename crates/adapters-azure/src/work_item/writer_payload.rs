//! The JSON of the hours of work items and of their history.

use std::collections::HashMap;

use domain::{HourFields, HoursChange, WorkItemHours, WorkItemId};
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::payload::{COMPLETED_WORK, ORIGINAL_ESTIMATE, PROJECT, REMAINING_WORK, STATE, TYPE};
use crate::error::AzureError;

const CHANGED_DATE: &str = "System.ChangedDate";

/// Returns the fields to request.
pub(super) const fn fields() -> [&'static str; 6] {
    [TYPE, STATE, PROJECT, ORIGINAL_ESTIMATE, REMAINING_WORK, COMPLETED_WORK]
}

/// `_apis/wit/workitemsbatch`. With `errorPolicy=omit`, a work item that cannot be read is `null`.
#[derive(Deserialize)]
pub(crate) struct HoursBatch {
    value: Vec<Option<Item>>,
}

#[derive(Deserialize)]
struct Item {
    id: i64,
    rev: i64,
    #[serde(default)]
    fields: HashMap<String, Value>,
}

/// The response to a change.
#[derive(Deserialize)]
pub(crate) struct Revision {
    pub(super) rev: i64,
}

/// `_apis/wit/workitemtypes/{type}/fields`.
#[derive(Deserialize)]
pub(crate) struct TypeFields {
    value: Vec<TypeField>,
}

#[derive(Deserialize)]
struct TypeField {
    #[serde(rename = "referenceName")]
    reference_name: String,
}

/// `_apis/wit/workitems/{id}/updates`: what each change did.
#[derive(Deserialize)]
pub(crate) struct Updates {
    value: Vec<Update>,
}

#[derive(Deserialize)]
struct Update {
    rev: i64,
    #[serde(rename = "revisedBy")]
    revised_by: Option<Person>,
    #[serde(default)]
    fields: HashMap<String, FieldUpdate>,
}

#[derive(Deserialize)]
struct Person {
    #[serde(default)]
    id: String,
}

/// `newValue` is absent for a field that was cleared.
#[derive(Deserialize)]
struct FieldUpdate {
    #[serde(rename = "newValue")]
    new_value: Option<Value>,
}

impl HoursBatch {
    /// Converts the work items to the domain's type. Fields without a value are absent.
    pub(crate) fn into_domain(self) -> Result<Vec<WorkItemHours>, AzureError> {
        self.value.into_iter().flatten().map(Item::into_domain).collect()
    }
}

impl Item {
    fn into_domain(self) -> Result<WorkItemHours, AzureError> {
        let Self { id, rev, fields } = self;
        let id = WorkItemId::new(id).map_err(|e| AzureError::invalid_response(format!("a work item's id: {e}")))?;
        let text = |name| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let hours = |name| fields.get(name).and_then(Value::as_f64);
        Ok(WorkItemHours {
            id,
            rev,
            tipo: text(TYPE),
            estado: text(STATE),
            projeto: text(PROJECT),
            original_estimate: hours(ORIGINAL_ESTIMATE),
            remaining_work: hours(REMAINING_WORK),
            completed_work: hours(COMPLETED_WORK),
        })
    }
}

impl TypeFields {
    pub(crate) fn into_domain(self) -> HourFields {
        let has = |name| self.value.iter().any(|field| field.reference_name == name);
        HourFields { completed_work: has(COMPLETED_WORK), remaining_work: has(REMAINING_WORK) }
    }
}

impl Updates {
    /// Returns the number of updates.
    pub(crate) const fn len(&self) -> usize {
        self.value.len()
    }

    /// Returns those that changed the hours.
    pub(crate) fn into_domain(self) -> impl Iterator<Item = HoursChange> {
        self.value.into_iter().filter_map(Update::into_domain)
    }
}

impl Update {
    fn into_domain(self) -> Option<HoursChange> {
        let new = |name: &str| self.fields.get(name).map(|field| field.new_value.as_ref());
        let completed_work = new(COMPLETED_WORK)?.and_then(Value::as_f64).unwrap_or_default();
        let em = new(CHANGED_DATE).flatten().and_then(Value::as_str);
        let em = em.and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
        Some(HoursChange {
            rev: self.rev,
            autor: self.revised_by.map(|person| person.id.to_lowercase()).unwrap_or_default(),
            // A change without a time is nobody's time entry.
            em: em.unwrap_or(OffsetDateTime::UNIX_EPOCH),
            completed_work,
        })
    }
}
