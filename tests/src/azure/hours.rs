//! Changes of work items in the stand-in organisation: JSON Patch with revisions, the history, and the fields of types.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;
use wiremock::http::Method;
use wiremock::{Request, ResponseTemplate};

use super::{Organisation, State, has_token, lock, query};

const ITEM: &str = "/exemplo/_apis/wit/workitems/";
const SCHEDULING: &str = "Microsoft.VSTS.Scheduling.";
/// The field of the hours done.
pub const COMPLETED_WORK: &str = "Microsoft.VSTS.Scheduling.CompletedWork";
/// The field of the hours left.
pub const REMAINING_WORK: &str = "Microsoft.VSTS.Scheduling.RemainingWork";
/// The field of the estimated hours.
pub const ORIGINAL_ESTIMATE: &str = "Microsoft.VSTS.Scheduling.OriginalEstimate";

/// What happens to one change instead of the usual.
pub enum PatchFault {
    /// Nothing is written, and this is the response.
    Refuse(ResponseTemplate),
    /// The change is written, and this is the response.
    LoseResponse(ResponseTemplate),
}

/// The history of work items, and what types have.
#[derive(Default)]
pub(super) struct Hours {
    /// By id of the work item.
    updates: HashMap<i64, Vec<Value>>,
    /// The fields of hours of a type; all of them by default.
    fields: HashMap<String, Vec<&'static str>>,
    faults: VecDeque<PatchFault>,
    patches: Vec<(i64, Value)>,
}

impl Organisation {
    /// Gives the type `tipo` these fields of hours, in every project.
    pub fn set_hour_fields(&self, tipo: &str, fields: &[&'static str]) {
        lock(&self.state).hours.fields.insert(tipo.to_owned(), fields.to_vec());
    }

    /// Makes the next changes fail, one for each fault.
    pub fn fail_patches(&self, faults: impl IntoIterator<Item = PatchFault>) {
        lock(&self.state).hours.faults.extend(faults);
    }

    /// Sets fields of a work item as a person does, whose id is `usuario`.
    pub fn edit_work_item(&self, id: i64, usuario: Uuid, fields: &[(&str, Value)]) {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        lock(&self.state).change(id, usuario, fields);
    }

    /// Returns the hours of a work item, by the name of the field; `null` for one without a value.
    #[must_use]
    pub fn hours(&self, id: i64, field: &str) -> Value {
        let state = lock(&self.state);
        let item = state.work_items.items.iter().find(|item| item["id"] == id).unwrap();
        item["fields"][field].clone()
    }

    /// Returns the tokens of those who sent changes, each once.
    pub async fn writers(&self) -> Vec<String> {
        let requests = self.server.received_requests().await.unwrap();
        let patches: Vec<_> = requests.iter().filter(|request| request.method == Method::PATCH).collect();
        let users = lock(&self.state).users.clone();
        let wrote = |token: &str| patches.iter().any(|request| has_token(request, token));
        users.into_iter().map(|(token, ..)| token).filter(|token| wrote(token)).collect()
    }

    /// Returns the changes that took effect: the id of the work item, and the new values of the fields.
    #[must_use]
    pub fn patches(&self) -> Vec<(i64, Value)> {
        lock(&self.state).hours.patches.clone()
    }
}

impl State {
    /// Returns the response, or `None` if the request is not about what this module knows.
    pub(super) fn respond_about_hours(&mut self, request: &Request) -> Option<ResponseTemplate> {
        let path = request.url.path();
        let (token, usuario, _) = self.users.iter().find(|(token, ..)| has_token(request, token))?;
        let usuario = *usuario;
        let is_visible = |project: &Value| {
            !self.hidden.iter().any(|(from, hidden)| from == token && project["id"] == hidden.as_str())
        };
        let visible: Vec<_> = self.projects.iter().filter(|p| is_visible(p)).map(|p| p["name"].clone()).collect();
        if let Some(id) = path.strip_prefix(ITEM) {
            let id: i64 = id.trim_end_matches("/updates").parse().ok()?;
            let is_update = path.ends_with("/updates");
            if !is_update && request.method != Method::PATCH {
                return None;
            }
            let item = self.work_items.items.iter().find(|item| item["id"] == id);
            if item.is_none_or(|item| !visible.contains(&item["fields"]["System.TeamProject"])) {
                return Some(error(404, "WorkItemUnauthorizedAccessException", "TF401232"));
            }
            return Some(if is_update { self.updates(id, request) } else { self.patch(id, usuario, request) });
        }
        match *request.url.path_segments()?.collect::<Vec<_>>().as_slice() {
            ["exemplo", _, "_apis", "wit", "workitemtypes", tipo, "fields"] => {
                let all = vec![COMPLETED_WORK, REMAINING_WORK, ORIGINAL_ESTIMATE];
                let own = self.hours.fields.get(tipo).cloned().unwrap_or(all);
                let fields = [vec!["System.Title", "System.State"], own].concat();
                let fields: Vec<_> = fields.iter().map(|name| json!({"referenceName": name})).collect();
                Some(ResponseTemplate::new(200).set_body_json(json!({"count": fields.len(), "value": fields})))
            }
            _ => None,
        }
    }

