//! The server and how it is spoken to, as the driver wants it.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

use crate::tls::Tls;

/// PostgreSQL's port.
const PORT: u16 = 5432;

/// For so long what was sent may go without the network's acknowledgement; then the connection counts as broken. Without
/// this the system would try for a quarter of an hour.
const UNACKNOWLEDGED: Duration = Duration::from_secs(15);
/// A connection on which nothing is said is asked after this whether it is there; firewalls forget quiet connections in
/// minutes.
const QUIET: Duration = Duration::from_secs(30);
/// How often, and how many times, it is asked again.
const AGAIN: (Duration, u32) = (Duration::from_secs(5), 3);

/// What is known of the server. Its `Debug` hides the password.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// A name, an address, in brackets if it has colons, or the directory of a socket.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// By default the one that has the name of the user.
    pub(crate) database: Option<String>,
    /// By default the user whose process this is.
    pub(crate) user: Option<String>,
    pub(crate) password: Option<SecretString>,
    pub(crate) application_name: String,
    pub(crate) tls: Tls,
}

impl Default for Target {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: PORT,
            database: None,
            user: None,
            password: None,
            application_name: "aponta".to_owned(),
            tls: Tls::default(),
        }
    }
}

impl Target {
    /// Host and port, for people.
    pub(crate) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The same for the driver, which is to give up a host after `patience`.
    pub(crate) fn config(&self, patience: Duration) -> Config {
        let mut config = Config::new();
        let bare = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        config.host(bare.unwrap_or(&self.host)).port(self.port).application_name(&self.application_name);
        if let Some(database) = &self.database {
            config.dbname(database);
        }
        if let Some(user) = &self.user {
            config.user(user);
        }
        if let Some(password) = &self.password {
            config.password(password.expose_secret());
        }
        config.connect_timeout(patience).tcp_user_timeout(UNACKNOWLEDGED).keepalives_idle(QUIET);
        config.keepalives_interval(AGAIN.0).keepalives_retries(AGAIN.1);
        // What stays on this machine is not encrypted, as libpq has it.
        config.ssl_mode(if self.host.starts_with('/') { SslMode::Disable } else { self.tls.mode.driver() });
        config
    }
}
