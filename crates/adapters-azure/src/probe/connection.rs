//! The check of the connection, without a credential.

use std::error::Error as StdError;
use std::io;
use std::time::{Duration, Instant, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{DATE, LOCATION};
use rustls::CertificateError;

use super::{Connection, ConnectionReport, Probe, base_address, tls};
use crate::client::{ApiVersion, Version, client_builder, is_sign_in_page};
use crate::identity::Source;

impl Probe {
    /// Requests the identity endpoint without a credential, as the adapter does with one.
    ///
    /// Azure DevOps responds in one of its ways to an anonymous request. Any other response comes from a firewall or
    /// proxy, or the address is wrong.
    pub async fn connection(&self) -> ConnectionReport {
        let (path, version) = match self.source {
            Source::Organisation(_) => ("/_apis/connectionData", Version::Preview),
            Source::Profile(_) => ("/_apis/profile/profiles/me", Version::Fixed("7.1")),
        };
        let base = self.source.base();
        let url = base.at(path, &[("api-version", &version.parameter(ApiVersion::NEWEST))]);
        let builder = client_builder(&self.config, base.is_loopback()).timeout(self.config.timeouts.attempt);
        let started = Instant::now();
        let response = match builder.build() {
            Ok(client) => client.get(url.clone()).send().await,
            Err(error) => Err(error),
        };
        let response = match response {
            Ok(response) => response,
            Err(error) => {
                let connection = match certificate_error(&error) {
                    Some(CertificateError::UnknownIssuer) => {
                        Connection::UnknownIssuer(tls::presented_issuer(&self.config, base, url).await)
                    }
                    Some(error) => Connection::InvalidCertificate(error.to_string()),
                    None if error.is_timeout() => Connection::TimedOut,
                    None => Connection::Unreachable(innermost(&error)),
                };
                return ConnectionReport { connection, clock_skew: None };
            }
        };
        let header = |name| response.headers().get(name)?.to_str().ok();
        let clock_skew = header(DATE).and_then(|date| httpdate::parse_http_date(date).ok()).map(skew);
        let connection = match (response.status(), header(LOCATION)) {
            // A server may check the version before the credential, which gives a 400.
            (
                StatusCode::OK
                | StatusCode::NON_AUTHORITATIVE_INFORMATION
                | StatusCode::UNAUTHORIZED
                | StatusCode::BAD_REQUEST,
                _,
            ) => Connection::Reachable(started.elapsed()),
            (status, Some(location)) if status.is_redirection() && is_sign_in_page(location) => {
                Connection::Reachable(started.elapsed())
            }
            (status, Some(location)) if status.is_redirection() => Connection::Moved(base_address(location)),
            (StatusCode::NOT_FOUND, _) => Connection::OrganisationNotFound,
            (StatusCode::PROXY_AUTHENTICATION_REQUIRED, _) => Connection::ProxyAuthenticationRequired,
            (status, _) if status.is_server_error() => Connection::ServerError(status.as_u16()),
            (status, _) => Connection::Unexpected(status.as_u16()),
        };
        ConnectionReport { connection, clock_skew }
    }
}

fn skew(date: SystemTime) -> Duration {
    let now = SystemTime::now();
    now.duration_since(date).or_else(|_| date.duration_since(now)).unwrap_or_default()
}

/// Returns the rejection of the server's certificate that caused `error`.
fn certificate_error(error: &reqwest::Error) -> Option<&CertificateError> {
    causes(error).find_map(|error| match tls_error(error) {
        Some(rustls::Error::InvalidCertificate(error)) => Some(error),
        _ => None,
    })
}

/// Returns the TLS error in `error` or in the I/O errors that wrap it, which `source` skips.
fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    match error.downcast_ref::<io::Error>() {
        Some(wrapper) => tls_error(wrapper.get_ref()?),
        None => error.downcast_ref(),
    }
}

/// Returns the text of the innermost cause, which names the operating system's error.
fn innermost(error: &reqwest::Error) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}
