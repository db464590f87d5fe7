//! Settings that open the service to more than its users: production rejects them, or the operator gets a warning.
//! SECURITY.md has the same list as a table.

use std::fmt;
use std::time::Duration;

use ipnet::IpNet;

use super::reader::Reader;
use super::{ConfigError, Environment, OriginPattern, Settings};

/// The longest time in which a removed user may stay signed in, in production.
const MAX_CACHE_TTL: Duration = Duration::from_mins(10);

/// A setting that is allowed but exposes the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigWarning {
    name: &'static str,
    text: &'static str,
}

impl ConfigWarning {
    const fn new(name: &'static str, text: &'static str) -> Self {
        Self { name, text }
    }
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.text)
    }
}

impl Settings {
    /// Records an error for every value that production rejects.
    pub(super) fn check_exposure(&self, reader: &mut Reader) {
        const REFUSED: &str = "is only allowed with ENVIRONMENT=development";
        if self.environment == Environment::Development {
            return;
        }
        if !self.auth_enabled {
            reader.push_error(ConfigError::value("AUTH_ENABLED", "false", REFUSED));
        }
        if self.debug {
            reader.push_error(ConfigError::value("API_DEBUG", "true", REFUSED));
        }
        if MAX_CACHE_TTL < self.auth_cache_ttl {
            let seconds = self.auth_cache_ttl.as_secs().to_string();
            let problem = format!("is more than {} and {REFUSED}", MAX_CACHE_TTL.as_secs());
            reader.push_error(ConfigError::value("AUTH_CACHE_TTL", seconds, problem));
        }
        for network in self.trusted_proxies.iter().filter(|network| is_too_wide(network)) {
            let problem =
                format!("is more than a /8 of IPv4 or a /7 of IPv6, where any client could be, and {REFUSED}");
            reader.push_error(ConfigError::value("TRUSTED_PROXIES", network.to_string(), problem));
        }
    }

    /// Checks that production limits sign-in to an organisation.
    ///
    /// # Errors
    /// If no organisation is set and `AUTH_ANY_ORGANISATION` is false.
    pub fn check_organisation(&self) -> Result<(), ConfigError> {
        if self.environment == Environment::Production && self.is_open_to_any_organisation() && !self.any_organisation {
            return Err(ConfigError::new(
                "AZURE_DEVOPS_ORG_URL",
                "is missing: every Azure DevOps account of any organisation could sign in; set it, or \
                 AUTH_ANY_ORGANISATION=true if that is meant",
            ));
        }
        Ok(())
    }

    /// Warnings about allowed values, for the log at start and `aponta doctor`.
    #[must_use]
    pub fn warnings(&self) -> Vec<ConfigWarning> {
        let mut warnings = Vec::new();
        if !self.auth_enabled {
            let text = "false: every request is the development user's, from whatever machine it comes";
            warnings.push(ConfigWarning::new("AUTH_ENABLED", text));
        }
        if self.is_open_to_any_organisation() {
            let text = "is unset: every Azure DevOps account of any organisation can sign in, tokens of a single \
                        organisation cannot, and there are no projects to synchronise";
            warnings.push(ConfigWarning::new("AZURE_DEVOPS_ORG_URL", text));
        }
        if self.environment == Environment::Production && self.cors_origins.iter().any(OriginPattern::is_plain_http) {
            let text = "holds an http origin: an attacker on the network can change the pages that call the API";
            warnings.push(ConfigWarning::new("CORS_ORIGINS", text));
        }
        warnings
    }

    /// Whether the global profile endpoint alone decides who signs in.
    fn is_open_to_any_organisation(&self) -> bool {
        self.auth_enabled && self.azure.org_url.is_none()
    }
}

