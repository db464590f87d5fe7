//! Work items of the stand-in organisation, and the states of their types.

use serde_json::{Map, Value, json};
use wiremock::{Request, ResponseTemplate};

use super::{Organisation, lock, query};

const ITEM: &str = "/exemplo/_apis/wit/workitems/";
const BATCH: &str = "/exemplo/_apis/wit/workitemsbatch";
const QUERY: &str = "/exemplo/_apis/wit/wiql";
/// The largest batch.
const MAX_BATCH: usize = 200;

/// The id and the name of a project.
type Project<'a> = (&'a str, &'a str);

/// The work items of the organisation.
#[derive(Default)]
pub(super) struct WorkItems {
    pub(super) items: Vec<Value>,
    /// Type, name and category of each state.
    states: Vec<(String, &'static str, &'static str)>,
}

impl Organisation {
    /// Adds a work item of the type `tipo` in the state `estado` to the project with that name.
    pub fn add_work_item(&self, id: i64, project: &str, tipo: &str, estado: &str, titulo: &str) {
        lock(&self.state).work_items.items.push(json!({"id": id, "rev": 1, "fields": {
            "System.TeamProject": project, "System.WorkItemType": tipo, "System.State": estado, "System.Title": titulo,
        }}));
    }

    /// Modifies the fields of a work item, by their reference names.
    pub fn change_work_item(&self, id: i64, change: impl FnOnce(&mut Map<String, Value>)) {
        let mut state = lock(&self.state);
        let item = state.work_items.items.iter_mut().find(|item| item["id"] == id).unwrap();
        change(item["fields"].as_object_mut().unwrap());
        item["rev"] = json!(item["rev"].as_i64().unwrap() + 1);
    }

    /// Deletes a work item.
    pub fn delete_work_item(&self, id: i64) {
        lock(&self.state).work_items.items.retain(|item| item["id"] != id);
    }

    /// Gives the type `tipo` states with their categories, in every project. A type has those of Agile by default.
    pub fn set_states(&self, tipo: &str, states: &[(&'static str, &'static str)]) {
        let mut state = lock(&self.state);
        state.work_items.states.retain(|(of, ..)| of != tipo);
        state.work_items.states.extend(states.iter().map(|&(name, category)| (tipo.to_owned(), name, category)));
    }
}

