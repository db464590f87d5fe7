//! The projects that Azure DevOps sends, as far as they are read.

use domain::{AzureProjectId, Descricao, NomeProjeto, RemoteProjeto, without_control};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::client::json::read;
use crate::error::Failure;

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
