//! The readiness of the database: it responds and accepts writes.

use std::time::Duration;

use async_trait::async_trait;
use domain::{Error, Readiness};
use tokio::time::{Instant, timeout};

use crate::{PostgresDatabase, db_error};

const CHECK_LIMIT: Duration = Duration::from_secs(2);

/// [`Readiness`] of PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresReadiness(PostgresDatabase);

impl PostgresReadiness {
    /// Creates the readiness of `database`.
    #[must_use]
    pub fn new(database: &PostgresDatabase) -> Self {
        Self(database.clone())
    }
}

#[async_trait]
impl Readiness for PostgresReadiness {
    async fn check(&self) -> Result<(), Error> {
        let started = Instant::now();
        let checked = timeout(CHECK_LIMIT, self.0.check()).await;
        let checked = checked.unwrap_or_else(|_| Err(db_error::no_response(CHECK_LIMIT)));
        self.0.metrics.ended("readiness", &checked, started.elapsed());
        checked.map_err(|error| db_error::into_domain(&error))
    }
}
