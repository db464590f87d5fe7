//! Checks that a response proves a real identity. A 200 is not enough, because an organisation with a public project
//! responds to any token with 200 and the anonymous identity.

use domain::Usuario;
use uuid::Uuid;

use super::payload::{ConnectionData, Entitlement, Identity, Profile};
use crate::error::{AzureError, Rejection};

/// The id of the anonymous identity.
const ANONYMOUS: Uuid = Uuid::from_bytes([0xaa; 16]);
/// Prefix of the descriptor of an anonymous identity.
const PUBLIC_ACCESS_PREFIX: &str = "System:PublicAccess";
/// Maximum length of an e-mail address in characters, as stored in `criado_por`.
const MAX_EMAIL_CHARS: usize = 255;

/// Returns the user of an organisation, if `data` proves one.
pub(crate) fn from_connection_data(data: ConnectionData) -> Result<Usuario, AzureError> {
    let Some(user) = data.authenticated_user else { return Err(AzureError::invalid_response("no authenticatedUser")) };
    let id = real_id(user.id.as_deref())?;
    reject_public(&user)?;
    if let Some(authorized) = data.authorized_user {
        reject_public(&authorized)?;
        if real_id(authorized.id.as_deref())? != id {
            return Err(AzureError::Rejected(Rejection::NotConfirmed)); // The call ran as another user.
        }
    }
    // For some users the display name is the e-mail address.
    let email = email(user.account()).or_else(|| email(user.provider_display_name.as_deref()));
    Ok(usuario(id, [user.custom_display_name, user.provider_display_name], email))
}

/// Returns the user of `profile`.
pub(crate) fn from_profile(profile: Profile) -> Result<Usuario, AzureError> {
    let id = real_id(profile.id.as_deref())?;
    let email = email(profile.email_address.as_deref());
    Ok(usuario(id, [profile.display_name, None], email))
}

/// Returns the member `id` if its status is active. A removed member may still be listed with another status.
pub(crate) fn from_entitlement(entitlement: Entitlement, id: Uuid) -> Result<Usuario, AzureError> {
    if real_id(entitlement.id.as_deref())? != id {
        return Err(AzureError::invalid_response("the response is about another member"));
    }
    let status = entitlement.access_level.and_then(|level| level.status);
    if !status.is_some_and(|status| status.eq_ignore_ascii_case("active")) {
        return Err(AzureError::Rejected(Rejection::NotConfirmed));
    }
    let (name, emails) = match entitlement.user {
        Some(user) => (user.display_name, [user.mail_address, user.principal_name]),
        None => (None, [None, None]),
    };
    let email = emails.iter().find_map(|text| email(text.as_deref()));
    Ok(usuario(id, [name, None], email))
}

fn real_id(id: Option<&str>) -> Result<Uuid, AzureError> {
    let id = id.and_then(|id| Uuid::parse_str(id).ok());
    let id = id.ok_or_else(|| AzureError::invalid_response("an identity without a valid id"))?;
    if is_real_identity(id) { Ok(id) } else { Err(AzureError::Rejected(Rejection::Anonymous)) }
}

/// Whether `id` belongs to a real identity: neither nil nor anonymous.
pub(crate) fn is_real_identity(id: Uuid) -> bool {
    !id.is_nil() && id != ANONYMOUS
}

fn reject_public(identity: &Identity) -> Result<(), AzureError> {
    let is_public = identity.descriptor.as_deref().is_some_and(|d| d.starts_with(PUBLIC_ACCESS_PREFIX));
    if is_public { Err(AzureError::Rejected(Rejection::Anonymous)) } else { Ok(()) }
}

fn usuario(id: Uuid, names: [Option<String>; 2], email: Option<String>) -> Usuario {
    let id = id.to_string();
    let name = names.into_iter().flatten().find(|name| !name.trim().is_empty());
    let display_name = name.or_else(|| email.clone()).unwrap_or_else(|| id.clone());
    Usuario { id, display_name, email }
}

/// Returns `text` if it looks like an e-mail address. For services it is a GUID or a name.
fn email(text: Option<&str>) -> Option<String> {
    let text = text?.trim();
    let (local, host) = text.split_once('@')?;
    let is_clean = !text.contains(|c: char| c.is_whitespace() || c.is_control());
    let is_email = !local.is_empty() && !host.is_empty() && is_clean && text.chars().count() <= MAX_EMAIL_CHARS;
    is_email.then(|| text.to_owned())
}