/// The widest private networks are 10.0.0.0/8 and `fc00::/7`.
fn is_too_wide(network: &IpNet) -> bool {
    match network {
        IpNet::V4(network) => network.prefix_len() < 8,
        IpNet::V6(network) => network.prefix_len() < 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Sources;

    const PRODUCTION: (&str, &str) = ("ENVIRONMENT", "production");
    const DEVELOPMENT: (&str, &str) = ("ENVIRONMENT", "Development");
    const ORGANISATION: (&str, &str) = ("AZURE_DEVOPS_ORG_URL", "https://dev.azure.com/contoso");

    /// Parses these variables as a command that serves does.
    fn parse(variables: &[(&str, &str)]) -> Result<Settings, String> {
        let sources = Sources::default().with_environment(variables.iter().copied());
        let parsed = Settings::parse(&sources, |settings| settings.check_organisation().map_err(|error| vec![error]));
        parsed.map(|(settings, ())| settings).map_err(|errors| errors.to_string())
    }

    fn warnings_of(variables: &[(&str, &str)]) -> Vec<&'static str> {
        parse(variables).unwrap().warnings().iter().map(|warning| warning.name).collect()
    }

    #[test]
    fn production_with_an_unsafe_value_is_rejected() {
        let cases = [
            ("AUTH_ENABLED", "off", r#""false" is only allowed with ENVIRONMENT=development"#),
            ("API_DEBUG", "1", r#""true" is only allowed with ENVIRONMENT=development"#),
            ("AUTH_CACHE_TTL", "601", r#""601" is more than 600 and is only allowed with ENVIRONMENT=development"#),
            ("AUTH_CACHE_TTL", "86400", r#""86400" is more than 600 and is only allowed with ENVIRONMENT=development"#),
            ("TRUSTED_PROXIES", "10.0.0.0/8, 0.0.0.0/0", r#""0.0.0.0/0" is more than a /8 of IPv4"#),
            ("TRUSTED_PROXIES", "128.0.0.0/1", r#""128.0.0.0/1" is more than a /8 of IPv4"#),
            ("TRUSTED_PROXIES", "::/0", r#""::/0" is more than a /8 of IPv4 or a /7 of IPv6"#),
        ];
        for (name, value, problem) in cases {
            for environment in [&[PRODUCTION][..], &[]] {
                let message = parse(&[environment, &[ORGANISATION, (name, value)]].concat()).unwrap_err();
                assert!(message.starts_with(&format!("wrong settings:\n  {name}: {problem}")), "{message}");
                assert_eq!(message.lines().count(), 2, "{message}");
            }
            assert!(parse(&[DEVELOPMENT, ORGANISATION, (name, value)]).is_ok(), "{name}={value}");
        }
    }

    #[test]
    fn production_with_the_widest_safe_value_is_accepted() {
        for (name, value) in [("AUTH_CACHE_TTL", "600"), ("TRUSTED_PROXIES", "10.0.0.0/8,fc00::/7,192.0.2.1")] {
            assert!(parse(&[ORGANISATION, (name, value)]).is_ok(), "{name}={value}");
        }
    }

    #[test]
    fn production_without_an_organisation_is_rejected_unless_overridden() {
        let error = "wrong settings:\n  AZURE_DEVOPS_ORG_URL: is missing: every Azure DevOps account of any \
                     organisation could sign in; set it, or AUTH_ANY_ORGANISATION=true if that is meant";
        for variables in [&[][..], &[PRODUCTION], &[("AUTH_ANY_ORGANISATION", "false")], &[(ORGANISATION.0, "")]] {
            assert_eq!(parse(variables).unwrap_err(), error, "{variables:?}");
        }
        for variables in [&[ORGANISATION][..], &[("AUTH_ANY_ORGANISATION", "true")], &[DEVELOPMENT]] {
            assert!(parse(variables).is_ok(), "{variables:?}");
        }
    }

    #[test]
    fn warnings_name_each_allowed_value_that_exposes_the_service() {
        let http = ("CORS_ORIGINS", "https://a.example.org,http://b.example.org");
        let unauthenticated = ("AUTH_ENABLED", "false");

        assert_eq!(warnings_of(&[ORGANISATION, ("CORS_ORIGINS", "https://a.example.org")]), [""; 0]);
        assert_eq!(warnings_of(&[ORGANISATION, http]), ["CORS_ORIGINS"]);
        assert_eq!(warnings_of(&[("AUTH_ANY_ORGANISATION", "true"), http]), ["AZURE_DEVOPS_ORG_URL", "CORS_ORIGINS"]);
        assert_eq!(warnings_of(&[DEVELOPMENT]), ["AZURE_DEVOPS_ORG_URL"]);
        assert_eq!(warnings_of(&[DEVELOPMENT, ORGANISATION, http]), [""; 0]);
        assert_eq!(warnings_of(&[DEVELOPMENT, unauthenticated]), ["AUTH_ENABLED"]);
    }
}
