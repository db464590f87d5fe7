//! Azure DevOps: the connection, the clock, the PAT of the service, and app tokens.

use std::sync::Arc;
use std::time::Duration;

use adapters_azure::{AzureConfig, Connection, PatStatus, Probe, Rejection};

use super::report::Report;
use crate::error::CliError;
use crate::settings::Settings;
use crate::wiring::SystemClock;

/// Allowed clock difference. The `Date` header has whole seconds, and the response takes time. Tokens are checked with a
/// tolerance of one minute.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(30);
/// The topic of the connection in the report.
const TOPIC: &str = "Azure DevOps";

/// Runs all checks and reports their findings.
pub async fn check(settings: &Settings, config: &AzureConfig, report: &mut Report) {
    if config.org_url.is_none() && !settings.auth_enabled {
        return report.note(TOPIC, "not used: AUTH_ENABLED=false and no AZURE_DEVOPS_ORG_URL");
    }
    let probe = match Probe::new(config) {
        Ok(probe) => probe,
        Err(error) => return report.wrong(TOPIC, CliError::of(&error)),
    };
    check_connection(&probe, report).await;
    match &settings.azure.pat {
        Some(pat) => report_pat(&probe.pat(pat.clone(), Arc::new(SystemClock)).await, report),
        None => report.note("token", "AZURE_DEVOPS_PAT is unset: deleted projects are not confirmed by the service"),
    }
    check_app_tokens(&probe, settings, config, report).await;
}

async fn check_connection(probe: &Probe, report: &mut Report) {
    let (address, found) = (probe.address(), probe.connection().await);
    match found.connection {
        Connection::Reachable(elapsed) => {
            report.ok(TOPIC, format_args!("{address} responds in {} ms", elapsed.as_millis()));
        }
        Connection::Moved(new) => {
            report.wrong(TOPIC, format_args!("{address} moved to {new}: set that as AZURE_DEVOPS_ORG_URL"));
        }
        Connection::OrganisationNotFound => {
            report.wrong(TOPIC, format_args!("{address} responds 404: no such organisation; check the address"));
        }
        Connection::ProxyAuthenticationRequired => {
            report.wrong(TOPIC, format_args!("{address}: the proxy requires credentials: check HTTPS_PROXY"));
        }
        Connection::ServerError(status) => {
            report.wrong(TOPIC, format_args!("{address} responds {status}: an outage of Azure DevOps or a proxy"));
        }
        Connection::Unexpected(status) => report.wrong(
            TOPIC,
            format_args!("{address} responds {status}, as Azure DevOps does not: check firewall and proxy"),
        ),
        Connection::UnknownIssuer(issuer) => report.wrong(
            TOPIC,
            format_args!(
                "{address}: unknown issuer of the certificate: {}: add it to the PEM file of SSL_CERT_FILE",
                issuer.as_deref().unwrap_or("without a name")
            ),
        ),
        Connection::InvalidCertificate(reason) => {
            report.wrong(TOPIC, format_args!("{address}: invalid certificate: {reason}"));
        }
        Connection::TimedOut => {
            report.wrong(TOPIC, format_args!("{address}: no response in time: check firewall and proxy"));
        }
        Connection::Unreachable(reason) => {
            report.wrong(TOPIC, format_args!("{address}: no connection: {reason}: check DNS, firewall and proxy"));
        }
    }
    if let Some(skew) = found.clock_skew {
        let seconds = skew.as_secs();
        if skew <= MAX_CLOCK_SKEW {
            report.ok("clock", format_args!("{seconds} s from Azure DevOps'"));
        } else {
            report.wrong("clock", format_args!("{seconds} s from Azure DevOps': tokens appear expired; use NTP"));
        }
    }
}

fn report_pat(status: &PatStatus, report: &mut Report) {
    const TOPIC: &str = "token";
    match status {
        PatStatus::Accepted(usuario, product) => {
            report.ok(TOPIC, format_args!("AZURE_DEVOPS_PAT is that of {} on {product}", usuario.display_name));
        }
        PatStatus::ProjectsDenied(product) => report.wrong(
            TOPIC,
            format_args!("AZURE_DEVOPS_PAT may not read projects on {product}: it needs Project and Team (Read)"),
        ),
        PatStatus::Rejected(rejection) => {
            let reason = match rejection {
                Rejection::Expired => "it has expired",
                Rejection::SignInPage => {
                    "Azure DevOps responds with its sign-in page: it is revoked or belongs to another organisation"
                }
                Rejection::Anonymous => "Azure DevOps treats it as anonymous: it is revoked or has expired",
                Rejection::Unauthorized | Rejection::NotConfirmed => {
                    "it is revoked, has expired or belongs to another organisation"
                }
            };
            report.wrong(TOPIC, format_args!("AZURE_DEVOPS_PAT is rejected: {reason}; create a new one"));
        }
        PatStatus::Moved(new) => {
            report.wrong(TOPIC, format_args!("the organisation moved to {new}: set that as AZURE_DEVOPS_ORG_URL"));
        }
        PatStatus::UnsupportedVersion(reason) => report.wrong(TOPIC, format_args!("version too old: {reason}")),
        PatStatus::Failed(error) => report.wrong(TOPIC, CliError::of(error)),
    }
}

async fn check_app_tokens(probe: &Probe, settings: &Settings, config: &AzureConfig, report: &mut Report) {
    const TOPIC: &str = "app tokens";
    if config.extension_app_keys.is_empty() {
        return report.note(TOPIC, "EXTENSION_APP_KEYS is unset: app tokens of the extension are rejected");
    }
    if config.org_url.is_none() {
        return report.wrong(TOPIC, "all are rejected: set AZURE_DEVOPS_ORG_URL, without which nothing confirms them");
    }
    let Some(pat) = settings.azure.pat.clone().filter(|_| settings.azure.app_token_alone) else {
        return report.ok(TOPIC, "accepted with an access token of their user");
    };
    match probe.members(pat, Arc::new(SystemClock)).await {
        Ok(()) => report.ok(TOPIC, "accepted alone from members of the organisation"),
        Err(error) => report.wrong(
            TOPIC,
            format_args!(
                "members cannot be read ({}): AZURE_DEVOPS_PAT needs Member Entitlement Management (Read)",
                CliError::of(&error)
            ),
        ),
    }
}
