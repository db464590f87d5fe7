//! The parameters after `?`: those of libpq 18, and those that ORMs, other drivers and providers add.
//!
//! Each known one is honoured, ignored where that is harmless, or refused by name. An unknown one is refused.

use std::time::Duration;

use crate::tls::TlsMode;
use crate::{InvalidUrl, SessionAttrs, startup_options};

/// Ignored. sqlx leaves the options of the socket to the system, and the service bounds each statement itself, so it
/// does not wait for them to find a dead server. Pool and statements are managed by the service.
const IGNORED: &[&str] = &[
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    // Only spreads load: any order finds the server.
    "load_balance_hosts",
    // Only for authentication by GSS, which fails in any case.
    "krbsrvname",
    "gsslib",
    "gssdelegation",
    "sslcompression",
    "max_protocol_version",
    // Prisma and Supabase
    "pgbouncer",
    "supa",
    "connection_limit",
    "pool_timeout",
    "socket_timeout",
    "statement_cache_size",
    // SQLAlchemy, Rails, node-postgres, JDBC, pgx
    "prepared_statement_cache_size",
    "prepared_statements",
    "pool",
    "uselibpqcompat",
    "prepareThreshold",
    "pool_max_conns",
    "pool_min_conns",
    "default_query_exec_mode",
];

/// Accepted with these values, which change nothing, and refused with any other, for the reason given.
const RESTRICTED: &[(&str, &[&str], &str)] = &[
    (
        "channel_binding",
        &["prefer", "disable"],
        "must be prefer or disable: the driver has no SCRAM-SHA-256-PLUS; sslmode=verify-full keeps others from listening in",
    ),
    ("client_encoding", &["utf8", "utf-8", "unicode", "auto"], "must be UTF8"),
    ("encoding", &["utf8", "utf-8", "unicode"], "must be utf8"),
    ("gssencmode", &["disable", "prefer"], "must be disable or prefer: GSS encryption is not supported; use sslmode"),
    ("replication", &["false", "off", "no", "0"], "is not for this service"),
    ("requiressl", &["0"], "is out of use: write sslmode=require"),
    ("sslaccept", &["accept_invalid_certs"], "is not known to libpq: write sslmode=verify-full"),
    ("sslcertmode", &["allow"], "must be allow: the server decides whether it asks for the certificate"),
    ("sslnegotiation", &["postgres"], "must be postgres: direct TLS is not supported"),
    ("sslsni", &["1"], "must be 1: the name of the host is always sent"),
    ("ssl_min_protocol_version", &["TLSv1", "TLSv1.1", "TLSv1.2"], "must be TLSv1.2 or lower; TLS 1.2 is the least"),
    ("ssl_max_protocol_version", &["TLSv1.3"], "must be TLSv1.3: newer versions cannot be switched off"),
    ("min_protocol_version", &["3.0"], "must be 3.0"),
    ("currentSchema", &[], "is not supported: DATABASE_SCHEMA names the schema"),
    ("schema", &[], "is not supported: DATABASE_SCHEMA names the schema"),
    ("schema_search_path", &[], "is not supported: DATABASE_SCHEMA names the schema"),
    ("search_path", &[], "is not supported: DATABASE_SCHEMA names the schema"),
    ("passfile", &[], "is not read: use DATABASE_URL_FILE or DATABASE_PASSWORD_FILE"),
    ("service", &[], "is not supported: write out host, user and database"),
    ("servicefile", &[], "is not supported: write out host, user and database"),
    (
        "require_auth",
        &[],
        "is not supported: the server chooses the method; sslmode=verify-full makes sure which server",
    ),
    ("requirepeer", &[], "is not supported"),
    ("scram_client_key", &[], "is not supported: use the password"),
    ("scram_server_key", &[], "is not supported: use the password"),
    ("oauth_issuer", &[], "is not supported: OAuth authentication is missing"),
    ("oauth_client_id", &[], "is not supported: OAuth authentication is missing"),
    ("oauth_client_secret", &[], "is not supported: OAuth authentication is missing"),
    ("oauth_scope", &[], "is not supported: OAuth authentication is missing"),
    ("sslcrl", &[], "is not supported: certificates are not checked for revocation"),
    ("sslcrldir", &[], "is not supported: certificates are not checked for revocation"),
    ("sslidentity", &[], "is not supported: use sslcert and sslkey"),
    ("sslkeylogfile", &[], "is not supported"),
    ("sslpassword", &[], "is not supported: decrypt the key, for example with openssl pkey"),
];

