//! What a server says of itself, for whoever wants to know whether all is well.

use domain::Error;
use sea_orm::{FromQueryResult, raw_sql};
use time::OffsetDateTime;

use crate::PostgresDatabase;

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

#[derive(FromQueryResult)]
struct Row {
    version: String,
    now: OffsetDateTime,
    is_kept: bool,
    last: Option<OffsetDateTime>,
    is_failing: bool,
}

impl PostgresDatabase {
    /// Asks the server how it is.
    ///
    /// # Errors
    /// `Unavailable` when it does not answer.
    pub async fn diagnose(&self) -> Result<Diagnosis, Error> {
        let rows: Vec<Row> = self
            .read(
                "diagnose",
                raw_sql!(
                    Postgres,
                    r#"
                    SELECT current_setting('server_version') AS version, clock_timestamp() AS now,
                           current_setting('archive_mode') <> 'off' AS is_kept, last_archived_time AS last,
                           COALESCE(last_failed_time > COALESCE(last_archived_time, '-infinity'), false) AS is_failing
                    FROM pg_stat_archiver
                    "#
                ),
            )
            .await?;
        let row = rows.into_iter().next().ok_or_else(|| Error::internal("pg_stat_archiver has no row"))?;
        let Row { version, now, is_kept, last, is_failing } = row;
        Ok(Diagnosis { version, now, archive: is_kept.then_some(Archive { last, is_failing }) })
    }
}
