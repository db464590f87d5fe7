//! Where the database is and how it is used.

use std::time::Duration;

use pg_conninfo::{Conninfo, InvalidUrl};
use secrecy::{ExposeSecret, SecretString};

use crate::SchemaName;

/// Where the database is, who asks, and how long it may take. Its `Debug` hides the password.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) conninfo: Conninfo,
    pub(crate) schema: SchemaName,
    pub(crate) max_connections: u32,
    pub(crate) acquire_timeout: Duration,
    pub(crate) statement_timeout: Duration,
}

impl Config {
    /// The database at `url`: `postgres://` or `postgresql://`, a driver as in `postgresql+asyncpg://` is ignored.
    ///
    /// # Errors
    /// [`InvalidUrl`] says what to do and shows nothing of the URL.
    pub fn from_url(url: &SecretString, schema: SchemaName) -> Result<Self, InvalidUrl> {
        Ok(Self {
            conninfo: Conninfo::parse(url.expose_secret())?,
            schema,
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(15),
        })
    }

    /// At most so many connections at once, 10 by default.
    #[must_use]
    pub fn max_connections(self, max_connections: u32) -> Self {
        Self { max_connections, ..self }
    }

    /// Waits at most so long for a connection, 5 seconds by default: longer than a crowd takes to pass, shorter than
    /// the patience of a client.
    #[must_use]
    pub fn acquire_timeout(self, acquire_timeout: Duration) -> Self {
        Self { acquire_timeout, ..self }
    }

    /// Lets a statement run at most so long, 15 seconds by default: the slowest one takes far less than a second on a
    /// healthy database, and whoever asked has given up long before a minute, which proxies wait.
    #[must_use]
    pub fn statement_timeout(self, statement_timeout: Duration) -> Self {
        Self { statement_timeout, ..self }
    }
}
