//! The JSON of work items, limited to the fields that are read.

use std::collections::HashMap;

use domain::{StateCategory, WorkItem, WorkItemId, WorkItemStates};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::client::json::{read, text};
use crate::error::AzureError;
use crate::service_url::ServiceUrl;

const PARENT: &str = "System.Parent";
const TITLE: &str = "System.Title";
pub(super) const TYPE: &str = "System.WorkItemType";
pub(super) const STATE: &str = "System.State";
pub(super) const PROJECT: &str = "System.TeamProject";
const ASSIGNED_TO: &str = "System.AssignedTo";
pub(super) const ORIGINAL_ESTIMATE: &str = "Microsoft.VSTS.Scheduling.OriginalEstimate";
pub(super) const REMAINING_WORK: &str = "Microsoft.VSTS.Scheduling.RemainingWork";
pub(super) const COMPLETED_WORK: &str = "Microsoft.VSTS.Scheduling.CompletedWork";

/// The fields to request. A request for a field that the server does not have fails.
const FIELDS: [&str; 8] = [TITLE, TYPE, STATE, PROJECT, ASSIGNED_TO, ORIGINAL_ESTIMATE, REMAINING_WORK, COMPLETED_WORK];

/// Azure DevOps limits titles, and names of types, states, projects and people, to fewer characters.
const MAX_TEXT: usize = 256;

/// Returns the fields to request; `has_parent_field` says whether the server has one for the parent.
pub(super) fn fields(has_parent_field: bool) -> Vec<&'static str> {
    FIELDS.into_iter().chain(has_parent_field.then_some(PARENT)).collect()
}

/// `_apis/wit/workitemsbatch`. With `errorPolicy=omit`, a work item that cannot be read is `null`.
#[derive(Deserialize)]
pub(crate) struct Batch {
    value: Vec<Option<Box<RawValue>>>,
}

/// A work item. Fields without a value are absent.
#[derive(Deserialize)]
pub(crate) struct Item {
    id: i64,
    #[serde(default)]
    fields: HashMap<String, Value>,
}

/// The result of a query, which has ids only.
#[derive(Deserialize)]
pub(crate) struct QueryResult {
    #[serde(rename = "workItems")]
    work_items: Vec<IfValid<Reference>>,
}

/// A part of a response, or nothing if it has another form. All of them as [`Value`] would take several times their bytes.
struct IfValid<T>(Option<T>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for IfValid<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(T::deserialize(Value::deserialize(deserializer)?).ok()))
    }
}

/// A reference to a work item.
#[derive(Deserialize)]
struct Reference {
    id: i64,
}

/// A link from one work item to another.
#[derive(Deserialize)]
struct Link {
    source: Option<IfValid<Reference>>,
    target: IfValid<Reference>,
}

/// The result of a query for links: the items at the top have no source.
#[derive(Deserialize)]
pub(crate) struct LinkResult {
    #[serde(rename = "workItemRelations")]
    relations: Vec<IfValid<Link>>,
}

/// The types of work items of a project.
#[derive(Deserialize)]
pub(crate) struct Types {
    value: Vec<WorkItemType>,
}

/// A type with its states. Its many other fields are not read.
#[derive(Deserialize)]
struct WorkItemType {
    #[serde(default)]
    name: Value,
    #[serde(default)]
    states: Vec<Value>,
}

/// The states of a type of work item.
#[derive(Deserialize)]
pub(crate) struct States {
    value: Vec<Value>,
}

impl Batch {
    /// Returns the work items that can be read.
    pub(crate) fn into_domain(self, org: &ServiceUrl) -> Vec<WorkItem> {
        let parse = |raw: Box<RawValue>| match read::<Item>(raw.get().as_bytes()).and_then(|item| item.into_domain(org))
        {
            Ok(item) => Some(item),
            Err(error) => {
                tracing::warn!(?error, "skipping an unreadable work item");
                None
            }
        };
        self.value.into_iter().flatten().filter_map(parse).collect()
    }
}

