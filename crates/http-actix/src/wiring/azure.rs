//! The configuration of the Azure DevOps adapter, from the settings.

use crate::settings::{AzureSettings, ConfigError, Settings, has_credentials};
use adapters_azure::{AppKey, AzureConfig, OrgUrl, ServiceUrl, UrlError};
use secrecy::SecretString;

/// Makes the configuration of the adapter, or returns every setting of Azure DevOps that is wrong.
pub fn config(settings: &Settings) -> Result<AzureConfig, Vec<ConfigError>> {
    let azure = &settings.azure;
    let org_url = match azure.org_url.as_deref() {
        Some(url) => address("AZURE_DEVOPS_ORG_URL", url, OrgUrl::parse).map(Some),
        None => settings.check_organisation().map(|()| None),
    };
    let profile_url = address("AZURE_DEVOPS_PROFILE_URL", &azure.profile_url, ServiceUrl::parse);
    let app_keys = azure.app_keys.as_ref().map_or(Ok(Vec::new()), |keys| {
        AppKey::parse_list(keys).map_err(|reason| ConfigError::new("EXTENSION_APP_KEYS", reason.to_string()))
    });
    let members_pat = members_pat(azure);
    let sync = check_sync_interval(settings);
    match (org_url, profile_url, app_keys, members_pat, sync) {
        (Ok(org_url), Ok(profile_url), Ok(extension_app_keys), Ok(members_pat), Ok(())) => Ok(AzureConfig {
            org_url,
            profile_base_url: Some(profile_url),
            extension_app_keys,
            members_pat,
            cache_ttl: settings.auth_cache_ttl,
            traceparent: Some(http_api::traceparent),
            ..AzureConfig::default()
        }),
        (org_url, profile_url, app_keys, members_pat, sync) => {
            let errors = [org_url.err(), profile_url.err(), app_keys.err(), members_pat.err(), sync.err()];
            Err(errors.into_iter().flatten().collect())
        }
    }
}

/// Checks that scheduled synchronisation has an organisation and a credential of the service.
fn check_sync_interval(settings: &Settings) -> Result<(), ConfigError> {
    let Some(interval) = settings.sync_interval else { return Ok(()) };
    let problem = match (&settings.azure.org_url, &settings.azure.pat) {
        (Some(_), Some(_)) => return Ok(()),
        (None, _) => "needs AZURE_DEVOPS_ORG_URL, the organisation whose projects are synchronised",
        (Some(_), None) => "needs AZURE_DEVOPS_PAT with the scope Project and Team (Read)",
    };
    Err(ConfigError::value("SYNC_INTERVAL", interval.as_secs().to_string(), problem))
}

/// The PAT by which membership is checked if app tokens sign in alone. That needs every setting by which membership is proven.
fn members_pat(azure: &AzureSettings) -> Result<Option<SecretString>, ConfigError> {
    if !azure.app_token_alone {
        return Ok(None);
    }
    let error = |reason: &str| ConfigError::value("APP_TOKEN_ALONE", "members", reason);
    if azure.app_keys.is_none() {
        return Err(error("needs EXTENSION_APP_KEYS, the keys that sign app tokens"));
    }
    let organisation = azure
        .org_url
        .as_deref()
        .ok_or_else(|| error("needs AZURE_DEVOPS_ORG_URL, the organisation whose members sign in"))?;
    // An invalid address has an error of its own.
    if OrgUrl::parse(organisation).is_ok_and(|organisation| organisation.members().is_none()) {
        return Err(error("needs an organisation of Azure DevOps Services: a server has no list of members"));
    }
    let pat = azure.pat.clone();
    pat.map(Some).ok_or_else(|| error("needs AZURE_DEVOPS_PAT with the scope Member Entitlement Management (Read)"))
}

/// Parses an address. It must contain no token, because `aponta config` prints addresses.
fn address<T>(name: &str, url: &str, parse: fn(&str) -> Result<T, UrlError>) -> Result<T, ConfigError> {
    if has_credentials(url) {
        let advice = "must hold no credentials: callers bring their own, and that of the service is AZURE_DEVOPS_PAT";
        return Err(ConfigError::value(name, url, advice));
    }
    parse(url).map_err(|reason| ConfigError::value(name, url, reason.to_string()))
}
