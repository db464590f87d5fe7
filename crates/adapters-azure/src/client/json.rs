//! Reading the JSON bodies that Azure DevOps sends.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::Failure;

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
