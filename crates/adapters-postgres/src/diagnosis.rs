//! The state of the server, for operators.

use domain::Error;
use sea_orm::{ConnectionTrait as _, DbErr, QueryResult, raw_sql};
use time::OffsetDateTime;

use crate::{PostgresDatabase, db_error};

/// The state of the server.
#[derive(Debug, Clone)]
pub struct Diagnosis {
    /// The start of the server and the OID of the database, which two connections to one database have in common.
    pub database: (OffsetDateTime, i64),
    /// The version, for example `15.8`.
    pub version: String,
    /// The time of its clock.
    pub now: OffsetDateTime,
    /// Whether it is a standby (`pg_is_in_recovery()`), which accepts no writes.
    pub is_standby: bool,
    /// Whether transactions are read-only (`transaction_read_only`).
    pub is_read_only: bool,
    /// Whether a pooler assigns backends to transactions.
    pub is_behind_pooler: bool,
    /// How many connections the server accepts (`max_connections`).
    pub max_connections: u32,
    /// How many of them are kept for superusers and roles with `pg_use_reserved_connections`.
    pub reserved_connections: u32,
    /// The state of the WAL archive, if the server has one.
    pub archive: Option<Archive>,
}

/// The WAL archive, from which a database is restored to a point in time.
#[derive(Debug, Clone, Copy)]
pub struct Archive {
    /// When the last segment was archived.
    pub last: Option<OffsetDateTime>,
    /// Whether the newest attempt failed.
    pub is_failing: bool,
}

impl PostgresDatabase {
    /// Queries the state of the server.
    ///
    /// # Errors
    /// `Unavailable` if it does not respond.
    pub async fn diagnose(&self) -> Result<Diagnosis, Error> {
        let statement = raw_sql!(
            Postgres,
            r#"SELECT current_setting('server_version'), clock_timestamp(), pg_is_in_recovery(),
                      current_setting('transaction_read_only')::boolean, current_setting('archive_mode') <> 'off',
                      last_archived_time,
                      COALESCE(last_failed_time > COALESCE(last_archived_time, '-infinity'), false),
                      current_setting('max_connections')::int,
                      current_setting('superuser_reserved_connections')::int
                          + COALESCE(current_setting('reserved_connections', true)::int, 0),
                      pg_postmaster_start_time(),
                      (SELECT oid::int8 FROM pg_database WHERE datname = current_database())
               FROM pg_stat_archiver"#
        );
        let row =
            self.read("diagnose").query_one_raw(statement).await.map_err(|error| db_error::into_domain(&error))?;
        let row = row.ok_or_else(|| Error::internal("pg_stat_archiver has no row"))?;
        self.diagnosis(&row).map_err(|error| db_error::into_domain(&error))
    }

    fn diagnosis(&self, row: &QueryResult) -> Result<Diagnosis, DbErr> {
        let is_archiving: bool = row.try_get_by_index(4)?;
        let archive = Archive { last: row.try_get_by_index(5)?, is_failing: row.try_get_by_index(6)? };
        let connections = |index: usize| row.try_get_by_index(index).map(i32::unsigned_abs);
        Ok(Diagnosis {
            database: (row.try_get_by_index(9)?, row.try_get_by_index(10)?),
            version: row.try_get_by_index(0)?,
            now: row.try_get_by_index(1)?,
            is_standby: row.try_get_by_index(2)?,
            is_read_only: row.try_get_by_index(3)?,
            is_behind_pooler: self.is_behind_pooler(),
            max_connections: connections(7)?,
            // PostgreSQL 15 has no `reserved_connections`.
            reserved_connections: connections(8)?,
            archive: is_archiving.then_some(archive),
        })
    }
}