impl Item {
    /// Converts the work item to the domain's type. Texts lose their control characters and are truncated, an absent
    /// title is replaced by the id, and hours that are no number are absent.
    pub(crate) fn into_domain(self, org: &ServiceUrl) -> Result<WorkItem, AzureError> {
        let Self { id, fields } = self;
        let id = WorkItemId::new(id).map_err(|e| AzureError::invalid_response(format!("a work item's id: {e}")))?;
        let text = |name| fields.get(name).and_then(|value| text(value, MAX_TEXT));
        let hours = |name| fields.get(name).and_then(Value::as_f64);
        let page = org.at_segments(&["_workitems", "edit", &id.to_string()]);
        Ok(WorkItem {
            id,
            url: page.map(String::from).unwrap_or_default(),
            titulo: text(TITLE).unwrap_or_else(|| format!("#{id}")),
            tipo: text(TYPE).unwrap_or_default(),
            estado: text(STATE).unwrap_or_default(),
            projeto: text(PROJECT).unwrap_or_default(),
            parent: fields.get(PARENT).and_then(Value::as_i64).and_then(|parent| WorkItemId::new(parent).ok()),
            assigned_to: fields.get(ASSIGNED_TO).and_then(display_name),
            original_estimate: hours(ORIGINAL_ESTIMATE),
            remaining_work: hours(REMAINING_WORK),
            completed_work: hours(COMPLETED_WORK),
        })
    }
}

impl IfValid<Reference> {
    fn id(&self) -> Option<WorkItemId> {
        self.0.as_ref().and_then(|reference| WorkItemId::new(reference.id).ok())
    }
}

impl QueryResult {
    /// Returns the ids in their order.
    pub(crate) fn into_ids(self) -> Vec<WorkItemId> {
        self.work_items.iter().filter_map(IfValid::id).collect()
    }
}

impl LinkResult {
    /// Returns each linked item with the one above it.
    pub(crate) fn into_pairs(self) -> Vec<(Option<WorkItemId>, WorkItemId)> {
        let pair = |link: IfValid<Link>| {
            let Link { source, target } = link.0?;
            Some((source.and_then(|source| source.id()), target.id()?))
        };
        self.relations.into_iter().filter_map(pair).collect()
    }
}

impl Types {
    /// Returns the states of each type that has some.
    pub(crate) fn into_domain(self) -> Vec<(String, WorkItemStates)> {
        let states = |tipo: WorkItemType| {
            let states: Vec<_> = tipo.states.iter().filter_map(state).collect();
            let name = text(&tipo.name, MAX_TEXT)?;
            (!states.is_empty()).then(|| (name, states.into_iter().collect()))
        };
        self.value.into_iter().filter_map(states).collect()
    }
}

/// Returns the display name of a person: an object, or `Name <address>` on older servers.
fn display_name(person: &Value) -> Option<String> {
    match person {
        Value::String(name) => {
            let name = name.split_once('<').map_or(name.as_str(), |(name, _)| name);
            text(&Value::from(name), MAX_TEXT)
        }
        person => text(person.get("displayName")?, MAX_TEXT),
    }
}

impl States {
    /// Converts the states to the domain's type, without those of unknown categories.
    pub(crate) fn into_domain(self) -> Result<WorkItemStates, AzureError> {
        let states: Vec<_> = self.value.iter().filter_map(state).collect();
        if states.is_empty() {
            return Err(AzureError::invalid_response("a type of work item without states"));
        }
        Ok(states.into_iter().collect())
    }
}

