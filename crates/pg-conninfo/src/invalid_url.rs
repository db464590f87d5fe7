//! Why a URL cannot be used.

use crate::UnusableCredentials;

/// Why a URL cannot be used. The text contains no part of the URL, because each could belong to the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// Another scheme, or none.
    #[error(
        "it must look like postgresql://user:password@host:5432/database (a driver as in postgresql+asyncpg:// is ignored)"
    )]
    Scheme,
    /// A stray percent sign.
    #[error("a % must be followed by two hexadecimal digits; percent-encode a % that stands for itself as %25")]
    Percent,
    /// A character that ends the part in which it stands.
    #[error(
        "its user name or password has a character that must be percent-encoded: \
         / as %2F, ? as %3F, # as %23, @ as %40, : as %3A, % as %25, a space as %20"
    )]
    Unencoded,
    /// Nothing between `//` or `@` and the port or the path.
    #[error("it names no host; it must look like postgresql://user:password@host:5432/database")]
    Host,
    /// A character that no host name has.
    #[error(
        "a host must be a name in ASCII (others in their xn-- form), an IP address, with [] around IPv6, or the directory \
         of a socket; commas separate several hosts"
    )]
    HostName,
    /// Not a port.
    #[error(
        "the port after the host must be a number from 1 to 65535; percent-encode a : of the password as %3A, a @ as %40"
    )]
    Port,
    /// Hosts and ports do not match.
    #[error("there must be one port for all hosts, or one for each")]
    PortCount,
    /// Percent-encoded bytes that are no text.
    #[error("its percent-encoded bytes must be UTF-8 without NUL")]
    Text,
    /// A parameter that would have no effect.
    #[error(
        "after the ? stands a parameter that is not known; known are those of libpq, such as sslmode, sslrootcert, host, \
         target_session_attrs, connect_timeout, options and application_name; percent-encode a ? of the password as %3F"
    )]
    Parameter,
    /// A known parameter, twice or in two places.
    #[error("{0} is given twice")]
    Repeated(&'static str),
    /// A known parameter with a value that it does not have.
    #[error("{parameter} must be {allowed}")]
    Value {
        /// Its name.
        parameter: &'static str,
        /// Its values.
        allowed: &'static str,
    },
    /// A known parameter that cannot be honoured and must not be ignored.
    #[error("{parameter} {reason}")]
    Refused {
        /// Its name.
        parameter: &'static str,
        /// Why, and what to use instead.
        reason: &'static str,
    },
    /// `options` that are not settings.
    #[error("options must hold settings as in -c name=value or --name=value, or endpoint=name of Neon")]
    Options,
    /// `options` that set the search path.
    #[error("options must not set search_path: DATABASE_SCHEMA names the schema")]
    SearchPath,
    /// User name or password cannot be sent.
    #[error(transparent)]
    Credentials(#[from] UnusableCredentials),
}

impl InvalidUrl {
    pub(crate) const fn refused(parameter: &'static str, reason: &'static str) -> Self {
        Self::Refused { parameter, reason }
    }
}
