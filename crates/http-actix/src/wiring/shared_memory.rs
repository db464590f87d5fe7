//! The configuration of the shared memory, from the settings.

use crate::settings::{ConfigError, Settings};
use adapters_redis::{Config, InvalidConfig};

const URL: &str = "REDIS_URL";
const KEY: &str = "SHARED_KEY";

/// Makes the configuration of the adapter, if there is a server, or returns every setting of it that is wrong.
pub fn config(settings: &Settings) -> Result<Option<Config>, Vec<ConfigError>> {
    let Some(url) = &settings.redis_url else { return Ok(None) };
    let Some(key) = &settings.shared_key else {
        let problem = "is missing: REDIS_URL needs it, the secret that seals identities (`openssl rand -base64 32`)";
        return Err(vec![ConfigError::new(KEY, problem)]);
    };
    Config::new(url, key, &tenant(settings)).map(Some).map_err(|reason| {
        let name = match reason {
            InvalidConfig::Url => URL,
            InvalidConfig::ShortKey => KEY,
        };
        vec![ConfigError::new(name, reason.to_string())]
    })
}

/// Names the deployment: its schema, and the service that identifies its users.
fn tenant(settings: &Settings) -> String {
    let identities = settings.azure.org_url.as_ref().unwrap_or(&settings.azure.profile_url);
    format!("{}@{}", settings.database.schema, identities.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Sources;

    fn errors(variables: &[(&str, &str)]) -> String {
        let sources = Sources::default().with_environment(variables.iter().copied());
        Settings::parse(&sources, config).map(drop).map_err(|errors| errors.to_string()).err().unwrap_or_default()
    }

    #[test]
    fn server_needs_a_key_of_32_bytes() {
        let (url, key) = ((URL, "redis://:p@h"), (KEY, "0123456789abcdef0123456789abcdef"));

        assert_eq!(errors(&[]), "");
        assert_eq!(errors(&[key]), "");
        assert_eq!(errors(&[url, key]), "");
        assert!(errors(&[url]).starts_with("wrong settings:\n  SHARED_KEY: is missing: REDIS_URL needs it"));
        let short = errors(&[url, (KEY, "segredo")]);
        assert!(
            short.starts_with("wrong settings:\n  SHARED_KEY: has less than 32 bytes") && !short.contains("segredo")
        );
        let wrong = errors(&[(URL, "http://:segredo@h"), key]);
        assert!(wrong.starts_with("wrong settings:\n  REDIS_URL: is not a URL like") && !wrong.contains("segredo"));
    }

    #[test]
    fn tenant_is_the_schema_and_the_organisation() {
        let tenant = |variables: &[(&str, &str)]| {
            let sources = Sources::default().with_environment(variables.iter().copied());
            tenant(&Settings::parse(&sources, |_| Ok(())).unwrap().0)
        };
        let organisation = ("AZURE_DEVOPS_ORG_URL", "https://dev.azure.com/contoso/");

        assert_eq!(tenant(&[organisation, ("DATABASE_SCHEMA", "s")]), "s@https://dev.azure.com/contoso");
        assert_eq!(tenant(&[]), "api_aponta@https://app.vssps.visualstudio.com");
    }
}
