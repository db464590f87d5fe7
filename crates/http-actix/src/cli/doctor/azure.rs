//! Azure DevOps: whether it can be reached, what time it has, and whether our token is good.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::settings::Settings;
use crate::wiring::SystemClock;
use adapters_azure::{AzureConfig, AzureDevOps};
use domain::{Credential, Error, IdentityProvider};
use reqwest::StatusCode;
use reqwest::header::DATE;
use reqwest::redirect::Policy;

use super::report::Report;
use crate::error::CliError;

const TIMEOUT: Duration = Duration::from_secs(10);
/// The header has whole seconds, and the way takes time. Tokens are checked with a tolerance of minutes.
const SKEW: Duration = Duration::from_secs(30);

/// Looks at what the settings say of Azure DevOps.
pub async fn look(settings: &Settings, config: &AzureConfig, report: &mut Report) {
    let (address, question) = match &settings.azure.org_url {
        Some(organisation) => (organisation, "_apis/connectionData"),
        None if settings.auth_enabled => (&settings.azure.profile_url, "_apis/profile/profiles/me"),
        None => return report.note("Azure DevOps", "not used: AUTH_ENABLED=false and no AZURE_DEVOPS_ORG_URL"),
    };
    look_at_way(address, question, report).await;
    match &settings.azure.pat {
        Some(pat) => look_at_token(config, Credential::Basic { pat: pat.clone() }, report).await,
        None => report.note("token", "AZURE_DEVOPS_PAT is unset: users themselves tell which projects are gone"),
    }
    look_at_app_tokens(settings, config, report).await;
}

/// Whether app tokens can sign in, and by what.
async fn look_at_app_tokens(settings: &Settings, config: &AzureConfig, report: &mut Report) {
    if config.extension_app_keys.is_empty() {
        return report.note("app tokens", "EXTENSION_APP_KEYS is unset: app tokens of the extension are rejected");
    }
    if config.org_url.is_none() {
        return report
            .wrong("app tokens", "all are rejected: set AZURE_DEVOPS_ORG_URL, without which nothing proves them");
    }
    let Some(pat) = settings.azure.pat.clone().filter(|_| settings.azure.app_token_alone) else {
        return report.ok("app tokens", "accepted with an access token of their user");
    };
    let checked = match AzureDevOps::new(config, Arc::new(SystemClock)) {
        Ok(azure) => azure.check_members(Credential::Basic { pat }).await,
        Err(error) => Err(error),
    };
    match checked {
        Ok(()) => report.ok("app tokens", "accepted alone from members of the organisation"),
        Err(error) => report.wrong(
            "app tokens",
            format_args!(
                "members cannot be read ({}): AZURE_DEVOPS_PAT needs Member Entitlement Management (Read)",
                CliError::of(&error)
            ),
        ),
    }
}

/// Asks what the service asks to learn who somebody is, but without a token: then Azure DevOps says so, in one of its
/// ways, or answers for everybody. Whatever else comes is of something in between, or of an address that is no
/// organisation's.
async fn look_at_way(address: &str, question: &str, report: &mut Report) {
    let client = reqwest::Client::builder().timeout(TIMEOUT).redirect(Policy::none()).build();
    let url = format!("{}/{question}", address.trim().trim_end_matches('/'));
    let started = Instant::now();
    let answer = match client {
        Ok(client) => client.get(url).send().await,
        Err(error) => Err(error),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let reason = if error.is_timeout() { "no answer in time" } else { "no connection" };
            return report.wrong("Azure DevOps", format_args!("{address}: {reason}: look at DNS, firewall and proxy"));
        }
    };
    match answer.status() {
        StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION | StatusCode::FOUND | StatusCode::UNAUTHORIZED => {
            report.ok("Azure DevOps", format_args!("{address} answers in {} ms", started.elapsed().as_millis()));
        }
        status => {
            let advice = match status {
                StatusCode::NOT_FOUND => "there is no such organisation: look at the address",
                StatusCode::PROXY_AUTHENTICATION_REQUIRED => "the proxy wants credentials: look at HTTPS_PROXY",
                status if status.is_server_error() => "Azure DevOps is ill, or what stands in between",
                _ => "something in between answers: look at firewall and proxy",
            };
            report.wrong("Azure DevOps", format_args!("{address} answers {}: {advice}", status.as_u16()));
        }
    }
    let date = answer.headers().get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    if let Some(date) = date {
        let now = SystemTime::now();
        let skew = now.duration_since(date).or_else(|_| date.duration_since(now)).unwrap_or_default();
        if skew <= SKEW {
            report.ok("clock", format_args!("{} s from Azure DevOps'", skew.as_secs()));
        } else {
            let seconds = skew.as_secs();
            report.wrong("clock", format_args!("{seconds} s from Azure DevOps': tokens seem expired; follow NTP"));
        }
    }
}

async fn look_at_token(config: &AzureConfig, credential: Credential, report: &mut Report) {
    let azure = match AzureDevOps::new(config, Arc::new(SystemClock)) {
        Ok(azure) => azure,
        Err(error) => return report.wrong("token", CliError::of(&error)),
    };
    match azure.authenticate(Some(credential)).await {
        Ok(caller) => report.ok("token", format_args!("AZURE_DEVOPS_PAT is that of {}", caller.usuario.display_name)),
        Err(Error::CredentialRejected) => {
            report.wrong("token", "AZURE_DEVOPS_PAT is rejected: it has ended or was revoked; make a new one");
        }
        Err(error) => report.wrong("token", CliError::of(&error)),
    }
}
