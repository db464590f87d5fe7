//! The shapes that Azure DevOps sends, as far as they are read. Only what nothing can be done without is required.

use domain::{AzureProjectId, Descricao, NomeProjeto, RemoteProjeto, without_control};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::failure::Failure;

/// `_apis/connectionData`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConnectionData {
    pub(crate) authenticated_user: Option<Identity>,
    pub(crate) authorized_user: Option<Identity>,
}

/// A user of an organisation.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Identity {
    pub(crate) id: Option<String>,
    pub(crate) descriptor: Option<String>,
    pub(crate) provider_display_name: Option<String>,
    /// Only there when the user chose another name.
    pub(crate) custom_display_name: Option<String>,
    #[serde(default)]
    properties: Value,
}

impl Identity {
    /// An e-mail address for people, and something else for services.
    pub(crate) fn account(&self) -> Option<&str> {
        self.properties.pointer("/Account/$value")?.as_str()
    }
}

/// `_apis/profile/profiles/me`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Profile {
    pub(crate) id: Option<String>,
    pub(crate) display_name: Option<String>,
    pub(crate) email_address: Option<String>,
}

/// `_apis/userentitlements/{id}`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entitlement {
    pub(crate) id: Option<String>,
    pub(crate) user: Option<GraphUser>,
    pub(crate) access_level: Option<AccessLevel>,
}

/// Whom an entitlement is for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GraphUser {
    pub(crate) display_name: Option<String>,
    pub(crate) mail_address: Option<String>,
    pub(crate) principal_name: Option<String>,
}

/// What a member may do.
#[derive(Deserialize)]
pub(crate) struct AccessLevel {
    /// `active`, or why not: `deleted`, `disabled`, `expired`, `none`, `pending`, `pendingDisabled`.
    pub(crate) status: Option<String>,
}

/// `_apis/projects`. Nothing in it says whether there is another page.
#[derive(Deserialize)]
pub(crate) struct Page {
    pub(crate) value: Vec<Box<RawValue>>,
}

/// One project.
#[derive(Deserialize)]
pub(crate) struct Project {
    id: String,
    name: String,
    #[serde(default)]
    description: Value,
    #[serde(default)]
    url: Value,
    #[serde(default)]
    state: Value,
}

/// No more than a project's id.
#[derive(Deserialize)]
struct ProjectKey {
    id: String,
}

/// The name of an error; its text is translated and changes.
#[derive(Deserialize)]
struct Problem {
    #[serde(alias = "TypeKey")]
    #[serde(rename = "typeKey")]
    type_key: String,
}

/// Reads a body.
pub(crate) fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, Failure> {
    // Without the error's own text: it quotes what stood there, and that may be somebody's data.
    let told =
        |e: serde_json::Error| format!("JSON of another shape: {:?} at {}:{}", e.classify(), e.line(), e.column());
    serde_json::from_slice(json).map_err(|e| Failure::senseless(told(e)))
}

/// What kind of error a body tells of. Nothing that could be somebody's data passes for it.
pub(crate) fn type_key(json: &[u8]) -> Option<String> {
    let Problem { type_key } = serde_json::from_slice(json).ok()?;
    let is_name = type_key.len() <= 100 && type_key.bytes().all(|b| b.is_ascii_alphanumeric());
    is_name.then_some(type_key)
}

/// The id of a project in its raw form.
pub(crate) fn project_id(raw: &RawValue) -> Result<AzureProjectId, Failure> {
    let ProjectKey { id } = read(raw.get().as_bytes())?;
    guid(&id)
}

impl Project {
    /// The project as the domain knows it.
    ///
    /// What breaks the domain's rules is mended, never left out: a synchronisation takes what is not listed for
    /// deleted. A name is cut to what fits, or is the id when nothing of it is left; a text loses its control characters.
    pub(crate) fn into_domain(self) -> Result<RemoteProjeto, Failure> {
        let Self { id, name, description, url, state } = self;
        let (id, id_text) = (guid(&id)?, id);
        let mended = cut(&name, 255);
        if mended.is_empty() || mended != name {
            tracing::warn!(project = %id, "the project's name breaks our rules and was mended");
        }
        let nome = NomeProjeto::parse(if mended.is_empty() { id_text } else { mended });
        Ok(RemoteProjeto {
            id,
            nome: nome.map_err(|e| Failure::senseless(format!("a project's name: {e}")))?,
            descricao: description.as_str().and_then(descricao),
            url: text(&url, 2_000),
            estado: text(&state, 64),
        })
    }
}

fn guid(text: &str) -> Result<AzureProjectId, Failure> {
    AzureProjectId::parse(text).map_err(|e| Failure::senseless(format!("a project's id: {e}")))
}

fn descricao(text: &str) -> Option<Descricao> {
    let text = without_control(text);
    let end = text.floor_char_boundary(Descricao::MAX_BYTES);
    let text = text.get(..end).unwrap_or_default();
    Descricao::parse(text.to_owned()).ok().filter(|text| !text.as_str().is_empty())
}

fn text(value: &Value, max_chars: usize) -> Option<String> {
    value.as_str().map(|text| cut(text, max_chars)).filter(|text| !text.is_empty())
}

/// `text` trimmed, without control characters and no longer than `max_chars`.
fn cut(text: &str, max_chars: usize) -> String {
    let text = without_control(text);
    let cut: String = text.trim().chars().take(max_chars).collect();
    cut.trim_end().to_owned()
}