fn state(state: &Value) -> Option<(String, StateCategory)> {
    let category = match state.get("category")?.as_str()? {
        "Proposed" => StateCategory::Proposed,
        "InProgress" => StateCategory::InProgress,
        "Resolved" => StateCategory::Resolved,
        "Completed" => StateCategory::Completed,
        "Removed" => StateCategory::Removed,
        _ => return None,
    };
    Some((text(state.get("name")?, MAX_TEXT)?, category))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn org() -> ServiceUrl {
        ServiceUrl::parse("https://dev.azure.com/contoso-lab").unwrap()
    }

    fn item(fields: &Value) -> WorkItem {
        read::<Item>(json!({"id": 41, "fields": fields}).to_string().as_bytes()).unwrap().into_domain(&org()).unwrap()
    }

    #[test]
    fn fields_of_wrong_types_are_absent() {
        let item = item(&json!({
            "System.Title": 7, "System.Parent": "40", "System.AssignedTo": [],
            "Microsoft.VSTS.Scheduling.CompletedWork": "2,5", "Microsoft.VSTS.Scheduling.RemainingWork": null,
        }));

        assert_eq!((item.titulo.as_str(), item.parent, item.assigned_to), ("#41", None, None));
        assert_eq!((item.completed_work, item.remaining_work), (None, None));
    }

    #[test]
    fn texts_are_trimmed_cut_and_lose_control_characters() {
        let item = item(&json!({
            "System.Title": format!(" a\u{1b}[31m\u{0}{} ", "é".repeat(300)),
            "System.AssignedTo": "Ana Lima <ana.lima@contoso.example>",
        }));

        assert!(item.titulo.starts_with("a[31mé") && item.titulo.chars().count() == MAX_TEXT, "{}", item.titulo);
        assert_eq!(item.assigned_to.as_deref(), Some("Ana Lima"));
    }

    #[test]
    fn unreadable_items_of_a_batch_are_left_out() {
        let batch = json!({"value": [null, {}, {"id": 0}, {"id": "41"}, 7, {"id": 42}, {"id": 5_000_000_000_i64}]});

        let items = read::<Batch>(batch.to_string().as_bytes()).unwrap().into_domain(&org());

        assert_eq!(items.iter().map(|item| item.id.get()).collect::<Vec<_>>(), [42]);
    }

    #[test]
    fn links_without_a_readable_target_are_left_out() {
        let links = json!({"workItemRelations": [
            {"rel": null, "source": null, "target": {"id": 40}}, {"source": {"id": 40}, "target": {"id": 41}},
            {"source": {"id": "x"}, "target": {"id": 42}}, {"source": {"id": 40}}, {"target": {"id": 0}}, null, 7,
        ]});

        let pairs = read::<LinkResult>(links.to_string().as_bytes()).unwrap().into_pairs();

        let numbers: Vec<_> =
            pairs.iter().map(|(source, target)| (source.map(WorkItemId::get), target.get())).collect();
        assert_eq!(numbers, [(None, 40), (Some(40), 41), (None, 42)]);
    }

    #[test]
    fn types_without_a_name_or_states_are_left_out() {
        let done = json!([{"name": "Feito", "category": "Completed"}]);
        let types = json!({"value": [
            {"name": "Tarefa", "states": done, "fields": [{"referenceName": "System.Id"}]}, {"name": "Bug"}, {"states": done},
        ]});

        let types = read::<Types>(types.to_string().as_bytes()).unwrap().into_domain();

        assert_eq!(types.len(), 1);
        assert_eq!((types[0].0.as_str(), types[0].1.category("feito")), ("Tarefa", Some(StateCategory::Completed)));
    }

    #[test]
    fn states_of_unknown_categories_are_left_out() {
        let states = json!({"value": [
            {"name": "Feito", "category": "Completed"}, {"name": "Novo"}, {"name": "?", "category": "Parked"}, null,
        ]});

        let states = read::<States>(states.to_string().as_bytes()).unwrap().into_domain().unwrap();

        assert_eq!(states.category("feito"), Some(StateCategory::Completed));
        assert_eq!((states.category("Novo"), states.category("?")), (None, None));
        assert!(read::<States>(br#"{"value": [7]}"#).unwrap().into_domain().is_err());
    }
}
