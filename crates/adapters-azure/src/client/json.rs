//! Reading the JSON bodies that Azure DevOps sends.

use domain::strip_control_characters;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::AzureError;

/// An error body. Its `typeKey` is stable, whereas its message is translated.
#[derive(Deserialize)]
struct ErrorBody {
    #[serde(alias = "TypeKey")]
    #[serde(rename = "typeKey")]
    type_key: String,
    #[serde(default, alias = "Message")]
    message: Option<String>,
}

/// Parses a response body.
pub(crate) fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, AzureError> {
    // serde_json's own message quotes the input, which may hold personal data.
    let describe = |e: serde_json::Error| format!("unexpected JSON: {:?} at {}:{}", e.classify(), e.line(), e.column());
    serde_json::from_slice(json).map_err(|e| AzureError::invalid_response(describe(e)))
}

/// Returns the `typeKey` of an error body. Values that are not plain ASCII names are ignored, since they may hold
/// personal data.
pub(crate) fn type_key(json: &[u8]) -> Option<String> {
    let ErrorBody { type_key, .. } = serde_json::from_slice(json).ok()?;
    let is_name = type_key.len() <= 100 && type_key.bytes().all(|b| b.is_ascii_alphanumeric());
    is_name.then_some(type_key)
}

/// Returns the message of an error body. It is localised and may hold personal data, so it must not be logged.
pub(crate) fn error_message(json: &[u8]) -> Option<String> {
    let ErrorBody { message, .. } = serde_json::from_slice(json).ok()?;
    message
}

/// Returns a text of a response for display: as [`truncate`], and `None` for an empty one or another type.
pub(crate) fn text(value: &Value, max_chars: usize) -> Option<String> {
    value.as_str().map(|text| truncate(text, max_chars)).filter(|text| !text.is_empty())
}

/// Returns `text` trimmed, without control characters, with at most `max_chars` characters.
pub(crate) fn truncate(text: &str, max_chars: usize) -> String {
    let text = strip_control_characters(text);
    let truncated: String = text.trim().chars().take(max_chars).collect();
    truncated.trim_end().to_owned()
}
