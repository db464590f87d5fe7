//! Negotiation of the REST API version with Azure DevOps Server, which supports older versions than Services.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A version of the REST API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    major: u8,
    minor: u8,
}

/// How a server rejects the version of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VersionRejection {
    /// `VssVersionOutOfRangeException`. Its message names the newest version of the server, previews included.
    OutOfRange { maximum: Option<ApiVersion> },
    /// `VssInvalidPreviewVersionException`: the server has the version only as a preview.
    PreviewOnly,
    /// A 404 without an error body. Some servers do not route versions that they do not know.
    Unrouted,
}

/// The newest version that the server accepted.
#[derive(Debug, Default)]
pub(crate) struct NegotiatedVersion(AtomicUsize);

impl ApiVersion {
    /// The versions that this adapter supports, newest first: those of Services and of Server 2022.1, 2022, 2020, 2019
    /// Update 1 and 2019.
    const SUPPORTED: [Self; 5] = [Self::new(7, 1), Self::new(7, 0), Self::new(6, 0), Self::new(5, 1), Self::new(5, 0)];

    /// The version of Azure DevOps Services.
    pub(crate) const NEWEST: Self = Self::new(7, 1);

    const fn new(major: u8, minor: u8) -> Self {
        Self { major, minor }
    }

    /// Whether lists of projects carry a continuation token. Older versions may support only `$skip`.
    pub(crate) fn has_continuation_tokens(self) -> bool {
        Self::new(6, 0) <= self
    }

    /// Whether work items have the field `System.Parent`. Before it, the parent was a relation only.
    pub(crate) fn has_parent_field(self) -> bool {
        Self::new(6, 0) <= self
    }

    /// Returns the product whose newest version this is.
    #[must_use]
    pub const fn server_product(self) -> &'static str {
        match (self.major, self.minor) {
            (..=5, _) => "Azure DevOps Server 2019",
            (6, _) => "Azure DevOps Server 2020",
            (7, 0) => "Azure DevOps Server 2022",
            _ => "Azure DevOps Server 2022.1 or later",
        }
    }

    /// Returns the newest supported version to try after `rejection` of this one.
    pub(crate) fn fallback(self, rejection: VersionRejection) -> Option<Self> {
        let maximum = match rejection {
            VersionRejection::OutOfRange { maximum } => maximum,
            VersionRejection::PreviewOnly | VersionRejection::Unrouted => None,
        };
        Self::SUPPORTED.into_iter().find(|&lower| lower < self && maximum.is_none_or(|maximum| lower <= maximum))
    }

    /// Returns the lowest version in `message`. Because the message is localised, only its numbers are read: the
    /// requested version and the maximum.
    pub(crate) fn lowest_in(message: &str) -> Option<Self> {
        let words = message.split(|c: char| !c.is_ascii_digit() && c != '.');
        words.filter_map(|word| Self::parse(word.trim_matches('.'))).min()
    }

    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl NegotiatedVersion {
    pub(crate) fn get(&self) -> ApiVersion {
        let index = self.0.load(Ordering::Relaxed);
        ApiVersion::SUPPORTED.get(index).copied().unwrap_or(ApiVersion::NEWEST)
    }

    /// Remembers that the server accepted `version`. Returns whether that changes the negotiated version.
    pub(crate) fn remember(&self, version: ApiVersion) -> bool {
        let index = ApiVersion::SUPPORTED.iter().position(|&supported| supported == version).unwrap_or_default();
        self.0.fetch_max(index, Ordering::Relaxed) < index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out_of_range(message: &str) -> VersionRejection {
        VersionRejection::OutOfRange { maximum: ApiVersion::lowest_in(message) }
    }

    #[test]
    fn fallback_is_the_newest_supported_version_within_the_range_of_the_server() {
        let message = |maximum: &str| {
            out_of_range(&format!(
                "The requested REST API version of 7.1 is out of range for this server. The latest REST API version \
                 this server supports is {maximum}."
            ))
        };
        let cases = [
            (message("7.0"), Some(ApiVersion::new(7, 0))),
            (message("6.1"), Some(ApiVersion::new(6, 0))),
            (message("5.2"), Some(ApiVersion::new(5, 1))),
            (message("5.0"), Some(ApiVersion::new(5, 0))),
            (message("4.1"), None),
            (out_of_range("A versão máxima é 6.0; 7.1 não é aceita."), Some(ApiVersion::new(6, 0))),
            (out_of_range("sem números: 1.2.3, 999.1, 7."), Some(ApiVersion::new(7, 0))),
            (VersionRejection::PreviewOnly, Some(ApiVersion::new(7, 0))),
            (VersionRejection::Unrouted, Some(ApiVersion::new(7, 0))),
        ];
        for (rejection, expected) in cases {
            assert_eq!(ApiVersion::new(7, 1).fallback(rejection), expected, "{rejection:?}");
        }
        assert_eq!(ApiVersion::new(5, 0).fallback(VersionRejection::Unrouted), None);
    }

    #[test]
    fn negotiated_version_starts_at_the_newest_and_never_rises() {
        let negotiated = NegotiatedVersion::default();
        assert_eq!(negotiated.get(), ApiVersion::new(7, 1));
        assert!(!negotiated.remember(ApiVersion::new(7, 1)));

        assert!(negotiated.remember(ApiVersion::new(6, 0)));
        assert!(!negotiated.remember(ApiVersion::new(7, 0)));

        assert_eq!(negotiated.get(), ApiVersion::new(6, 0));
    }
}
