//! The readiness check.

use async_trait::async_trait;
use domain::{Error, Readiness};
use sea_orm::raw_sql;

use crate::{SqliteDatabase, db_error};

/// [`Readiness`] of SQLite.
#[derive(Debug, Clone)]
pub struct SqliteReadiness(SqliteDatabase);

impl SqliteReadiness {
    /// Builds the check on `database`.
    #[must_use]
    pub fn new(database: &SqliteDatabase) -> Self {
        Self(database.clone())
    }
}

#[async_trait]
impl Readiness for SqliteReadiness {
    async fn check(&self) -> Result<(), Error> {
        // A query that reads the file.
        self.0
            .execute(raw_sql!(Sqlite, "SELECT count(*) FROM sqlite_schema"))
            .await
            .map(drop)
            .map_err(db_error::into_domain)
    }
}
