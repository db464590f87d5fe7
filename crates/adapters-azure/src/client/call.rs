//! One call to Azure DevOps.

use reqwest::Url;
use tokio::time::Instant;

use super::api_version::{ApiVersion, VersionRejection};
use crate::credential::{PresentedCredential, Scheme};

/// The cause of a call. Each has its own bulkhead; calls for unknown credentials also have their own circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// Identity look-up of a user whom Azure accepted recently.
    KnownUser,
    /// Identity look-up of a credential that Azure has not accepted recently.
    Unknown,
    /// Look-up of projects for an authenticated user.
    Projects,
    /// Look-up of a few work items or of one type, on which a request to store something waits.
    Checks,
    /// Queries for work items for an authenticated user.
    WorkItems,
}

/// The `api-version` of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Version {
    /// The negotiated version of a released resource.
    Released,
    /// The first preview of the negotiated version.
    Preview,
    /// A version of an API that only Azure DevOps Services has.
    Fixed(&'static str),
}

/// The JSON that a request sends.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// A query, sent as a POST. It only reads.
    Query(String),
    /// A JSON Patch (RFC 6902), sent as a PATCH. It must test the revision, so that a repetition changes nothing.
    Patch(String),
}

/// A request that expects a JSON response and may be repeated.
pub(crate) struct Call<'a> {
    /// The path with placeholders, for logs, traces and metrics.
    pub(crate) url_template: &'static str,
    /// The address without the `api-version`.
    pub(crate) url: Url,
    /// Without it, the call is a GET.
    pub(crate) body: Option<Body>,
    pub(crate) version: Version,
    pub(crate) credential: &'a PresentedCredential,
    pub(crate) scheme: Scheme,
    pub(crate) traffic: Traffic,
    pub(crate) max_bytes: usize,
    pub(crate) deadline: Instant,
}

impl Call<'_> {
    pub(crate) const fn method(&self) -> &'static str {
        match self.body {
            None => "GET",
            Some(Body::Query(_)) => "POST",
            Some(Body::Patch(_)) => "PATCH",
        }
    }
}

impl Version {
    /// Returns the value of `api-version` if `negotiated` is the version of the server.
    pub(crate) fn parameter(self, negotiated: ApiVersion) -> String {
        match self {
            Self::Released => negotiated.to_string(),
            Self::Preview => format!("{negotiated}-preview.1"),
            Self::Fixed(version) => version.to_owned(),
        }
    }

    /// Whether `rejection` of this version means that an older one may be accepted.
    pub(crate) const fn is_negotiable(self, rejection: VersionRejection) -> bool {
        match (self, rejection) {
            (Self::Released | Self::Preview, VersionRejection::OutOfRange { .. })
            | (Self::Released, VersionRejection::PreviewOnly)
            // The previews that this adapter requests exist on every server. A missing released resource may be real.
            | (Self::Preview, VersionRejection::Unrouted) => true,
            (Self::Fixed(_), _)
            | (Self::Released, VersionRejection::Unrouted)
            | (Self::Preview, VersionRejection::PreviewOnly) => false,
        }
    }
}
