//! One call to Azure DevOps.

use reqwest::Url;
use tokio::time::Instant;

use crate::credential::{Scheme, Shown};

/// Who causes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// A user whom Azure accepted lately has to be looked up again.
    User,
    /// A credential that was never seen.
    Newcomer,
    /// A user asks for projects.
    Projects,
}

/// One GET that is to be answered with JSON.
pub(crate) struct Call<'a> {
    /// What the log calls it.
    pub(crate) name: &'static str,
    pub(crate) url: Url,
    pub(crate) shown: &'a Shown,
    pub(crate) scheme: Scheme,
    pub(crate) traffic: Traffic,
    pub(crate) max_bytes: usize,
    pub(crate) deadline: Instant,
}
