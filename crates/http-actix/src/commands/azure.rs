//! Azure DevOps of the settings, for the commands that need it.

use adapters_azure::{AppKey, AzureConfig, OrgUrl, ServiceUrl, UrlError};
use http_actix::settings::{SettingFault, Settings, has_credentials};

/// What the settings say of Azure DevOps, as the adapter wants it.
pub fn config(settings: &Settings) -> Result<AzureConfig, Vec<SettingFault>> {
    let azure = &settings.azure;
    let org_url = match azure.org_url.as_deref() {
        Some(url) => address("AZURE_DEVOPS_ORG_URL", url, OrgUrl::parse).map(Some),
        None => settings.check_organisation().map(|()| None),
    };
    let profile_url = address("AZURE_DEVOPS_PROFILE_URL", &azure.profile_url, ServiceUrl::parse);
    let app_keys = azure.app_keys.as_ref().map_or(Ok(Vec::new()), |keys| {
        AppKey::parse_list(keys).map_err(|reason| SettingFault::new("EXTENSION_APP_KEYS", reason.to_string()))
    });
    match (org_url, profile_url, app_keys) {
        (Ok(org_url), Ok(profile_url), Ok(extension_app_keys)) => Ok(AzureConfig {
            org_url,
            profile_base_url: Some(profile_url),
            extension_app_keys,
            cache_ttl: settings.auth_cache_ttl,
            traceparent: Some(http_actix::traceparent),
            ..AzureConfig::default()
        }),
        (org_url, profile_url, app_keys) => {
            Err(org_url.err().into_iter().chain(profile_url.err()).chain(app_keys.err()).collect())
        }
    }
}

/// An address, which is no place for a token: whoever may see settings would see it.
fn address<T>(name: &str, url: &str, parse: fn(&str) -> Result<T, UrlError>) -> Result<T, SettingFault> {
    if has_credentials(url) {
        let advice = "must hold no credentials: callers bring their own, and that of the service is AZURE_DEVOPS_PAT";
        return Err(SettingFault::value(name, url, advice));
    }
    parse(url).map_err(|reason| SettingFault::value(name, url, reason.to_string()))
}
