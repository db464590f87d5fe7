//! A stand-in for an organisation of Azure DevOps: identities, members, projects and work items, in the format of the real
//! API.

mod app_token;
mod hours;
mod planning;
mod projects;
mod wiql;
mod work_items;

pub use app_token::{APP_KEY, AUDIENCE, app_token};
pub use hours::{COMPLETED_WORK, ORIGINAL_ESTIMATE, PatchFault, REMAINING_WORK, rule_error, throttled};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use hours::Hours;
use planning::Planning;
use projects::page_of;
use work_items::WorkItems;

const NAME: &str = "/exemplo";
const IDENTITY: &str = "/exemplo/_apis/connectionData";
const PROJECTS: &str = "/exemplo/_apis/projects";
const MEMBERS: &str = "/exemplo/_apis/userentitlements/";

/// The stand-in server. It stops on drop.
pub struct Organisation {
    server: MockServer,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Token, id and e-mail address of each user.
    users: Vec<(String, Uuid, Option<String>)>,
    projects: Vec<Value>,
    /// Projects that were removed from the list, which `stateFilter=deleted` lists.
    deleted: Vec<Value>,
    /// Pairs of the token of a user and the id of a project hidden from that user.
    hidden: Vec<(String, String)>,
    /// Responses that replace the regular ones of an endpoint.
    overrides: Vec<(&'static str, ResponseTemplate)>,
    /// Ids of users whose membership has ended.
    removed: Vec<Uuid>,
    /// Delay of each response.
    delay: Duration,
    work_items: WorkItems,
    planning: Planning,
    hours: Hours,
}

/// An endpoint whose responses a test can replace.
#[derive(Clone, Copy)]
pub enum Endpoint {
    /// `connectionData`.
    Identity,
    /// The first page of the projects, and single projects.
    Projects,
    /// The second page of the projects.
    SecondPage,
    /// Work items and the states of their types, teams and iterations.
    WorkItems,
    /// Queries for work items.
    Queries,
    /// The types of a project with their states.
    Types,
}

impl Endpoint {
    /// Returns the endpoints to which a path belongs.
    fn of(path: &str, is_second_page: bool) -> &'static [Self] {
        if path == IDENTITY {
            &[Self::Identity]
        } else if path.ends_with("/wiql") {
            &[Self::Queries, Self::WorkItems]
        } else if path.ends_with("/workitemtypes") {
            &[Self::Types, Self::WorkItems]
        } else if path.contains("/_apis/wit/") || path.contains("/_apis/work/") || path.ends_with("/teams") {
            &[Self::WorkItems]
        } else if is_second_page {
            &[Self::SecondPage]
        } else {
            &[Self::Projects]
        }
    }

    const fn key(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Projects => "projects",
            Self::SecondPage => "second page",
            Self::WorkItems => "work items",
            Self::Queries => "queries",
            Self::Types => "types",
        }
    }
}

impl Organisation {
    /// Starts an organisation without users and projects.
    pub async fn start() -> Self {
        let (server, state) = (MockServer::start().await, Arc::new(Mutex::new(State::default())));
        let shared = Arc::clone(&state);
        let respond = move |request: &Request| {
            let mut state = lock(&shared);
            let response = state.respond(request);
            // `set_delay` would replace the delay of an override.
            if state.delay.is_zero() { response } else { response.set_delay(state.delay) }
        };
        Mock::given(any()).respond_with(respond).mount(&server).await;
        Self { server, state }
    }

