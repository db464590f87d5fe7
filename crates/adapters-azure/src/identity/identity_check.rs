//! Who passes. A 200 is not enough: an organisation with one public project answers it to any token at all, with the
//! identity of nobody.

use domain::Usuario;
use uuid::Uuid;

use super::payload::{ConnectionData, Entitlement, Identity, Profile};
use crate::error::Failure;

/// The id of the anonymous identity: all digits are `a`.
const ANONYMOUS: Uuid = Uuid::from_bytes([0xaa; 16]);
/// How the descriptor of an anonymous identity begins.
const PUBLIC_ACCESS: &str = "System:PublicAccess";
/// The longest e-mail address that can be kept as an author, in characters.
const MAX_EMAIL: usize = 255;

/// The user of an organisation, if `data` proves one.
pub(crate) fn of_organisation(data: ConnectionData) -> Result<Usuario, Failure> {
    let Some(user) = data.authenticated_user else { return Err(Failure::senseless("nobody is authenticated")) };
    let id = real_id(user.id.as_deref())?;
    refuse_public(&user)?;
    if let Some(authorized) = data.authorized_user {
        refuse_public(&authorized)?;
        if real_id(authorized.id.as_deref())? != id {
            return Err(Failure::Rejected); // The call ran as somebody else.
        }
    }
    // Some people's address stands where their name should be.
    let email = email(user.account()).or_else(|| email(user.provider_display_name.as_deref()));
    Ok(usuario(id, [user.custom_display_name, user.provider_display_name], email))
}

/// The user whose profile `profile` is.
pub(crate) fn of_profile(profile: Profile) -> Result<Usuario, Failure> {
    let id = real_id(profile.id.as_deref())?;
    let email = email(profile.email_address.as_deref());
    Ok(usuario(id, [profile.display_name, None], email))
}

/// The member `id` of an organisation, if it is active: who was removed may still be listed.
pub(crate) fn of_member(entitlement: Entitlement, id: Uuid) -> Result<Usuario, Failure> {
    if real_id(entitlement.id.as_deref())? != id {
        return Err(Failure::senseless("another member than asked for"));
    }
    let status = entitlement.access_level.and_then(|level| level.status);
    if !status.is_some_and(|status| status.eq_ignore_ascii_case("active")) {
        return Err(Failure::Rejected);
    }
    let (name, emails) = match entitlement.user {
        Some(user) => (user.display_name, [user.mail_address, user.principal_name]),
        None => (None, [None, None]),
    };
    let email = emails.iter().find_map(|text| email(text.as_deref()));
    Ok(usuario(id, [name, None], email))
}

fn real_id(id: Option<&str>) -> Result<Uuid, Failure> {
    let id = id.and_then(|id| Uuid::parse_str(id).ok());
    let id = id.ok_or_else(|| Failure::senseless("an identity without an id"))?;
    if is_somebody(id) { Ok(id) } else { Err(Failure::Rejected) }
}

/// Whether it is the id of a real identity.
pub(crate) fn is_somebody(id: Uuid) -> bool {
    !id.is_nil() && id != ANONYMOUS
}

fn refuse_public(identity: &Identity) -> Result<(), Failure> {
    let is_public = identity.descriptor.as_deref().is_some_and(|d| d.starts_with(PUBLIC_ACCESS));
    if is_public { Err(Failure::Rejected) } else { Ok(()) }
}

fn usuario(id: Uuid, names: [Option<String>; 2], email: Option<String>) -> Usuario {
    let id = id.to_string();
    let name = names.into_iter().flatten().find(|name| !name.trim().is_empty());
    let display_name = name.or_else(|| email.clone()).unwrap_or_else(|| id.clone());
    Usuario { id, display_name, email }
}

/// `text` when it looks like an address; services have a GUID or a name there.
fn email(text: Option<&str>) -> Option<String> {
    let text = text?.trim();
    let (local, host) = text.split_once('@')?;
    let is_clean = !text.contains(|c: char| c.is_whitespace() || c.is_control());
    let is_email = !local.is_empty() && !host.is_empty() && is_clean && text.chars().count() <= MAX_EMAIL;
    is_email.then(|| text.to_owned())
}
