//! What a server says of itself, for an operator.

use domain::Error;
use sea_orm::{FromQueryResult, raw_sql};
use time::OffsetDateTime;

use crate::{PostgresDatabase, db_error};

/// What the server says of itself.
#[derive(Debug, Clone)]
pub struct Diagnosis {
    /// Its version, for example `15.8`.
    pub version: String,
    /// The time of its clock.
    pub now: OffsetDateTime,
    /// Whether it is a standby (`pg_is_in_recovery()`), which accepts no writes.
    pub is_standby: bool,
    /// Whether transactions are read-only (`transaction_read_only`).
    pub is_read_only: bool,
    /// Whether a pooler between here and the server hands each transaction to another backend.
    pub is_behind_pooler: bool,
    /// The state of its WAL archive; none if it keeps none.
    pub archive: Option<Archive>,
}

/// The archive of WAL, from which a database is restored to a point in time.
#[derive(Debug, Clone, Copy)]
pub struct Archive {
    /// When a segment last went into it.
    pub last: Option<OffsetDateTime>,
    /// Whether the newest attempt failed.
    pub is_failing: bool,
}

#[derive(FromQueryResult)]
#[expect(clippy::struct_excessive_bools, reason = "each is a column")]
struct DiagnosisRow {
    version: String,
    now: OffsetDateTime,
    is_standby: bool,
    is_read_only: bool,
    is_archiving: bool,
    last: Option<OffsetDateTime>,
    is_failing: bool,
}

impl PostgresDatabase {
    /// Asks the server for its state.
    ///
    /// # Errors
    /// `Unavailable` when it does not respond.
    pub async fn diagnose(&self) -> Result<Diagnosis, Error> {
        let query = DiagnosisRow::find_by_statement(raw_sql!(
            Postgres,
            r#"SELECT current_setting('server_version') AS version, clock_timestamp() AS now,
                      pg_is_in_recovery() AS is_standby,
                      current_setting('transaction_read_only')::boolean AS is_read_only,
                      current_setting('archive_mode') <> 'off' AS is_archiving, last_archived_time AS last,
                      COALESCE(last_failed_time > COALESCE(last_archived_time, '-infinity'), false) AS is_failing
               FROM pg_stat_archiver"#
        ));
        let row = query.one(&self.read("diagnose")).await.map_err(|error| db_error::into_domain(&error))?;
        let row = row.ok_or_else(|| Error::internal("pg_stat_archiver has no row"))?;
        let DiagnosisRow { version, now, is_standby, is_read_only, is_archiving, last, is_failing } = row;
        let archive = is_archiving.then_some(Archive { last, is_failing });
        let is_behind_pooler = self.is_behind_pooler();
        Ok(Diagnosis { version, now, is_standby, is_read_only, is_behind_pooler, archive })
    }
}
