//! Whether the database answers.

use std::time::Duration;

use async_trait::async_trait;
use domain::{Error, Readiness};
use sea_orm::{FromQueryResult, raw_sql};

use crate::PostgresDatabase;

/// Whoever asks wants to know now: a database that takes longer is not ready.
const LIMIT: Duration = Duration::from_secs(2);

/// [`Readiness`] of PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresReadiness(PostgresDatabase);

impl PostgresReadiness {
    /// Asks `database`.
    #[must_use]
    pub fn new(database: &PostgresDatabase) -> Self {
        Self(database.clone())
    }
}

#[derive(FromQueryResult)]
struct Answer {}

#[async_trait]
impl Readiness for PostgresReadiness {
    async fn check(&self) -> Result<(), Error> {
        self.0.read_within::<Answer>("readiness", LIMIT, raw_sql!(Postgres, "SELECT 1")).await.map(drop)
    }
}
