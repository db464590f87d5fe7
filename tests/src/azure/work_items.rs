//! Work items of the stand-in organisation, and the states of their types.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use wiremock::{Request, ResponseTemplate};

use super::wiql::{self, Context};
use super::{Organisation, lock, query};

const ITEM: &str = "/exemplo/_apis/wit/workitems/";
const BATCH: &str = "/exemplo/_apis/wit/workitemsbatch";
const QUERY: &str = "/exemplo/_apis/wit/wiql";
/// The largest batch.
const MAX_BATCH: usize = 200;

/// The largest number of rows of a query without `$top`.
const MAX_ROWS: usize = 20_000;
/// The largest length of the text of a query.
const MAX_QUERY: usize = 32_000;

/// The id and the name of a project.
pub(super) type Project<'a> = (&'a str, &'a str);

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

    /// Assigns a work item to the user with that e-mail address.
    pub fn assign(&self, id: i64, nome: &str, email: &str) {
        self.change_work_item(id, |fields| {
            fields.insert("System.AssignedTo".to_owned(), json!({"displayName": nome, "uniqueName": email}));
        });
    }

    /// Moves a work item below another one.
    pub fn set_parent(&self, id: i64, parent: i64) {
        self.change_work_item(id, |fields| drop(fields.insert("System.Parent".to_owned(), json!(parent))));
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
    /// Returns the response, or `None` if the request is not about work items. The caller has the e-mail address `me` and
    /// sees the projects in `visible`.
    pub(super) fn respond(
        &self,
        request: &Request,
        me: Option<&str>,
        visible: &[Project<'_>],
    ) -> Option<ResponseTemplate> {
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
            return Some(self.query(request, me, None, visible));
        }
        let segments: Vec<_> = request.url.path_segments()?.collect();
        match *segments.as_slice() {
            ["exemplo", project, "_apis", "wit", "wiql"] => {
                Some(self.query(request, me, Some(&decoded(project)), visible))
            }
            ["exemplo", project, "_apis", "wit", "workitemtypes"] => Some(self.types(&decoded(project), visible)),
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

    /// The result of a query. It knows the conditions that the service sends.
    fn query(
        &self,
        request: &Request,
        me: Option<&str>,
        project: Option<&str>,
        visible: &[Project<'_>],
    ) -> ResponseTemplate {
        let project = match project.map(|project| named(project, visible)) {
            Some(None) => return error(404, "ProjectDoesNotExistWithNameException", "TF200016"),
            known => known.flatten(),
        };
        let body: Value = request.body_json().unwrap();
        let text = body["query"].as_str().unwrap();
        if MAX_QUERY < text.chars().count() {
            return error(400, "WorkItemTrackingQueryTextTooLongException", "VS402335");
        }
        let top = query(request, "$top").map_or(MAX_ROWS + 1, |top| top.parse().unwrap());
        let is_visible =
            |item: &&Value| named(item["fields"]["System.TeamProject"].as_str().unwrap(), visible).is_some();
        let items: Vec<_> = self.items.iter().filter(is_visible).collect();
        let result = wiql::result(text, &items, top, &Context { project, me });
        if result["workItems"].as_array().is_some_and(|rows| MAX_ROWS < rows.len()) {
            return error(400, "WorkItemTrackingQueryResultSizeLimitExceededException", "VS402337");
        }
        ResponseTemplate::new(200).set_body_json(result)
    }

    fn states(&self, project: &str, tipo: &str, visible: &[Project<'_>]) -> ResponseTemplate {
        if named(project, visible).is_none() {
            return error(404, "ProjectDoesNotExistWithNameException", "TF200016");
        }
        let states = self.states_of(tipo);
        if states.is_empty() {
            return error(404, "WorkItemTypeNotFoundException", "VS402323");
        }
        ResponseTemplate::new(200).set_body_json(json!({"count": states.len(), "value": states}))
    }

    /// The types of the work items of a project, with their states.
    fn types(&self, project: &str, visible: &[Project<'_>]) -> ResponseTemplate {
        let Some(name) = named(project, visible) else {
            return error(404, "ProjectDoesNotExistWithNameException", "TF200016");
        };
        let of_project = self.items.iter().filter(|item| item["fields"]["System.TeamProject"] == name);
        let types: BTreeSet<_> =
            of_project.map(|item| item["fields"]["System.WorkItemType"].as_str().unwrap()).collect();
        let value: Vec<_> = types
            .into_iter()
            .map(|name| json!({"name": name, "states": self.states_of(name), "fields": [], "transitions": {}}))
            .collect();
        ResponseTemplate::new(200).set_body_json(json!({"count": value.len(), "value": value}))
    }

    /// The states of a type: its own or those of Agile, none if there is no work item of that type.
    fn states_of(&self, tipo: &str) -> Vec<Value> {
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
        let state = |(name, category)| json!({"name": name, "color": "b2b2b2", "category": category});
        states.into_iter().map(state).collect()
    }
}

/// Returns the name of the project with that id or name, in any case.
pub(super) fn named<'a>(project: &str, visible: &[Project<'a>]) -> Option<&'a str> {
    let is_it = |(id, name): &&Project<'_>| *id == project || name.to_lowercase() == project.to_lowercase();
    visible.iter().find(is_it).map(|(_, name)| *name)
}

/// The response for a missing and for a hidden work item.
fn not_found() -> ResponseTemplate {
    error(404, "WorkItemUnauthorizedAccessException", "TF401232")
}

pub(super) fn error(status: u16, type_key: &str, message: &str) -> ResponseTemplate {
    let body = json!({"$id": "1", "innerException": null, "message": message, "typeKey": type_key, "errorCode": 0});
    ResponseTemplate::new(status).set_body_json(body)
}

/// Returns a segment of a path without percent-encoding.
pub(super) fn decoded(segment: &str) -> String {
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
}
