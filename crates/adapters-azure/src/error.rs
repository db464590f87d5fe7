//! How a call to Azure can fail: as the domain sees it, but cheap to copy, because one answer may serve many waiters.

use std::sync::Arc;
use std::time::Duration;

use domain::{Conflict, Error, Service};

/// Why there is no answer to work with.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// Azure says that the credential is nobody's: 401, the way to a sign-in page, the anonymous identity.
    Rejected,
    /// Azure knows the caller and refuses.
    Forbidden,
    /// Azure says that the thing asked for does not exist; unless that `is_certain`, the caller may just not see it.
    Missing { is_certain: bool, seen: Seen },
    /// Azure says in JSON that there is no such thing, of something that is no project.
    NotFound(Seen),
    /// The settings name no organisation.
    NoOrganisation,
    /// No connection, 503, throttled, or we leave Azure alone for a while.
    Unavailable { retry_after: Option<Duration>, seen: Seen },
    /// No answer in time.
    TimedOut(Seen),
    /// An error, or an answer without sense.
    BadUpstream(Seen),
}

/// What was seen, for the log. It never has a token, a body or an e-mail address in it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Seen(Arc<str>);

impl Seen {
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self(text.as_ref().into())
    }
}

impl Failure {
    pub(crate) fn senseless(text: impl AsRef<str>) -> Self {
        Self::BadUpstream(Seen::new(text))
    }

    pub(crate) fn unavailable(retry_after: impl Into<Option<Duration>>, text: impl AsRef<str>) -> Self {
        Self::Unavailable { retry_after: retry_after.into(), seen: Seen::new(text) }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let service = Service::AzureDevOps;
        match failure {
            Failure::Rejected => Self::CredentialRejected,
            Failure::Forbidden => Self::Forbidden,
            Failure::NoOrganisation => Self::Conflict(Conflict::SemOrganizacao),
            Failure::Unavailable { retry_after, seen } => {
                Self::Unavailable { service, retry_after, cause: seen.into() }
            }
            Failure::TimedOut(seen) => Self::TimedOut { service, cause: seen.into() },
            Failure::Missing { seen, .. } | Failure::NotFound(seen) | Failure::BadUpstream(seen) => {
                Self::BadUpstream { service, cause: seen.into() }
            }
        }
    }
}
