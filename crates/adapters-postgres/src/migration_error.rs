//! Why a schema cannot be migrated or served.

use sea_orm::DbErr;

use crate::db_error;

/// The bound of the wait for another migrating process, and of a step's wait for a table in use.
pub(crate) const LOCK_TIMEOUT: &str = "5min";

/// Why a schema cannot be migrated or served, in one line for operators.
#[derive(Debug, thiserror::Error)]
#[error("the schema «{schema}» {reason}")]
pub struct MigrationError {
    /// The schema.
    pub schema: String,
    /// The reason.
    pub reason: MigrationFailure,
}

/// The reason of a [`MigrationError`].
#[derive(Debug, thiserror::Error)]
pub enum MigrationFailure {
    /// A newer version migrated the schema. The text names the steps that this program does not contain.
    #[error("is newer than this program, which does not know {}: run the version that made it", .0.join(", "))]
    Newer(Vec<String>),
    /// The schema lacks the named steps.
    #[error("lacks {}: run `aponta migrate up`", .0.join(", "))]
    Pending(Vec<String>),
    /// The schema has tables of the same names and another origin.
    #[error(
        "already has {} that this program did not make, as the service it replaces did: \
         `aponta import` takes those over; or name another schema in DATABASE_SCHEMA",
        .0.join(" and ")
    )]
    Foreign(Vec<String>),
    /// Another process held a lock for longer than five minutes.
    #[error("was locked by another process for {LOCK_TIMEOUT}: is another migration stuck?")]
    Locked,
    /// The role lacks a privilege.
    #[error(
        "may not be migrated by this database role: {0}; it needs USAGE and CREATE on the schema, \
         and CREATE on the database if the schema does not exist"
    )]
    Forbidden(String),
    /// Any other error. Nothing was changed.
    #[error("could not be migrated, and nothing was changed: {0}")]
    Failed(String),
}

impl From<DbErr> for MigrationFailure {
    fn from(error: DbErr) -> Self {
        match db_error::code(&error) {
            Some("55P03") => Self::Locked,
            // insufficient_privilege, invalid_schema_name
            Some("42501" | "3F000") => Self::Forbidden(db_error::reason(&error)),
            _ => Self::Failed(db_error::reason(&error)),
        }
    }
}