    /// The address for the setting `AZURE_DEVOPS_ORG_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.uri() + NAME
    }

    /// Adds a user and returns the id.
    pub fn add_user(&self, token: &str, email: Option<&str>) -> Uuid {
        let id = Uuid::now_v7();
        lock(&self.state).users.push((token.to_owned(), id, email.map(str::to_owned)));
        id
    }

    /// Adds another token of the user `id`, without an e-mail address.
    pub fn add_token(&self, token: &str, id: Uuid) {
        lock(&self.state).users.push((token.to_owned(), id, None));
    }

    /// Revokes a token.
    pub fn revoke(&self, token: &str) {
        lock(&self.state).users.retain(|(known, ..)| known != token);
    }

    /// Ends the membership of a user. The entitlement remains listed as deleted.
    pub fn remove_member(&self, id: Uuid) {
        lock(&self.state).removed.push(id);
    }

    /// Delays each later response.
    pub fn slow_down(&self, delay: Duration) {
        lock(&self.state).delay = delay;
    }

    /// Adds a project and returns its id.
    #[must_use]
    pub fn add_project(&self, nome: &str) -> String {
        let id = Uuid::now_v7().to_string();
        let url = format!("{}/_apis/projects/{id}", self.url());
        lock(&self.state).projects.push(json!({
            "id": id, "name": nome, "url": url, "state": "wellFormed", "revision": 7, "visibility": "private",
        }));
        id
    }

    /// Hides a project from a user.
    pub fn hide(&self, token: &str, project: &str) {
        lock(&self.state).hidden.push((token.to_owned(), project.to_owned()));
    }

    /// Modifies the list of projects. Removed projects are listed as deleted from then on.
    pub fn change_projects(&self, change: impl FnOnce(&mut Vec<Value>)) {
        let mut state = lock(&self.state);
        let before = state.projects.clone();
        change(&mut state.projects);
        let is_listed = |project: &&Value| state.projects.iter().any(|listed| listed["id"] == project["id"]);
        let removed: Vec<_> = before.iter().filter(|project| !is_listed(project)).cloned().collect();
        state.deleted.extend(removed.into_iter().map(|mut project| {
            project["state"] = json!("deleted");
            project
        }));
    }

    /// Responds to every later request for `endpoint` with `response`.
    pub fn respond_with(&self, endpoint: Endpoint, response: ResponseTemplate) {
        lock(&self.state).overrides.insert(0, (endpoint.key(), response));
    }

    /// Removes the responses of [`Self::respond_with`].
    pub fn recover(&self) {
        lock(&self.state).overrides.clear();
    }

    /// Returns the header `name` of every request whose URL contains `part`; empty if absent.
    pub async fn headers(&self, part: &str, name: &str) -> Vec<String> {
        let requests = self.server.received_requests().await.unwrap();
        let requests = requests.iter().filter(|request| request.url.as_str().contains(part));
        requests
            .map(|request| request.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned())
            .collect()
    }

    /// Returns the number of requests whose URL contains `part`.
    pub async fn calls(&self, part: &str) -> usize {
        let requests = self.server.received_requests().await.unwrap();
        requests.iter().filter(|request| request.url.as_str().contains(part)).count()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn respond(&mut self, request: &Request) -> ResponseTemplate {
        let path = request.url.path();
        let page = query(request, "continuationToken");
        let endpoints = Endpoint::of(path, page.is_some());
        if let Some((_, response)) = self.overrides.iter().find(|(key, _)| endpoints.iter().any(|e| e.key() == *key)) {
            return response.clone();
        }
        if let Some(response) = self.respond_about_hours(request) {
            return response;
        }
        let Some((token, id, email)) = self.users.iter().find(|(token, ..)| has_token(request, token)) else {
            return ResponseTemplate::new(401);
        };
        if let Some(member) = path.strip_prefix(MEMBERS) {
            return self.member(member);
        }
        let is_hidden = |project: &str| self.hidden.iter().any(|(from, hidden)| from == token && hidden == project);
        let is_bin = query(request, "stateFilter").is_some_and(|state| state == "deleted");
        let projects = if is_bin { &self.deleted } else { &self.projects };
        let visible: Vec<_> = projects.iter().filter(|p| !p["id"].as_str().is_some_and(is_hidden)).collect();
        let named: Vec<_> =
            visible.iter().filter_map(|project| project["id"].as_str().zip(project["name"].as_str())).collect();
        let response = self.work_items.respond(request, email.as_deref(), &named);
        if let Some(response) = response.or_else(|| self.planning.respond(request, &named)) {
            return response;
        }
        match path.strip_prefix(PROJECTS) {
            None if path == IDENTITY => ResponseTemplate::new(200).set_body_json(identity(*id, email.as_deref())),
            Some("") => page_of(&visible, page.map_or(0, |start| start.parse().unwrap()), request),
            Some(rest) => self.project(&visible, &work_items::decoded(rest.trim_start_matches('/'))),
            None => ResponseTemplate::new(404),
        }
    }
}

impl State {
    /// The entitlement of a member, or 404.
    fn member(&self, id: &str) -> ResponseTemplate {
        let Some((_, id, email)) = self.users.iter().find(|(_, user, _)| user.to_string() == id) else {
            return ResponseTemplate::new(404).set_body_json(json!({
                "$id": "1", "message": "VS403283", "typeKey": "MemberNotFoundException", "errorCode": 0,
            }));
        };
        let status = if self.removed.contains(id) { "deleted" } else { "active" };
        ResponseTemplate::new(200).set_body_json(json!({
            "id": id,
            "user": {"subjectKind": "user", "displayName": "Ana Lima", "mailAddress": email, "origin": "aad"},
            "accessLevel": {"accountLicenseType": "express", "status": status},
        }))
    }
}

fn query(request: &Request, name: &str) -> Option<String> {
    request.url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// Whether `request` sends `token`: as Bearer if it has the three parts of an access token, otherwise as Basic.
fn has_token(request: &Request, token: &str) -> bool {
    let expected = if token.matches('.').count() == 2 {
        format!("Bearer {token}")
    } else {
        format!("Basic {}", BASE64_STANDARD.encode(format!(":{token}")))
    };
    request.headers.get("authorization").is_some_and(|header| header.as_bytes() == expected.as_bytes())
}

fn identity(id: Uuid, email: Option<&str>) -> Value {
    let account =
        email.map_or_else(|| json!({}), |email| json!({"Account": {"$type": "System.String", "$value": email}}));
    let user = json!({
        "id": id,
        "descriptor": "Microsoft.IdentityModel.Claims.ClaimsIdentity;tenant",
        "providerDisplayName": "Ana Lima",
        "isActive": true,
        "properties": account,
    });
    json!({"authenticatedUser": user, "authorizedUser": user, "deploymentType": "hosted"})
}

/// The `connectionData` response to an invalid credential in an organisation with a public project.
#[must_use]
pub fn anonymous() -> ResponseTemplate {
    let user = json!({
        "id": "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa",
        "descriptor": "System:PublicAccess;aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa",
        "providerDisplayName": "Anonymous",
        "isActive": true,
        "properties": {"Account": {"$type": "System.String", "$value": "Anonymous"}},
    });
    ResponseTemplate::new(200).set_body_json(json!({"authenticatedUser": user, "authorizedUser": user}))
}
