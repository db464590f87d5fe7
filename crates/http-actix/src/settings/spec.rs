//! The table of settings: the one place that says which exist.

/// How a setting is written, which decides what `aponta.toml` may hold for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text, taken byte for byte.
    Text,
    /// Text that is never shown; `NAME_FILE` may name a file that holds it.
    Secret,
    /// A whole number.
    Number,
    /// True or false.
    Flag,
    /// Texts separated by commas.
    List,
}

/// One setting: what the documentation and `aponta config` say of it.
#[derive(Debug)]
pub struct SettingSpec {
    /// The name in the environment and in `.env`; in `aponta.toml` the same in lower case.
    pub name: &'static str,
    /// How it is written.
    pub kind: Kind,
    /// The default as it would be written; empty when there is none.
    pub default: &'static str,
    /// One line for the operator.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test compares it with the README"))]
    pub help: &'static str,
}

impl SettingSpec {
    /// Whether the value must never be shown.
    #[must_use]
    pub fn secret(&self) -> bool {
        self.kind == Kind::Secret
    }

    /// The setting called `name`.
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|spec| spec.name == name)
    }

    /// The setting that the variable `name` feeds: its own, or for `X_FILE` the secret X.
    pub(super) fn fed_by(name: &str) -> Option<&'static Self> {
        Self::find(name).or_else(|| Self::find(name.strip_suffix("_FILE")?).filter(|spec| spec.secret()))
    }
}

const fn setting(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> SettingSpec {
    SettingSpec { name, kind, default, help }
}

/// Every setting, in the order in which `aponta config` lists them.
pub const SETTINGS: &[SettingSpec] = &[
    // Production is the default because it is the one that refuses unsafe settings: whoever forgets it is safe.
    setting(
        "ENVIRONMENT",
        Kind::Text,
        "production",
        "`development` or `production`; production refuses unsafe settings",
    ),
    setting("API_HOST", Kind::Text, "0.0.0.0", "IP address to listen on"),
    setting("API_PORT", Kind::Number, "8000", "port to listen on; 0 lets the system choose"),
    setting("API_DEBUG", Kind::Flag, "false", "the service logs its own details (level debug); refused in production"),
    setting(
        "METRICS_PORT",
        Kind::Number,
        "",
        "port for Prometheus, on the address of API_HOST; 0 lets the system choose, unset = no metrics",
    ),
    setting(
        "TRUSTED_PROXIES",
        Kind::List,
        "",
        "networks like `172.16.0.0/12` whose `X-Forwarded-For` tells the client's address; production refuses more than a /8 (IPv4) or /7 (IPv6)",
    ),
    setting("LOG", Kind::Text, "info", "what is logged: a level, or `target=level` pairs"),
    setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        Kind::Text,
        "",
        "base address of a collector for traces, OTLP over HTTP, like `http://collector:4318`; unset = no traces",
    ),
    setting(
        "DATABASE_URL",
        Kind::Secret,
        "",
        "`postgresql://user:password@host:port/name`, see below; wins over the next five",
    ),
    setting(
        "DATABASE_HOST",
        Kind::Text,
        "",
        "PostgreSQL's host name, address or socket directory; several with commas",
    ),
    setting("DATABASE_PORT", Kind::Number, "5432", "PostgreSQL's port, or one for each host with commas"),
    setting("DATABASE_NAME", Kind::Text, "", "name of the database"),
    setting("DATABASE_USER", Kind::Text, "", "user of the database"),
    setting("DATABASE_PASSWORD", Kind::Secret, "", "password of that user"),
    setting("DATABASE_SCHEMA", Kind::Text, "api_aponta", "schema of this deployment, one per tenant"),
    setting(
        "DATABASE_POOL_SIZE",
        Kind::Number,
        "10",
        "connections to the database at most (1 to 1000), and one more for `/health`",
    ),
    setting(
        "AUTH_ENABLED",
        Kind::Flag,
        "true",
        "whether requests need a token; false is refused in production and serves only requests whose `Host` is loopback",
    ),
    setting(
        "AUTH_ANY_ORGANISATION",
        Kind::Flag,
        "false",
        "true lets every Azure DevOps account of any organisation sign in where AZURE_DEVOPS_ORG_URL is unset",
    ),
    setting(
        "AUTH_CACHE_TTL",
        Kind::Number,
        "60",
        "seconds that a valid identity is remembered (0 to 600, in development to 86400); 0 = off",
    ),
    setting("EXTENSION_APP_KEYS", Kind::Secret, "", "`key:audience` pairs that sign the extension's app tokens"),
    setting(
        "APP_TOKEN_ALONE",
        Kind::Text,
        "off",
        "`off`: an app token needs an access token of its user; `members`: without one it signs in active members of the \
         organisation, whom AZURE_DEVOPS_PAT may read",
    ),
    setting(
        "AZURE_DEVOPS_ORG_URL",
        Kind::Text,
        "",
        "the organisation whose users may sign in, `https://dev.azure.com/name`; required in production",
    ),
    setting(
        "AZURE_DEVOPS_PAT",
        Kind::Secret,
        "",
        "token of the service itself; tells what is gone from Azure DevOps, and asks it where AUTH_ENABLED=false",
    ),
    setting(
        "AZURE_DEVOPS_PROFILE_URL",
        Kind::Text,
        "https://app.vssps.visualstudio.com",
        "base address of the profile endpoint, which checks tokens when no organisation is set",
    ),
    setting(
        "SYNC_INTERVAL",
        Kind::Number,
        "0",
        "seconds between two synchronisations of the projects (10 to 604800), needs AZURE_DEVOPS_PAT and AZURE_DEVOPS_ORG_URL; 0 = off",
    ),
    setting(
        "CORS_ORIGINS",
        Kind::List,
        "",
        "browser origins, `https://host[:port]`; `*` may stand for the first label",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_fit_for_documentation() {
        for spec in SETTINGS {
            assert_eq!(
                SETTINGS.iter().filter(|other| other.name == spec.name).count(),
                1,
                "{} is listed once",
                spec.name
            );
            assert!(spec.name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{}", spec.name);
            assert!(!spec.name.ends_with("_FILE"), "{} would collide with a secret's file", spec.name);
            assert!(!spec.help.is_empty() && !spec.help.contains(['\n', '|']), "{} must fit a table's cell", spec.name);
            assert!(!spec.secret() || spec.default.is_empty(), "{} must have no default secret", spec.name);
        }
    }

    #[test]
    fn only_secrets_may_come_from_a_file() {
        assert_eq!(SettingSpec::fed_by("AZURE_DEVOPS_PAT_FILE").map(|spec| spec.name), Some("AZURE_DEVOPS_PAT"));
        for name in ["DATABASE_USER_FILE", "_FILE", "NOTHING_FILE", "PATH", ""] {
            assert!(SettingSpec::fed_by(name).is_none(), "{name}");
        }
    }
}
