//! Credentials: how they are sent to Azure DevOps, and what stands for them in memory.

mod app_key;
mod fingerprint;
mod jwt;
mod presented;

pub(crate) use fingerprint::{Fingerprint, Fingerprints};
pub(crate) use jwt::Jwt;
pub(crate) use presented::{PresentedCredential, Scheme};

pub use app_key::{AppKey, AppKeyError};
