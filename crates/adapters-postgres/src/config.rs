//! Where the database is and how it is used.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::conninfo::Conninfo;
use crate::{InvalidUrl, SchemaName};

/// Where the database is, who asks, and how long it may take. Its `Debug` hides the password.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) conninfo: Conninfo,
    pub(crate) schema: SchemaName,
    pub(crate) max_connections: u32,
    pub(crate) acquire_timeout: Duration,
    pub(crate) statement_timeout: Duration,
}

/// A database and a role that may use it.
#[derive(Debug, Clone)]
pub struct Address {
    /// The name or address of the host, or the directory of its socket.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The name of the database.
    pub database: String,
    /// The name of the role.
    pub user: String,
    /// Its password, as it is: nothing needs to be encoded.
    pub password: Option<SecretString>,
}

impl Config {
    /// The database at `url`: `postgres://` or `postgresql://`, a driver as in `postgresql+asyncpg://` is ignored.
    ///
    /// # Errors
    /// [`InvalidUrl`] says what to do and shows nothing of the URL.
    pub fn from_url(url: &SecretString, schema: SchemaName) -> Result<Self, InvalidUrl> {
        Ok(Self::new(Conninfo::parse(url.expose_secret())?, schema))
    }

    /// The database at `address`.
    #[must_use]
    pub fn from_parts(address: &Address, schema: SchemaName) -> Self {
        Self::new(Conninfo::from(address), schema)
    }

    const fn new(conninfo: Conninfo, schema: SchemaName) -> Self {
        Self {
            conninfo,
            schema,
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(15),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_where_and_hides_the_password() {
        let schema = SchemaName::parse("api_aponta").unwrap();
        let url = SecretString::from("postgres://maria:segredo@db.exemplo/aponta");
        let address = Address {
            host: "db.exemplo".to_owned(),
            port: 5432,
            database: "aponta".to_owned(),
            user: "maria".to_owned(),
            password: Some("segredo".into()),
        };

        let shown = [
            format!("{:?}", Config::from_url(&url, schema.clone()).unwrap()),
            format!("{:?}", Config::from_parts(&address, schema)),
            format!("{address:?} db.exemplo"),
        ];
        for text in shown {
            assert!(text.contains("db.exemplo") && !text.contains("segredo"), "{text}");
        }
    }
}
