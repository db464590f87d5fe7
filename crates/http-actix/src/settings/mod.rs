//! Settings: read once at start from [`Sources`], each parsed into its type once.
//!
//! The later source wins: defaults, `.env`, the environment, overrides of the command. An empty value counts as unset. A
//! secret X may come from the file that `X_FILE` names; an empty file counts as unset.

mod config_error;
mod database;
#[cfg(test)]
mod documents;
mod dotenv;
mod exposure;
mod mask;
mod name;
mod reader;
mod sources;
mod spec;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use domain::RateLimit;
use http_api::{OriginPattern, RootPath};
use ipnet::IpNet;
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};

use crate::error_tracking;
pub use config_error::{ConfigError, ConfigErrors};
pub use database::DatabaseSettings;
pub use mask::has_credentials;
pub use sources::Sources;
#[cfg(test)]
use spec::SETTINGS;

use reader::Reader;

/// All settings of the service. Its `Debug` contains no secret.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting that operators switch on its own")]
pub struct Settings {
    /// `ENVIRONMENT`.
    pub environment: Environment,
    /// `API_HOST` and `API_PORT`.
    pub listen: SocketAddr,
    /// `API_ROOT_PATH`.
    pub root_path: RootPath,
    /// `METRICS_PORT`, on the address of `API_HOST`; none when it is unset.
    pub metrics: Option<SocketAddr>,
    /// `TRUSTED_PROXIES`.
    pub trusted_proxies: Vec<IpNet>,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, parsed by the exporter.
    pub otlp_endpoint: Option<String>,
    /// `SENTRY_DSN`, a valid one.
    pub sentry_dsn: Option<SecretString>,
    /// `API_DEBUG`.
    pub debug: bool,
    /// `LOG`, parsed by the log filter.
    pub log: String,
    /// `DATABASE_…`.
    pub database: DatabaseSettings,
    /// `AUTH_ENABLED`.
    pub auth_enabled: bool,
    /// `AUTH_ANY_ORGANISATION`.
    pub any_organisation: bool,
    /// `AUTH_CACHE_TTL`; zero turns the cache off.
    pub auth_cache_ttl: Duration,
    /// `RATE_PER_PERSON`; none turns the limit off.
    pub rate_per_person: Option<RateLimit>,
    /// `REDIS_URL`, parsed by the adapter.
    pub redis_url: Option<SecretString>,
    /// `SHARED_KEY`, checked by the adapter.
    pub shared_key: Option<SecretString>,
    /// `AZURE_DEVOPS_…`.
    pub azure: AzureSettings,
    /// `SYNC_INTERVAL`; none turns scheduled synchronisation off.
    pub sync_interval: Option<Duration>,
    /// `WRITE_BACK`; `auto` is true.
    pub write_back: bool,
    /// `CORS_ORIGINS`.
    pub cors_origins: Vec<OriginPattern>,
    /// The output of `aponta config`: every setting as `NAME=value  # source`, secrets masked.
    pub lines: Vec<String>,
}

/// Where the service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// Unsafe settings are allowed.
    Development,
    /// Unsafe settings are rejected.
    Production,
}

impl Environment {
    /// The value of `ENVIRONMENT`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Production => "production",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Azure DevOps. Its adapter parses addresses and keys.
#[derive(Debug)]
pub struct AzureSettings {
    /// `AZURE_DEVOPS_ORG_URL`.
    pub org_url: Option<String>,
    /// `AZURE_DEVOPS_PROFILE_URL`.
    pub profile_url: String,
    /// `AZURE_DEVOPS_PAT`.
    pub pat: Option<SecretString>,
    /// `EXTENSION_APP_KEYS`.
    pub app_keys: Option<SecretString>,
    /// `APP_TOKEN_ALONE=members`: app tokens of members of the organisation sign in alone.
    pub app_token_alone: bool,
}

impl Settings {
    /// Reads all settings, and applies `validate`, by which a command makes the configuration that it needs (the database's
    /// for `serve`, none for `dev`). All errors are returned at once. `validate` sees defaults in place of invalid values;
    /// its errors about a setting that is already known to be invalid are left out.
    ///
    /// # Errors
    /// Every setting that is wrong.
    pub fn parse<T>(
        sources: &Sources,
        validate: impl FnOnce(&Self) -> Result<T, Vec<ConfigError>>,
    ) -> Result<(Self, T), ConfigErrors> {
        let mut reader = Reader::new(sources);
        let settings = Self::read(&mut reader);
        if let Some(settings) = &settings {
            settings.check_exposure(&mut reader);
        }
        let validated = settings.as_ref().map(validate);
        let mut errors = reader.into_errors();
        match (settings, validated) {
            (Some(settings), Some(Ok(value))) if errors.is_empty() => return Ok((settings, value)),
            (_, Some(Err(validated))) => {
                let known: Vec<_> = errors.iter().map(|error| error.setting().to_owned()).collect();
                errors.extend(validated.into_iter().filter(|error| !known.iter().any(|name| name == error.setting())));
            }
            _ => {}
        }
        Err(errors.into())
    }

