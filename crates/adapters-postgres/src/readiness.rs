//! Whether the database responds and accepts writes.

use std::time::Duration;

use async_trait::async_trait;
use domain::{Error, Readiness};
use sea_orm::DbErr;
use tokio::time::{Instant, timeout};

use crate::{PostgresDatabase, db_error};

/// A database that takes longer is not ready.
const CHECK_LIMIT: Duration = Duration::from_secs(2);

/// [`Readiness`] of PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresReadiness(PostgresDatabase);

impl PostgresReadiness {
    /// Checks `database`.
    #[must_use]
    pub fn new(database: &PostgresDatabase) -> Self {
        Self(database.clone())
    }

    /// On a connection apart from those of requests. Its server must accept writes, as every new connection's must; one
    /// that became a standby meanwhile is found here.
    async fn check_writable(&self) -> Result<(), DbErr> {
        let mut lease = self.0.connection(&self.0.checks).await?;
        let checked = lease.inspect(&self.0.config).await;
        if checked.is_err() {
            lease.discard();
        }
        checked
    }
}

#[async_trait]
impl Readiness for PostgresReadiness {
    async fn check(&self) -> Result<(), Error> {
        let started = Instant::now();
        let checked = timeout(CHECK_LIMIT, self.check_writable()).await;
        let checked = checked.unwrap_or_else(|_| Err(db_error::no_response(CHECK_LIMIT)));
        self.0.metrics.ended("readiness", &checked, started.elapsed());
        checked.map_err(|error| db_error::into_domain(&error))
    }
}
