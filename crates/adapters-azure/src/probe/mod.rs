//! Diagnosis of the connection to Azure DevOps: what `aponta doctor` reports about it.
//!
//! Each check returns a structured finding and never fails itself. The checks send the same requests as the adapter.

mod connection;
mod pat;
mod tls;

use std::fmt;
use std::time::Duration;

use domain::{Error, Usuario};

use crate::client::ApiVersion;
use crate::config::AzureConfig;
use crate::error::Rejection;
use crate::identity::Source;

/// The checks for one configuration.
pub struct Probe {
    config: AzureConfig,
    source: Source,
}

/// The result of a request without a credential.
#[derive(Debug)]
pub struct ConnectionReport {
    /// Whether Azure DevOps responds, or why not.
    pub connection: Connection,
    /// Difference between the local clock and that of the server, if the response has a date.
    pub clock_skew: Option<Duration>,
}

/// The state of the connection to Azure DevOps.
#[derive(Debug, PartialEq, Eq)]
pub enum Connection {
    /// Azure DevOps responded after this time.
    Reachable(Duration),
    /// A redirect to another address, without the path of the API.
    Moved(String),
    /// 404: the address names no organisation.
    OrganisationNotFound,
    /// 407: the proxy requires credentials.
    ProxyAuthenticationRequired,
    /// This status, 5xx, from Azure DevOps or a proxy.
    ServerError(u16),
    /// This status, which Azure DevOps does not send. A firewall or proxy most likely does.
    Unexpected(u16),
    /// The certificate of the server is signed by this authority, which the machine does not trust.
    UnknownIssuer(Option<String>),
    /// The certificate is invalid for this reason, for example expired or for another host.
    InvalidCertificate(String),
    /// No response in time.
    TimedOut,
    /// No connection for this reason, for example DNS or a firewall.
    Unreachable(String),
}

/// The product that responds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// Azure DevOps Services.
    Services,
    /// Azure DevOps Server with this newest version of the REST API, which alone reveals the release.
    Server(ApiVersion),
}

/// The state of a PAT.
#[derive(Debug)]
pub enum PatStatus {
    /// Azure DevOps accepts the PAT of this user, which may read projects.
    Accepted(Usuario, Product),
    /// Azure DevOps accepts the PAT but denies reading projects with it.
    ProjectsDenied(Product),
    /// Azure DevOps rejects the PAT.
    Rejected(Rejection),
    /// A redirect to another address, as in [`Connection::Moved`].
    Moved(String),
    /// The server is older than Azure DevOps Server 2019; the text names its version.
    UnsupportedVersion(String),
    /// The check failed for another reason.
    Failed(Error),
}

impl Probe {
    /// Prepares the checks for `config`.
    ///
    /// # Errors
    /// `Internal` if the default address of the profile service is invalid.
    pub fn new(config: &AzureConfig) -> Result<Self, Error> {
        Ok(Self { config: config.clone(), source: Source::from_config(config)? })
    }

    /// Returns the base address of the service that identifies users.
    #[must_use]
    pub fn address(&self) -> &str {
        self.source.base().as_str()
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Services => f.write_str("Azure DevOps Services"),
            Self::Server(api_version) => write!(f, "{} (REST API {api_version})", api_version.server_product()),
        }
    }
}

/// Returns the base address of a redirect target: without the path of the API, if it has one.
fn base_address(location: &str) -> String {
    let base = location.split_once("/_apis/").map_or(location, |(base, _)| base);
    base.trim_end_matches('/').to_owned()
}
