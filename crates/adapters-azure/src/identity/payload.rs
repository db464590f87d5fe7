//! The JSON of identities, limited to the fields that are read.

use serde::Deserialize;
use serde_json::Value;

/// `_apis/connectionData`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConnectionData {
    pub(crate) authenticated_user: Option<Identity>,
    pub(crate) authorized_user: Option<Identity>,
    /// `hosted` or `onPremises`, in any case.
    deployment_type: Option<String>,
}

impl ConnectionData {
    /// Whether the response is from Azure DevOps Server.
    pub(crate) fn is_on_premises(&self) -> bool {
        self.deployment_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("onPremises"))
    }
}

/// A user of an organisation.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Identity {
    pub(crate) id: Option<String>,
    pub(crate) descriptor: Option<String>,
    pub(crate) provider_display_name: Option<String>,
    /// Present only if the user overrides the name.
    pub(crate) custom_display_name: Option<String>,
    #[serde(default)]
    properties: Value,
}

impl Identity {
    /// Returns the account name: an e-mail address for people, something else for services.
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

/// The user of an entitlement.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GraphUser {
    pub(crate) display_name: Option<String>,
    pub(crate) mail_address: Option<String>,
    pub(crate) principal_name: Option<String>,
}

/// The licence of a member.
#[derive(Deserialize)]
pub(crate) struct AccessLevel {
    /// `active`, `deleted`, `disabled`, `expired`, `none`, `pending` or `pendingDisabled`.
    pub(crate) status: Option<String>,
}