impl WorkItems {
    /// Returns the response, or `None` if the request is not about work items. The caller sees the projects in
    /// `visible`.
    pub(super) fn respond(&self, request: &Request, visible: &[Project<'_>]) -> Option<ResponseTemplate> {
        let path = request.url.path();
        if let Some(id) = path.strip_prefix(ITEM) {
            let fields = query(request, "fields");
            let fields: Option<Vec<_>> = fields.as_deref().map(|fields| fields.split(',').collect());
            let item = id.parse().ok().and_then(|id| self.item(id, fields.as_deref(), visible));
            return Some(item.map_or_else(not_found, |item| ResponseTemplate::new(200).set_body_json(item)));
        }
        if path == BATCH {
            return Some(self.batch(request, visible));
        }
        if path == QUERY {
            return Some(self.query(request, None, visible));
        }
        let segments: Vec<_> = request.url.path_segments()?.collect();
        match *segments.as_slice() {
            ["exemplo", project, "_apis", "wit", "wiql"] => Some(self.query(request, Some(&decoded(project)), visible)),
            ["exemplo", project, "_apis", "wit", "workitemtypes", tipo, "states"] => {
                Some(self.states(&decoded(project), &decoded(tipo), visible))
            }
            _ => None,
        }
    }

    /// A work item with the requested fields that have a value.
    fn item(&self, id: i64, fields: Option<&[&str]>, visible: &[Project<'_>]) -> Option<Value> {
        let is_visible = |item: &&Value| {
            item["fields"]["System.TeamProject"].as_str().is_some_and(|name| named(name, visible).is_some())
        };
        let mut item = self.items.iter().find(|item| item["id"] == id).filter(is_visible)?.clone();
        if let Some(fields) = fields {
            item["fields"].as_object_mut()?.retain(|name, _| fields.contains(&name.as_str()));
        }
        Some(item)
    }

    fn batch(&self, request: &Request, visible: &[Project<'_>]) -> ResponseTemplate {
        if query(request, "api-version").is_none() {
            return error(400, "VssVersionNotSpecifiedException", "No api-version was supplied");
        }
        let Ok(body) = request.body_json::<Value>() else {
            return error(400, "JsonReaderException", "TF400898");
        };
        let ids: Vec<i64> = body["ids"].as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect();
        if MAX_BATCH < ids.len() {
            return error(400, "ArgumentException", "VS403474");
        }
        let fields: Option<Vec<_>> =
            body["fields"].as_array().map(|fields| fields.iter().filter_map(Value::as_str).collect());
        let items: Vec<_> = ids.iter().map(|&id| self.item(id, fields.as_deref(), visible)).collect();
        if body["errorPolicy"] != "omit" && items.iter().any(Option::is_none) {
            return not_found();
        }
        ResponseTemplate::new(200).set_body_json(json!({"count": items.len(), "value": items}))
    }

    /// The result of a query, the last changed work items first. It knows the conditions that the service sends.
    fn query(&self, request: &Request, project: Option<&str>, visible: &[Project<'_>]) -> ResponseTemplate {
        let project = match project.map(|project| named(project, visible)) {
            Some(None) => return error(404, "ProjectDoesNotExistWithNameException", "TF200016"),
            known => known.flatten(),
        };
        let body: Value = request.body_json().unwrap();
        let text = body["query"].as_str().unwrap();
        let conditions = text.strip_prefix("SELECT [System.Id] FROM WorkItems WHERE ");
        let conditions = conditions.and_then(|text| text.strip_suffix(" ORDER BY [System.ChangedDate] DESC")).unwrap();
        let conditions: Vec<_> = conditions.split(" AND ").collect();
        let top = query(request, "$top").map_or(20_000, |top| top.parse().unwrap());
        let found = self.items.iter().rev().filter(|item| {
            let of = item["fields"]["System.TeamProject"].as_str().unwrap();
            named(of, visible).is_some() && conditions.iter().all(|condition| holds(condition, item, project))
        });
        let found: Vec<_> = found.take(top).map(|item| json!({"id": item["id"], "url": ""})).collect();
        ResponseTemplate::new(200).set_body_json(json!({
            "queryType": "flat", "queryResultType": "workItem", "columns": [], "workItems": found,
        }))
    }

    fn states(&self, project: &str, tipo: &str, visible: &[Project<'_>]) -> ResponseTemplate {
        if named(project, visible).is_none() {
            return error(404, "ProjectDoesNotExistWithNameException", "TF200016");
        }
        let is_known = self.items.iter().any(|item| item["fields"]["System.WorkItemType"] == tipo);
        let own = self.states.iter().filter(|(of, ..)| of == tipo).map(|&(_, name, category)| (name, category));
        let mut states: Vec<_> = own.collect();
        if states.is_empty() && is_known {
            states = vec![
                ("New", "Proposed"),
                ("Active", "InProgress"),
                ("Resolved", "Resolved"),
                ("Closed", "Completed"),
                ("Removed", "Removed"),
            ];
        }
        if states.is_empty() {
            return error(404, "WorkItemTypeNotFoundException", "VS402323");
        }
        let states: Vec<_> = states
            .iter()
            .map(|(name, category)| json!({"name": name, "color": "b2b2b2", "category": category}))
            .collect();
        ResponseTemplate::new(200).set_body_json(json!({"count": states.len(), "value": states}))
    }
}

/// Returns the name of the project with that id or name, in any case.
fn named<'a>(project: &str, visible: &[Project<'a>]) -> Option<&'a str> {
    let is_it = |(id, name): &&Project<'_>| *id == project || name.to_lowercase() == project.to_lowercase();
    visible.iter().find(is_it).map(|(_, name)| *name)
}

/// Whether a condition of a query holds for a work item.
fn holds(condition: &str, item: &Value, project: Option<&str>) -> bool {
    let field = |name: &str| item["fields"][name].as_str().unwrap_or_default().to_lowercase();
    let literal = |text: &str| text.trim_matches('\'').replace("''", "'").to_lowercase();
    if let Some(id) = condition.strip_prefix("[System.Id] = ") {
        id.parse::<i64>().is_ok_and(|id| item["id"] == id)
    } else if let Some(word) = condition.strip_prefix("[System.Title] CONTAINS ") {
        field("System.Title").contains(&literal(word))
    } else if let Some(types) = condition.strip_prefix("[System.WorkItemType] IN (") {
        types.trim_end_matches(')').split(", ").any(|tipo| literal(tipo) == field("System.WorkItemType"))
    } else {
        assert_eq!(condition, "[System.TeamProject] = @project");
        project.is_some_and(|project| field("System.TeamProject") == project.to_lowercase())
    }
}

/// The response for a missing and for a hidden work item.
fn not_found() -> ResponseTemplate {
    error(404, "WorkItemUnauthorizedAccessException", "TF401232")
}

fn error(status: u16, type_key: &str, message: &str) -> ResponseTemplate {
    let body = json!({"$id": "1", "innerException": null, "message": message, "typeKey": type_key, "errorCode": 0});
    ResponseTemplate::new(status).set_body_json(body)
}

/// Returns a segment of a path without percent-encoding.
fn decoded(segment: &str) -> String {
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
}
