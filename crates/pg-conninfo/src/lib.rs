//! Connection settings of PostgreSQL as libpq reads them from a URL, as options of sqlx.
//!
//! [`Conninfo::parse`] rejects an ambiguous URL with advice, because a guess could send the password to the wrong host.
//! `parameters` decides for each parameter after `?` whether it is honoured, ignored or rejected.
//! [`Conninfo::connect_options`] returns the options for one host. [`pooler`] detects what a connection leads to.

mod connect_options;
mod credentials;
mod invalid_url;
mod parameters;
pub mod pooler;
mod startup_options;
#[cfg(test)]
mod tests;
mod tls;
mod url;

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;

use tls::Tls;

pub use connect_options::ConnectOptionsError;
pub use credentials::UnusableCredentials;
pub use invalid_url::InvalidUrl;
pub use tls::TlsError;

/// The default port of PostgreSQL.
const PORT: u16 = 5432;

/// `application_name` unless the URL sets another.
const APPLICATION_NAME: &str = "aponta";

/// The connection settings of one database. Its `Debug` hides the password and the client key.
#[derive(Debug, Clone)]
pub struct Conninfo {
    hosts: Vec<Host>,
    /// Default: the name of the user.
    database: Option<String>,
    /// Default: the user of the operating system, as in libpq.
    user: Option<String>,
    password: Option<SecretString>,
    application_name: String,
    /// The startup parameter `options`, as the server reads it.
    startup_options: Option<String>,
    tls: Tls,
    session_attrs: SessionAttrs,
    connect_timeout: Option<Duration>,
}

/// One server of a [`Conninfo`]. `Display` is `host:port`, with an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// A name, an IP address without brackets, or the directory of a unix socket.
    name: String,
    port: u16,
}

/// `target_session_attrs`: which servers are acceptable. The pool checks it after connecting to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionAttrs {
    /// Any server.
    Any,
    /// A server whose sessions accept writes. The default, because the service writes.
    #[default]
    ReadWrite,
    /// A server that is not in recovery.
    Primary,
    /// A server whose sessions are read-only.
    ReadOnly,
    /// A server in recovery.
    Standby,
    /// As `Any`: the service writes.
    PreferStandby,
}

impl Conninfo {
    /// The hosts in the order in which they are to be tried; at least one.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Formats the hosts for a message, as in `a:5432,b:5432`.
    #[must_use]
    pub fn address(&self) -> String {
        self.hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    /// Takes the password of `other` if there is none.
    #[must_use]
    pub fn or_password_of(self, other: &Self) -> Self {
        Self { password: self.password.or_else(|| other.password.clone()), ..self }
    }

    /// Accepts any server, whatever the URL says.
    #[must_use]
    pub fn on_any_server(self) -> Self {
        Self { session_attrs: SessionAttrs::Any, ..self }
    }

    /// Which of the hosts are acceptable.
    #[must_use]
    pub const fn session_attrs(&self) -> SessionAttrs {
        self.session_attrs
    }

    /// `connect_timeout` of the URL: the longest time to connect to one host.
    #[must_use]
    pub const fn connect_timeout(&self) -> Option<Duration> {
        self.connect_timeout
    }
}

impl SessionAttrs {
    /// Whether a server is acceptable, given its `pg_is_in_recovery()` and the session's `transaction_read_only`.
    /// [`Self::PreferStandby`] accepts any, because the service writes.
    #[must_use]
    pub const fn accepts(self, is_in_recovery: bool, is_read_only: bool) -> bool {
        match self {
            Self::Any | Self::PreferStandby => true,
            Self::ReadWrite => !is_read_only,
            Self::ReadOnly => is_read_only,
            Self::Primary => !is_in_recovery,
            Self::Standby => is_in_recovery,
        }
    }
}

impl Host {
    fn new(name: &str, port: u16) -> Self {
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        Self { name: bare.to_owned(), port }
    }

    /// Whether it is the directory of a unix socket. Such a connection is never encrypted.
    const fn is_socket(&self) -> bool {
        matches!(self.name.as_bytes(), [b'/', ..])
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, port } = self;
        if name.contains(':') && !self.is_socket() { write!(f, "[{name}]:{port}") } else { write!(f, "{name}:{port}") }
    }
}