    fn updates(&self, id: i64, request: &Request) -> ResponseTemplate {
        let number = |name| query(request, name).map_or(0, |text| text.parse().unwrap());
        let all = self.hours.updates.get(&id).cloned().unwrap_or_default();
        let page: Vec<_> = all.into_iter().skip(number("$skip")).take(number("$top")).collect();
        ResponseTemplate::new(200).set_body_json(json!({"count": page.len(), "value": page}))
    }

    /// Changes a work item if it has the tested revision.
    fn patch(&mut self, id: i64, usuario: Uuid, request: &Request) -> ResponseTemplate {
        let kind = request.headers.get("content-type").map(|kind| kind.to_str().unwrap());
        if kind != Some("application/json-patch+json") {
            return error(415, "VssRequestContentTypeNotSupportedException", "no JSON Patch");
        }
        let fault = self.hours.faults.pop_front();
        if let Some(PatchFault::Refuse(response)) = fault {
            return response;
        }
        let item = self.work_items.items.iter().find(|item| item["id"] == id).unwrap();
        let (rev, tipo) = (item["rev"].clone(), item["fields"]["System.WorkItemType"].clone());
        let mut fields = Vec::new();
        for operation in request.body_json::<Vec<Value>>().unwrap() {
            match (operation["op"].as_str().unwrap(), operation["path"].as_str().unwrap()) {
                ("test", "/rev") if operation["value"] != rev => {
                    return error(412, "TestPatchOperationFailedException", "VS403351");
                }
                ("test", "/rev") => {}
                ("add", path) => {
                    let name = path.strip_prefix("/fields/").unwrap();
                    let known = self.hours.fields.get(tipo.as_str().unwrap());
                    if name.starts_with(SCHEDULING) && known.is_some_and(|known| !known.contains(&name)) {
                        return error(400, "WorkItemFieldNotFoundException", "TF51535");
                    }
                    fields.push((name.to_owned(), operation["value"].clone()));
                }
                other => panic!("{other:?}"),
            }
        }
        let values = fields.iter().cloned().collect();
        self.hours.patches.push((id, Value::Object(values)));
        let item = self.change(id, usuario, fields);
        match fault {
            Some(PatchFault::LoseResponse(response)) => response,
            _ => ResponseTemplate::new(200).set_body_json(item),
        }
    }

    /// Sets fields of a work item in a new revision, and returns it.
    fn change(&mut self, id: i64, usuario: Uuid, fields: Vec<(String, Value)>) -> Value {
        let item = self.work_items.items.iter_mut().find(|item| item["id"] == id).unwrap();
        let rev = item["rev"].as_i64().unwrap() + 1;
        let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap();
        let mut changed = json!({"System.ChangedDate": {"newValue": now}, "System.Rev": {"newValue": rev}});
        for (name, value) in fields {
            let old = std::mem::replace(&mut item["fields"][&name], value.clone());
            if old != value {
                changed[&name] = json!({"oldValue": old, "newValue": value});
            }
        }
        item["rev"] = json!(rev);
        let item = item.clone();
        let updates = self.hours.updates.entry(id).or_default();
        // The revisions before the first change of this kind are not known, but count.
        while i64::try_from(updates.len()).unwrap() < rev - 1 {
            let before = updates.len() + 1;
            updates.push(json!({"id": before, "rev": before, "workItemId": id, "fields": {}}));
        }
        updates.push(json!({
            "id": rev, "rev": rev, "workItemId": id, "revisedBy": {"id": usuario}, "fields": changed,
            "revisedDate": "9999-01-01T00:00:00Z",
        }));
        item
    }
}

/// The response to a change that breaks a rule of the process.
#[must_use]
pub fn rule_error() -> ResponseTemplate {
    error(400, "RuleValidationException", "TF401320")
}

/// The response of a service that is overloaded, with `Retry-After`.
#[must_use]
pub fn throttled(wait: Duration) -> ResponseTemplate {
    error(429, "RequestBlockedException", "TF400733").insert_header("retry-after", wait.as_secs().to_string())
}

fn error(status: u16, type_key: &str, message: &str) -> ResponseTemplate {
    let body = json!({"$id": "1", "innerException": null, "message": message, "typeKey": type_key, "errorCode": 0});
    ResponseTemplate::new(status).set_body_json(body)
}
