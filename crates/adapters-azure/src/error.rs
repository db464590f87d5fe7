//! The error of a call to Azure DevOps. Cheap to clone, because concurrent callers share one result.

use std::sync::Arc;
use std::time::Duration;

use domain::{Conflict, Error, Service};

/// `Retry-After` for calls that this process has no room for.
const OVERLOADED_RETRY_AFTER: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub(crate) enum AzureError {
    /// The credential identifies no user.
    Rejected(Rejection),
    /// Azure DevOps knows the user and denies the request.
    Forbidden,
    /// No such project. Unless it `is_definitive`, the project may exist and be hidden from the caller.
    ProjectNotFound { is_definitive: bool, detail: ErrorDetail },
    /// No such work item, or the caller may not see it.
    WorkItemNotFound(ErrorDetail),
    /// 404 in JSON for another resource.
    NotFound(ErrorDetail),
    /// 400 in JSON: the request breaks a rule.
    BadRequest(ErrorDetail),
    /// The resource has another revision than the request requires.
    RevisionMismatch(ErrorDetail),
    /// The settings name no organisation.
    NoOrganisation,
    /// Too many calls of this process are queued or in flight. It says nothing about Azure DevOps.
    Overloaded { retry_after: Duration, detail: ErrorDetail },
    /// No connection, 503, throttled, or circuit breaker open.
    Unavailable { retry_after: Option<Duration>, detail: ErrorDetail },
    /// No response in time.
    TimedOut(ErrorDetail),
    /// A redirect to the given address, which is no sign-in page.
    Moved(ErrorDetail),
    /// The server supports only versions of the REST API that this adapter does not.
    UnsupportedVersion(ErrorDetail),
    /// An error response, or an invalid one.
    BadUpstream(ErrorDetail),
}

/// How a credential was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// 401 that states that the PAT has expired.
    Expired,
    /// 401 for another reason: unknown, revoked, or of another organisation.
    Unauthorized,
    /// A sign-in page, or a redirect to one.
    SignInPage,
    /// 200 with the anonymous identity, in an organisation with a public project.
    Anonymous,
    /// Rejected by this adapter: malformed, recently rejected, or not confirmed by Azure DevOps.
    NotConfirmed,
}

/// The cause for the log. It never holds a token, a body or an e-mail address.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ErrorDetail(Arc<str>);

impl ErrorDetail {
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self(text.as_ref().into())
    }
}

impl AzureError {
    pub(crate) fn invalid_response(text: impl AsRef<str>) -> Self {
        Self::BadUpstream(ErrorDetail::new(text))
    }

    pub(crate) fn overloaded(text: impl AsRef<str>) -> Self {
        Self::Overloaded { retry_after: OVERLOADED_RETRY_AFTER, detail: ErrorDetail::new(text) }
    }

    pub(crate) fn unavailable(retry_after: impl Into<Option<Duration>>, text: impl AsRef<str>) -> Self {
        Self::Unavailable { retry_after: retry_after.into(), detail: ErrorDetail::new(text) }
    }
}

impl From<AzureError> for Error {
    fn from(error: AzureError) -> Self {
        let service = Service::AzureDevOps;
        match error {
            AzureError::Rejected(_) => Self::CredentialRejected,
            AzureError::Forbidden => Self::Forbidden,
            AzureError::NoOrganisation => Self::Conflict(Conflict::SemOrganizacao),
            AzureError::Overloaded { retry_after, detail } => Self::Overloaded { retry_after, cause: detail.into() },
            AzureError::Unavailable { retry_after, detail } => {
                Self::Unavailable { service, retry_after, cause: detail.into() }
            }
            AzureError::Moved(location) => {
                Self::BadUpstream { service, cause: format!("redirected to {location}").into() }
            }
            AzureError::TimedOut(detail) => Self::TimedOut { service, cause: detail.into() },
            AzureError::ProjectNotFound { detail, .. }
            | AzureError::WorkItemNotFound(detail)
            | AzureError::NotFound(detail)
            | AzureError::BadRequest(detail)
            | AzureError::RevisionMismatch(detail)
            | AzureError::UnsupportedVersion(detail)
            | AzureError::BadUpstream(detail) => Self::BadUpstream { service, cause: detail.into() },
        }
    }
}
