//! A stand-in for an organisation of Azure DevOps, as far as the service speaks to one: who is calling, and which
//! projects there are. Its answers have the shapes of the real ones.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

/// An extension's key and audience, for the setting `EXTENSION_APP_KEYS`.
pub const APP_KEY: &str = "uma-chave-de-extensao-que-e-longa-o-bastante";
/// See [`APP_KEY`].
pub const AUDIENCE: &str = "7b3c2a1d-0000-4000-8000-000000000001";

/// How many projects a page has at most, however many are asked for.
const PAGE: usize = 100;

const NAME: &str = "/exemplo";
const IDENTITY: &str = "/exemplo/_apis/connectionData";
const PROJECTS: &str = "/exemplo/_apis/projects";
const MEMBERS: &str = "/exemplo/_apis/userentitlements/";

/// The organisation. It ends when it is dropped.
pub struct Organisation {
    server: MockServer,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Token, id and address of each user.
    users: Vec<(String, Uuid, Option<String>)>,
    projects: Vec<Value>,
    /// Token of a user and id of a project that is hidden from them.
    hidden: Vec<(String, String)>,
    /// What is answered instead, to whom asks for that path.
    instead: Vec<(&'static str, ResponseTemplate)>,
    /// Ids of users who are no members any more.
    removed: Vec<Uuid>,
    /// How long each response takes.
    delay: Duration,
}

/// The two questions that the organisation answers.
#[derive(Clone, Copy)]
pub enum Question {
    /// Who is calling.
    Identity,
    /// Which projects there are.
    Projects,
    /// The second page of the projects.
    SecondPage,
}

impl Question {
    const fn key(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Projects => "projects",
            Self::SecondPage => "second page",
        }
    }
}

impl Organisation {
    /// An organisation that knows nobody and has no projects.
    pub async fn start() -> Self {
        let (server, state) = (MockServer::start().await, Arc::new(Mutex::new(State::default())));
        let answering = Arc::clone(&state);
        let answer = move |request: &Request| {
            let state = lock(&answering);
            let answer = state.answer(request);
            // What is answered instead may have a delay of its own.
            if state.delay.is_zero() { answer } else { answer.set_delay(state.delay) }
        };
        Mock::given(any()).respond_with(answer).mount(&server).await;
        Self { server, state }
    }

    /// Its address, for the setting `AZURE_DEVOPS_ORG_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.uri() + NAME
    }

    /// Lets it know a user; their id.
    pub fn add_user(&self, token: &str, email: Option<&str>) -> Uuid {
        let id = Uuid::now_v7();
        lock(&self.state).users.push((token.to_owned(), id, email.map(str::to_owned)));
        id
    }

    /// Forgets a token, as Azure does when it is revoked.
    pub fn revoke(&self, token: &str) {
        lock(&self.state).users.retain(|(known, ..)| known != token);
    }

    /// Ends the membership of a user, whose entitlement stays listed as deleted.
    pub fn remove_member(&self, id: Uuid) {
        lock(&self.state).removed.push(id);
    }

    /// Takes so long for each response from now on.
    pub fn slow_down(&self, delay: Duration) {
        lock(&self.state).delay = delay;
    }

    /// Adds a project; its id.
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

    /// Changes its list of projects.
    pub fn change_projects(&self, change: impl FnOnce(&mut Vec<Value>)) {
        change(&mut lock(&self.state).projects);
    }

    /// What is answered to a question from now on, whoever asks.
    pub fn answer_instead(&self, question: Question, answer: ResponseTemplate) {
        lock(&self.state).instead.insert(0, (question.key(), answer));
    }

    /// Answers all questions as it should.
    pub fn recover(&self) {
        lock(&self.state).instead.clear();
    }

    /// The header `name` of every request for a path that contains `part`; empty where there was none.
    pub async fn headers(&self, part: &str, name: &str) -> Vec<String> {
        let requests = self.server.received_requests().await.unwrap();
        let requests = requests.iter().filter(|request| request.url.as_str().contains(part));
        requests
            .map(|request| request.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned())
            .collect()
    }

    /// How often a path that contains `part` was asked for.
    pub async fn calls(&self, part: &str) -> usize {
        let requests = self.server.received_requests().await.unwrap();
        requests.iter().filter(|request| request.url.as_str().contains(part)).count()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn answer(&self, request: &Request) -> ResponseTemplate {
        let path = request.url.path();
        let page = query(request, "continuationToken");
        let question = if path == IDENTITY {
            Question::Identity
        } else if page.is_some() {
            Question::SecondPage
        } else {
            Question::Projects
        };
        if let Some((_, answer)) = self.instead.iter().find(|(key, _)| *key == question.key()) {
            return answer.clone();
        }
        let Some((token, id, email)) = self.users.iter().find(|(token, ..)| is_shown(request, token)) else {
            return ResponseTemplate::new(401);
        };
        if let Some(member) = path.strip_prefix(MEMBERS) {
            return self.member(member);
        }
        let is_hidden = |project: &str| self.hidden.iter().any(|(from, hidden)| from == token && hidden == project);
        let seen: Vec<_> = self.projects.iter().filter(|p| !p["id"].as_str().is_some_and(is_hidden)).collect();
        match path.strip_prefix(PROJECTS) {
            None if path == IDENTITY => ResponseTemplate::new(200).set_body_json(identity(*id, email.as_deref())),
            Some("") => page_of(&seen, page.map_or(0, |start| start.parse().unwrap()), request),
            Some(rest) => project(&seen, rest.trim_start_matches('/'), is_hidden(rest.trim_start_matches('/'))),
            None => ResponseTemplate::new(404),
        }
    }
}

