//! The user behind a credential, as Azure DevOps or an app token names them.

mod app_token;
mod cache;
mod identity_check;
mod members;
mod payload;
mod recently_accepted;
mod shared;

pub(crate) use app_token::AppTokens;
pub(crate) use cache::{Identities, Source};
#[cfg(test)]
pub(crate) use identity_check::{from_connection_data, from_profile, is_real_identity};
pub(crate) use members::Members;
#[cfg(test)]
pub(crate) use payload::{ConnectionData, Profile};
