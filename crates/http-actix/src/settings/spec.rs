//! The table of settings. README, `.env.example` and the secrets of `deploy` are tested against it.

/// One setting, as the documentation and `aponta config` present it.
#[derive(Debug)]
pub struct SettingSpec {
    /// The name in the environment and in `.env`.
    pub name: &'static str,
    /// Whether the value must never be printed. `NAME_FILE` may then name a file that holds it.
    pub is_secret: bool,
    /// The default as text; empty if there is none.
    pub default: &'static str,
    /// One line for the operator.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test compares it with the README"))]
    pub help: &'static str,
}

impl SettingSpec {
    /// The setting called `name`.
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|spec| spec.name == name)
    }

    /// The setting that the variable `name` sets: its own, or for `X_FILE` the secret X.
    pub(super) fn set_by(name: &str) -> Option<&'static Self> {
        Self::find(name).or_else(|| Self::find(name.strip_suffix("_FILE")?).filter(|spec| spec.is_secret))
    }
}

const fn setting(name: &'static str, default: &'static str, help: &'static str) -> SettingSpec {
    SettingSpec { name, is_secret: false, default, help }
}

const fn secret(name: &'static str, help: &'static str) -> SettingSpec {
    SettingSpec { name, is_secret: true, default: "", help }
}

/// Every setting, in the order in which `aponta config` lists them.
pub const SETTINGS: &[SettingSpec] = &[
    // A deployment that omits it rejects unsafe settings.
    setting("ENVIRONMENT", "production", "`development` or `production`; production refuses unsafe settings"),
    setting("API_HOST", "0.0.0.0", "IP address to listen on"),
    setting("API_PORT", "8000", "port to listen on; 0 lets the system choose"),
    setting(
        "API_ROOT_PATH",
        "",
        "path like `/aponta` under which a proxy publishes the service; addresses in responses start with it",
    ),
    setting("API_DEBUG", "false", "the service logs its own details (level debug); refused in production"),
    setting(
        "METRICS_PORT",
        "",
        "port for Prometheus, on the address of API_HOST; 0 lets the system choose, unset = no metrics",
    ),
    setting(
        "TRUSTED_PROXIES",
        "",
        "networks like `172.16.0.0/12` whose `X-Forwarded-For` is used as the client's address; production refuses more than a /8 (IPv4) or /7 (IPv6)",
    ),
    setting("LOG", "info", "log filter: a level, or `target=level` pairs"),
    setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "",
        "base address of a collector for traces, OTLP over HTTP, like `http://collector:4318`; unset = no traces",
    ),
    secret(
        "SENTRY_DSN",
        "DSN of a project of Sentry, or of a server with its protocol, for responses 500, panics and failed write-backs; unset = no events",
    ),
    secret("DATABASE_URL", "`postgresql://user:password@host:port/name`, see below; wins over the next five"),
    setting("DATABASE_HOST", "", "PostgreSQL's host name, address or socket directory; several with commas"),
    setting("DATABASE_PORT", "5432", "PostgreSQL's port, or one for each host with commas"),
    setting("DATABASE_NAME", "", "name of the database"),
    setting("DATABASE_USER", "", "user of the database"),
    secret("DATABASE_PASSWORD", "password of that user"),
    secret(
        "DATABASE_DIRECT_URL",
        "URL of the same database past a pooler, for migrations, `import` and `privacidade`; without a password it uses that of the other settings; unset = as for requests",
    ),
    secret(
        "DATABASE_REPLICA_URLS",
        "URLs of standbys that serve lists and reports, with commas between them; without a password they use that of the other settings; unset = PostgreSQL serves all",
    ),
    setting("DATABASE_SCHEMA", "api_aponta", "schema of this deployment, one per tenant"),
    setting("DATABASE_POOL_SIZE", "10", "connections to the database at most (1 to 1000), and one more for `/health`"),
    setting(
        "AUTH_ENABLED",
        "true",
        "whether requests need a token; false is refused in production and serves only requests whose `Host` is loopback",
    ),
    setting(
        "AUTH_ANY_ORGANISATION",
        "false",
        "true lets every Azure DevOps account of any organisation sign in where AZURE_DEVOPS_ORG_URL is unset",
    ),
    setting(
        "AUTH_CACHE_TTL",
        "60",
        "seconds that a valid identity is remembered (0 to 600, in development to 86400); 0 = off",
    ),
    setting(
        "RATE_PER_PERSON",
        "10/s;20",
        "requests per second and burst of each person, whatever their token: 429 beyond; `off`: no limit, as with AUTH_ENABLED=false",
    ),
    secret(
        "REDIS_URL",
        "`redis://:password@host:6379`, or `rediss://` for TLS: Valkey, or Redis, in which the replicas share identities and rates; needs SHARED_KEY; unset = each replica by itself",
    ),
    secret(
        "SHARED_KEY",
        "32 bytes or more, the same for all replicas of this deployment and for no other: seals the identities that they share",
    ),
    secret("EXTENSION_APP_KEYS", "`key:audience` pairs that sign the extension's app tokens"),
    setting(
        "APP_TOKEN_ALONE",
        "off",
        "`off`: an app token needs an access token of its user; `members`: without one it signs in active members of the \
         organisation, whom AZURE_DEVOPS_PAT may read",
    ),
    setting(
        "AZURE_DEVOPS_ORG_URL",
        "",
        "the organisation whose users may sign in, `https://dev.azure.com/name`; required in production",
    ),
    secret(
        "AZURE_DEVOPS_PAT",
        "PAT of the service: confirms deleted projects, synchronises (SYNC_INTERVAL), writes hours (WRITE_BACK), and is used for all calls if AUTH_ENABLED=false",
    ),
    setting(
        "AZURE_DEVOPS_PROFILE_URL",
        "https://app.vssps.visualstudio.com",
        "base address of the profile endpoint, which checks tokens when no organisation is set",
    ),
    setting(
        "SYNC_INTERVAL",
        "0",
        "seconds between two synchronisations of the projects (10 to 604800), needs AZURE_DEVOPS_PAT and AZURE_DEVOPS_ORG_URL; 0 = off",
    ),
    setting(
        "WRITE_BACK",
        "auto",
        "`auto`: where AZURE_DEVOPS_PAT and AZURE_DEVOPS_ORG_URL are set, hours are written to the work items; `off`: never",
    ),
    setting("CORS_ORIGINS", "", "browser origins, `https://host[:port]`; `*` may stand for the first label"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_of_settings_fits_the_documentation() {
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
            assert!(!spec.is_secret || spec.default.is_empty(), "{} must have no default secret", spec.name);
        }
    }

    #[test]
    fn file_variable_of_a_plain_setting_is_unknown() {
        assert_eq!(SettingSpec::set_by("AZURE_DEVOPS_PAT_FILE").map(|spec| spec.name), Some("AZURE_DEVOPS_PAT"));
        for name in ["DATABASE_USER_FILE", "_FILE", "NOTHING_FILE", "PATH", ""] {
            assert!(SettingSpec::set_by(name).is_none(), "{name}");
        }
    }
}