impl State {
    /// An entitlement, or what is said of an id that has none.
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

/// Pages that overlap by one, as Azure's do when a project is created in between.
fn page_of(projects: &[&Value], start: usize, request: &Request) -> ResponseTemplate {
    let asked: usize = query(request, "$top").unwrap().parse().unwrap();
    let size = asked.min(PAGE);
    let page: Vec<_> = projects.iter().skip(start).take(size).collect();
    let answer = ResponseTemplate::new(200).set_body_json(json!({"count": page.len(), "value": page}));
    if start + size < projects.len() {
        answer.insert_header("x-ms-continuationtoken", (start + size - 1).to_string())
    } else {
        answer
    }
}

/// One project. What is hidden is answered as Azure does it to whoever has no access: with a 400.
fn project(projects: &[&Value], id: &str, is_hidden: bool) -> ResponseTemplate {
    match projects.iter().find(|project| project["id"] == id) {
        Some(project) => ResponseTemplate::new(200).set_body_json(project),
        None => ResponseTemplate::new(if is_hidden { 400 } else { 404 }).set_body_json(json!({
            "$id": "1", "message": "TF200016", "typeKey": "ProjectDoesNotExistException", "errorCode": 0,
        })),
    }
}

fn query(request: &Request, name: &str) -> Option<String> {
    request.url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// A token with two dots is an access token, shown as Bearer; another is a PAT, the password of Basic.
fn is_shown(request: &Request, token: &str) -> bool {
    let expected = if token.matches('.').count() == 2 {
        format!("Bearer {token}")
    } else {
        format!("Basic {}", BASE64_STANDARD.encode(format!(":{token}")))
    };
    request.headers.get("authorization").is_some_and(|shown| shown.as_bytes() == expected.as_bytes())
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

/// What `connectionData` answers to whoever shows nothing good, in an organisation with a public project.
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

/// An app token of the extension for the user `nameid`, good until `exp` (seconds since 1970).
#[must_use]
pub fn app_token(nameid: Uuid, exp: u64) -> String {
    let claims = json!({"nameid": nameid, "iss": "app.vstoken.visualstudio.com", "aud": AUDIENCE, "exp": exp});
    let encoded = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
    let text = format!("{}.{}", encoded(&json!({"typ": "JWT", "alg": "HS256"})), encoded(&claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, APP_KEY.as_bytes()), text.as_bytes());
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
}