/// What the parameters say.
#[derive(Default)]
pub(crate) struct Parameters {
    pub(crate) host: Option<String>,
    pub(crate) port: Option<String>,
    pub(crate) database: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) application_name: Option<String>,
    pub(crate) fallback_application_name: Option<String>,
    pub(crate) options: Option<String>,
    pub(crate) session_attrs: Option<SessionAttrs>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) ssl_mode: Option<TlsMode>,
    pub(crate) ssl_root: Option<String>,
    pub(crate) ssl_cert: Option<String>,
    pub(crate) ssl_key: Option<String>,
}

impl Parameters {
    /// Adds a parameter.
    pub(crate) fn set(&mut self, name: &str, value: String) -> Result<(), InvalidUrl> {
        match name {
            // sqlx has no address beside the name, so both at once would leave the certificate without a name.
            "hostaddr" if self.host.is_some() => {
                Err(InvalidUrl::refused("hostaddr", "cannot be given beside host: use one of the two"))
            }
            "host" | "hostaddr" => once(&mut self.host, value, "host"),
            "port" => once(&mut self.port, value, "port"),
            "dbname" => once(&mut self.database, value, "dbname"),
            "user" => once(&mut self.user, value, "user"),
            "password" => once(&mut self.password, value, "password"),
            "application_name" => once(&mut self.application_name, value, "application_name"),
            "fallback_application_name" => {
                once(&mut self.fallback_application_name, value, "fallback_application_name")
            }
            "options" => {
                let options = startup_options::parse(value)?;
                self.options = Some(self.options.take().map_or_else(|| options.clone(), |all| all + " " + &options));
                Ok(())
            }
            "target_session_attrs" => once(&mut self.session_attrs, session_attrs(&value)?, "target_session_attrs"),
            "connect_timeout" => once(&mut self.connect_timeout, connect_timeout(&value)?, "connect_timeout"),
            "sslmode" | "ssl" => once(&mut self.ssl_mode, ssl_mode(&value)?, "sslmode (ssl is another name of it)"),
            "sslrootcert" => once(&mut self.ssl_root, value, "sslrootcert"),
            "sslcert" => once(&mut self.ssl_cert, value, "sslcert"),
            "sslkey" => once(&mut self.ssl_key, value, "sslkey"),
            _ if IGNORED.contains(&name) => Ok(()),
            _ => restricted(name, &value),
        }
    }
}

fn once<T>(slot: &mut Option<T>, value: T, name: &'static str) -> Result<(), InvalidUrl> {
    if slot.replace(value).is_some() { Err(InvalidUrl::Repeated(name)) } else { Ok(()) }
}

fn restricted(name: &str, value: &str) -> Result<(), InvalidUrl> {
    let known = RESTRICTED.iter().find(|(known, ..)| *known == name);
    let (parameter, values, reason) = known.ok_or(InvalidUrl::Parameter)?;
    let is_accepted = values.iter().any(|accepted| accepted.eq_ignore_ascii_case(value));
    if is_accepted { Ok(()) } else { Err(InvalidUrl::refused(parameter, reason)) }
}

fn session_attrs(text: &str) -> Result<SessionAttrs, InvalidUrl> {
    Ok(match text {
        "any" => SessionAttrs::Any,
        "read-write" => SessionAttrs::ReadWrite,
        "primary" => SessionAttrs::Primary,
        "read-only" => SessionAttrs::ReadOnly,
        "standby" => SessionAttrs::Standby,
        "prefer-standby" => SessionAttrs::PreferStandby,
        _ => {
            let allowed = "any, read-write, primary, standby, read-only or prefer-standby";
            return Err(InvalidUrl::Value { parameter: "target_session_attrs", allowed });
        }
    })
}

/// Seconds; as in libpq, no bound at 0 or below, which is zero here.
fn connect_timeout(text: &str) -> Result<Duration, InvalidUrl> {
    let seconds: i32 = text
        .trim()
        .parse()
        .map_err(|_| InvalidUrl::Value { parameter: "connect_timeout", allowed: "a whole number of seconds" })?;
    Ok(Duration::from_secs(seconds.try_into().unwrap_or_default()))
}

fn ssl_mode(text: &str) -> Result<TlsMode, InvalidUrl> {
    let allowed = "disable, allow, prefer, require, verify-ca or verify-full";
    TlsMode::parse(text).ok_or(InvalidUrl::Value { parameter: "sslmode", allowed })
}