    /// Returns none only if a default of the table is invalid: an invalid value is replaced by its default.
    fn read(reader: &mut Reader) -> Option<Self> {
        let environment = reader.parse("ENVIRONMENT", "development or production", |text| {
            let all = [Environment::Development, Environment::Production];
            all.into_iter().find(|environment| environment.to_string().eq_ignore_ascii_case(text.trim()))
        })?;
        let host: IpAddr = reader.parse("API_HOST", "an IP address, like 0.0.0.0", |text| text.trim().parse().ok())?;
        let to_port = |text: &str| text.trim().parse().ok();
        let port: u16 = reader.parse("API_PORT", "a port (0..=65535)", to_port)?;
        let root_path = reader.optional("API_ROOT_PATH", RootPath::ALLOWED, |text| text.trim().parse().ok());
        let metrics = reader.optional("METRICS_PORT", "a port (0..=65535)", to_port);
        let trusted_proxies = reader.list("TRUSTED_PROXIES", "a network like 172.16.0.0/12 or an address", |text| {
            text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
        });
        let otlp_endpoint = reader.text("OTEL_EXPORTER_OTLP_ENDPOINT");
        let sentry_dsn = reader.secret("SENTRY_DSN");
        if let Some(problem) = sentry_dsn.as_ref().and_then(|dsn| error_tracking::parse_dsn(dsn).err()) {
            reader.push_error(ConfigError::new("SENTRY_DSN", problem));
        }
        let debug = reader.flag("API_DEBUG")?;
        let log = reader.text("LOG")?;
        let database = DatabaseSettings::read(reader)?;
        let auth_enabled = reader.flag("AUTH_ENABLED")?;
        let any_organisation = reader.flag("AUTH_ANY_ORGANISATION")?;
        let auth_cache_ttl = reader.number("AUTH_CACHE_TTL", 0..=86_400)?;
        let rate_per_person = reader.parse("RATE_PER_PERSON", &format!("off, or {}", RateLimit::ALLOWED), |text| {
            if text.trim() == "off" { Some(None) } else { text.parse().ok().map(Some) }
        })?;
        let redis_url = reader.secret("REDIS_URL");
        let shared_key = reader.secret("SHARED_KEY");
        let azure = AzureSettings::read(reader)?;
        let sync_interval =
            reader.parse("SYNC_INTERVAL", "0 or a whole number from 10 to 604800", parse_sync_interval)?;
        let write_back = reader.parse("WRITE_BACK", "auto or off", |text| match text.trim() {
            "auto" => Some(true),
            "off" => Some(false),
            _ => None,
        })?;
        let cors_origins = reader.list("CORS_ORIGINS", OriginPattern::ALLOWED, |text| text.parse().ok());
        Some(Self {
            environment,
            listen: SocketAddr::new(host, port),
            root_path: root_path.unwrap_or_default(),
            metrics: metrics.map(|port| SocketAddr::new(host, port)),
            trusted_proxies,
            otlp_endpoint,
            sentry_dsn,
            debug,
            log,
            database,
            auth_enabled,
            any_organisation,
            auth_cache_ttl: Duration::from_secs(auth_cache_ttl),
            rate_per_person,
            redis_url,
            shared_key,
            azure,
            sync_interval: Some(sync_interval).filter(|interval| !interval.is_zero()),
            write_back,
            cors_origins,
            lines: reader.lines(),
        })
    }
}

impl AzureSettings {
    fn read(reader: &mut Reader) -> Option<Self> {
        let pat = reader.secret("AZURE_DEVOPS_PAT");
        if pat.as_ref().is_some_and(|pat| !pat.expose_secret().bytes().all(|b| b.is_ascii_graphic())) {
            reader.push_error(ConfigError::new("AZURE_DEVOPS_PAT", "must be a token without white space"));
        }
        Some(Self {
            org_url: read_org_url(reader),
            profile_url: reader.text("AZURE_DEVOPS_PROFILE_URL")?,
            pat,
            app_keys: reader.secret("EXTENSION_APP_KEYS"),
            // `true` is rejected: the value names who may sign in.
            app_token_alone: reader.parse("APP_TOKEN_ALONE", "off or members", |text| match text.trim() {
                "off" => Some(false),
                "members" => Some(true),
                _ => None,
            })?,
        })
    }
}

/// Parses seconds, 0 for off. The lower bound protects the rate limit of Azure DevOps.
fn parse_sync_interval(text: &str) -> Option<Duration> {
    let seconds: u64 = text.trim().parse().ok()?;
    (seconds == 0 || (10..=604_800).contains(&seconds)).then(|| Duration::from_secs(seconds))
}

/// Reads the organisation's address. Each part is a name, percent-encoded or not.
fn read_org_url(reader: &mut Reader) -> Option<String> {
    let url = reader.name("AZURE_DEVOPS_ORG_URL")?;
    let problem = url.split('/').find_map(|part| name::problem(&percent_decode_str(part).decode_utf8_lossy()));
    if let Some(problem) = problem {
        reader.push_error(ConfigError::value("AZURE_DEVOPS_ORG_URL", &url, problem));
    }
    problem.is_none().then_some(url)
}
