//! What a server says of itself, for whoever wants to know whether all is well.

use domain::Error;
use time::OffsetDateTime;
use tokio_postgres::Row;

use crate::PostgresDatabase;
use crate::database::FromRow;

/// What the server says of itself.
#[derive(Debug, Clone)]
pub struct Diagnosis {
    /// Its version, for example `15.8`.
    pub version: String,
    /// What time it has.
    pub now: OffsetDateTime,
    /// How its archive of WAL does; nothing when it keeps none.
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

impl FromRow for Diagnosis {
    fn from_row(row: Row) -> Result<Self, tokio_postgres::Error> {
        let is_kept: bool = row.try_get(2)?;
        let archive = Archive { last: row.try_get(3)?, is_failing: row.try_get(4)? };
        Ok(Self { version: row.try_get(0)?, now: row.try_get(1)?, archive: is_kept.then_some(archive) })
    }
}

impl PostgresDatabase {
    /// Asks the server how it is.
    ///
    /// # Errors
    /// `Unavailable` when it does not answer.
    pub async fn diagnose(&self) -> Result<Diagnosis, Error> {
        let rows = self
            .search(
                "diagnose",
                "SELECT current_setting('server_version'), clock_timestamp(), current_setting('archive_mode') <> 'off',
                        last_archived_time,
                        COALESCE(last_failed_time > COALESCE(last_archived_time, '-infinity'), false)
                 FROM pg_stat_archiver",
                &[],
            )
            .await?;
        rows.into_iter().next().ok_or_else(|| Error::internal("pg_stat_archiver has no row"))
    }
}
