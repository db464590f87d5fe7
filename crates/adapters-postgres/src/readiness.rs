//! Whether the database answers.

use std::time::Duration;

use async_trait::async_trait;
use domain::{Error, Readiness};
use tokio_postgres::Row;

use crate::PostgresDatabase;
use crate::database::FromRow;
use crate::pool::Use;

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

struct Answer;

impl FromRow for Answer {
    fn from_row(_: Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self)
    }
}

#[async_trait]
impl Readiness for PostgresReadiness {
    async fn check(&self) -> Result<(), Error> {
        self.0.read_within::<Answer>("readiness", Use::Alone, LIMIT, "SELECT 1", &[]).await.map(drop)
    }
}
