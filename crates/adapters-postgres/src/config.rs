//! The settings of the database.

use std::time::Duration;

use pg_conninfo::{Conninfo, InvalidUrl};
use secrecy::{ExposeSecret, SecretString};

use crate::SchemaName;

/// The settings of the database. `Debug` hides the password.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) conninfo: Conninfo,
    direct: Option<Conninfo>,
    replicas: Vec<Conninfo>,
    /// Whether transactions are read-only, as they are on a standby.
    pub(crate) is_read_only: bool,
    pub(crate) schema: SchemaName,
    pub(crate) max_connections: u32,
    pub(crate) acquire_timeout: Duration,
    pub(crate) statement_timeout: Duration,
}

/// A replica that is not one server of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReplica {
    /// A URL names several hosts.
    #[error("{0} are several hosts: write a URL for each")]
    SeveralHosts(String),
    /// Two URLs name one server.
    #[error("{0} is named twice")]
    Repeated(String),
}

impl Config {
    /// Parses `url`; see [`Conninfo::parse`].
    ///
    /// # Errors
    /// [`InvalidUrl`], whose text contains no part of the URL.
    pub fn from_url(url: &SecretString, schema: SchemaName) -> Result<Self, InvalidUrl> {
        Ok(Self {
            conninfo: Conninfo::parse(url.expose_secret())?,
            direct: None,
            replicas: Vec::new(),
            is_read_only: false,
            schema,
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(15),
        })
    }

    /// Sets where migrations, imports and commands about personal data connect: their transactions take long, and a transaction
    /// pooler would give each of them one of its few connections. Without a password it uses that of the other connections.
    #[must_use]
    pub fn with_direct(self, direct: Self) -> Self {
        let direct = direct.conninfo.or_password_of(&self.conninfo);
        Self { direct: Some(direct), ..self }
    }

    /// Returns the settings of the connections for long transactions, if [`with_direct`](Self::with_direct) has set them.
    #[must_use]
    pub fn direct(&self) -> Option<Self> {
        let conninfo = self.direct.clone()?;
        Some(Self { conninfo, direct: None, ..self.clone() })
    }

    /// Sets the servers that may serve lists and reports while they are standbys. Without a password they use that of the other
    /// connections.
    ///
    /// # Errors
    /// The address of a server that is named twice, or of a replica with several hosts.
    pub fn with_replicas(self, replicas: Vec<Self>) -> Result<Self, InvalidReplica> {
        let replicas: Vec<_> = replicas
            .into_iter()
            .map(|replica| replica.conninfo.or_password_of(&self.conninfo).on_any_server())
            .collect();
        for (index, replica) in replicas.iter().enumerate() {
            let address = replica.address();
            if 1 < replica.hosts().len() {
                return Err(InvalidReplica::SeveralHosts(address));
            }
            if replicas.iter().take(index).any(|other| other.address() == address) {
                return Err(InvalidReplica::Repeated(address));
            }
        }
        Ok(Self { replicas, ..self })
    }

    /// Returns the settings of the connections to each standby.
    #[must_use]
    pub fn replicas(&self) -> Vec<Self> {
        let replica = |conninfo: &Conninfo| Self {
            conninfo: conninfo.clone(),
            direct: None,
            replicas: Vec::new(),
            is_read_only: true,
            ..self.clone()
        };
        self.replicas.iter().map(replica).collect()
    }

    /// Sets the maximum number of connections, 10 by default.
    #[must_use]
    pub fn max_connections(self, max_connections: u32) -> Self {
        Self { max_connections, ..self }
    }

    /// Sets the maximum time to wait for a connection, 5 seconds by default.
    #[must_use]
    pub fn acquire_timeout(self, acquire_timeout: Duration) -> Self {
        Self { acquire_timeout, ..self }
    }

    /// Sets the maximum time of a statement, 15 seconds by default. The slowest one takes far less than a second on a healthy
    /// database, and proxies time out after a minute.
    #[must_use]
    pub fn statement_timeout(self, statement_timeout: Duration) -> Self {
        Self { statement_timeout, ..self }
    }
}
