//! The JSON of projects, limited to the fields that are read.

use domain::{AzureProjectId, Descricao, NomeProjeto, RemoteProjeto, strip_control_characters};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::client::json::{read, text, truncate};
use crate::error::AzureError;

/// `_apis/projects`. Only a header says whether there is another page.
#[derive(Deserialize)]
pub(crate) struct Page {
    pub(crate) value: Vec<Box<RawValue>>,
}

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

#[derive(Deserialize)]
struct ProjectKey {
    id: String,
}

/// Returns the id of a project in raw JSON.
pub(crate) fn project_id(raw: &RawValue) -> Result<AzureProjectId, AzureError> {
    let ProjectKey { id } = read(raw.get().as_bytes())?;
    guid(&id)
}

impl Project {
    /// Converts the project to the domain's type.
    ///
    /// Values that break the domain's rules are repaired: text is truncated and loses its control characters, and an
    /// empty name is replaced by the id.
    pub(crate) fn into_domain(self) -> Result<RemoteProjeto, AzureError> {
        let Self { id, name, description, url, state } = self;
        let (id, id_text) = (guid(&id)?, id);
        let repaired = truncate(&name, 255);
        if repaired.is_empty() || repaired != name {
            tracing::warn!(project = %id, "repaired the name of a project from Azure DevOps");
        }
        let nome = NomeProjeto::parse(if repaired.is_empty() { id_text } else { repaired });
        Ok(RemoteProjeto {
            id,
            nome: nome.map_err(|e| AzureError::invalid_response(format!("a project's name: {e}")))?,
            descricao: description.as_str().and_then(descricao),
            url: text(&url, 2_000),
            estado: text(&state, 64),
        })
    }
}

fn guid(text: &str) -> Result<AzureProjectId, AzureError> {
    AzureProjectId::parse(text).map_err(|e| AzureError::invalid_response(format!("a project's id: {e}")))
}

fn descricao(text: &str) -> Option<Descricao> {
    let text = strip_control_characters(text);
    let end = text.floor_char_boundary(Descricao::MAX_BYTES);
    let text = text.get(..end).unwrap_or_default();
    Descricao::parse(text.to_owned()).ok().filter(|text| !text.as_str().is_empty())
}
