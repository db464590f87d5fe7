//! Where the database is and how it is used.

use std::fmt;
use std::time::Duration;

use log::LevelFilter;
use sea_orm::sqlx::ConnectOptions;
use sea_orm::sqlx::postgres::PgConnectOptions;
use secrecy::{ExposeSecret, SecretString};

use crate::{InvalidUrl, SchemaName, url};

/// A statement that takes longer is logged: on a healthy database the slowest one stays far below.
const SLOW: Duration = Duration::from_millis(500);

/// Where the database is, who asks, and how long it may take. Its `Debug` hides the password.
///
/// What is not said comes from the environment as every client of PostgreSQL takes it, for example `PGSSLMODE`.
#[derive(Clone)]
pub struct Config {
    pub(crate) options: PgConnectOptions,
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
        let options = url::read(url.expose_secret(), Self::options())?;
        Ok(Self::new(options, schema))
    }

    /// The database at `address`.
    #[must_use]
    pub fn from_parts(address: &Address, schema: SchemaName) -> Self {
        let Address { host, port, database, user, password } = address;
        let options = Self::options().host(host).port(*port).database(database).username(user);
        let options = match password {
            Some(password) => options.password(password.expose_secret()),
            None => options,
        };
        Self::new(options, schema)
    }

    fn options() -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .application_name("aponta")
            // The text of a statement has no values: all of them are bound.
            .log_slow_statements(LevelFilter::Warn, SLOW)
    }

    const fn new(options: PgConnectOptions, schema: SchemaName) -> Self {
        Self {
            options,
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

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, schema, max_connections, acquire_timeout, statement_timeout } = self;
        f.debug_struct("Config")
            .field("host", &options.get_host())
            .field("port", &options.get_port())
            .field("database", &options.get_database())
            .field("user", &options.get_username())
            .field("schema", schema)
            .field("max_connections", max_connections)
            .field("acquire_timeout", acquire_timeout)
            .field("statement_timeout", statement_timeout)
            .finish_non_exhaustive()
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
