//! Positions in the write-ahead log: up to where a primary has acknowledged commits, and up to where a standby has replayed
//! them.

use std::fmt;

use async_trait::async_trait;
use coalescer::Batch;
use sea_orm::{ConnectionTrait as _, DbBackend, DbErr, QueryResult, Statement};

use crate::{PostgresDatabase, db_error};

const OPERATION: &str = "replicas.position";

/// Reads a [`Position`]. Every role may call these functions.
///
/// A primary acknowledges a commit after it has flushed the WAL, but with `synchronous_commit = off` before that. The end of
/// the inserted WAL is not used otherwise: standbys get it only when it is flushed. The control file of a standby shows a new
/// timeline later than the standby follows it, never earlier.
const POSITION: &str = "
    SELECT s.system_identifier, d.oid::int8, pg_is_in_recovery(),
           CASE WHEN pg_is_in_recovery() THEN greatest(c.timeline_id, r.min_recovery_end_timeline)
                ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END,
           COALESCE(pg_wal_lsn_diff(
               CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                    WHEN current_setting('synchronous_commit') = 'off' THEN pg_current_wal_insert_lsn()
                    ELSE pg_current_wal_flush_lsn() END, '0/0')::int8, 0)
    FROM pg_control_system() s, pg_control_checkpoint() c, pg_control_recovery() r, pg_database d
    WHERE d.datname = current_database()";

/// A position in the WAL of a cluster, and the database whose session read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    system: i64,
    database: i64,
    is_standby: bool,
    timeline: i32,
    /// Bytes since the beginning of the WAL.
    pub(super) lsn: i64,
}

/// Why a standby must not serve a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// It is the primary itself, as after a failover to it.
    Primary,
    /// It accepts writes, and is not the primary.
    NotStandby,
    /// It belongs to another cluster, or the session uses another database of it.
    OtherDatabase,
    /// A failover has happened that it does not know, or the primary is not the one that it follows.
    OtherTimeline,
    /// It has not replayed so many bytes.
    Behind { bytes: i64 },
}

impl Position {
    pub(super) fn statement() -> Statement {
        Statement::from_string(DbBackend::Postgres, POSITION)
    }

    pub(super) fn from_row(row: &QueryResult) -> Result<Self, DbErr> {
        Ok(Self {
            system: row.try_get_by_index(0)?,
            database: row.try_get_by_index(1)?,
            is_standby: row.try_get_by_index(2)?,
            timeline: row.try_get_by_index(3)?,
            lsn: row.try_get_by_index(4)?,
        })
    }

    /// Checks that a standby at this position has everything that its primary had acknowledged at `required`.
    pub(super) fn check(&self, required: &Self) -> Result<(), Mismatch> {
        if !self.is_standby {
            let is_primary =
                (self.system, self.database, self.timeline) == (required.system, required.database, required.timeline);
            return Err(if is_primary { Mismatch::Primary } else { Mismatch::NotStandby });
        }
        if (self.system, self.database) != (required.system, required.database) {
            return Err(Mismatch::OtherDatabase);
        }
        if self.timeline != required.timeline {
            return Err(Mismatch::OtherTimeline);
        }
        match required.lsn.saturating_sub(self.lsn) {
            bytes @ 1.. => Err(Mismatch::Behind { bytes }),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Primary => f.write_str("the server is the primary"),
            Self::NotStandby => f.write_str("the server is not in recovery, so it is no standby"),
            Self::OtherDatabase => {
                f.write_str("the server has another database than the primary: the system identifiers or OIDs differ")
            }
            Self::OtherTimeline => f.write_str("the server is on another timeline than the primary"),
            Self::Behind { bytes } => write!(f, "the server is {bytes} bytes of WAL behind the primary"),
        }
    }
}

/// Reads the position of the primary. Each call returns a position of some moment after the call.
pub(super) struct PrimaryPosition(pub(super) PostgresDatabase);

impl PrimaryPosition {
    pub(super) async fn read(&self) -> Result<Position, DbErr> {
        let row = self.0.read(OPERATION).untraced().query_one_raw(Position::statement()).await?;
        let position = Position::from_row(&row.ok_or_else(|| db_error::connection_failed("no position of the WAL"))?)?;
        if position.is_standby { Err(db_error::unacceptable_server(true, true)) } else { Ok(position) }
    }
}

#[async_trait]
impl Batch for PrimaryPosition {
    type Item = ();
    type Output = Position;
    type Error = DbErr;

    async fn run(&self, calls: &[()]) -> Result<Vec<Position>, DbErr> {
        Ok(vec![self.read().await?; calls.len()])
    }

    fn is_caused_by_item(_: &DbErr) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIMARY: Position = Position { system: 7, database: 5, is_standby: false, timeline: 2, lsn: 100 };
    const STANDBY: Position = Position { is_standby: true, ..PRIMARY };

    #[test]
    fn standby_that_has_replayed_the_position_passes() {
        for lsn in [100, 101] {
            assert_eq!(Position { lsn, ..STANDBY }.check(&PRIMARY), Ok(()));
        }
    }

    #[test]
    fn every_other_server_is_refused() {
        let cases = [
            (PRIMARY, Mismatch::Primary),
            (Position { timeline: 3, ..PRIMARY }, Mismatch::NotStandby),
            (Position { system: 8, ..PRIMARY }, Mismatch::NotStandby),
            (Position { lsn: 99, ..STANDBY }, Mismatch::Behind { bytes: 1 }),
            (Position { lsn: 0, ..STANDBY }, Mismatch::Behind { bytes: 100 }),
            (Position { system: 8, lsn: 900, ..STANDBY }, Mismatch::OtherDatabase),
            (Position { database: 6, lsn: 900, ..STANDBY }, Mismatch::OtherDatabase),
            // Replayed by the old primary before a failover that lost it.
            (Position { timeline: 1, lsn: 900, ..STANDBY }, Mismatch::OtherTimeline),
            (Position { timeline: 3, lsn: 900, ..STANDBY }, Mismatch::OtherTimeline),
        ];
        for (position, mismatch) in cases {
            assert_eq!(position.check(&PRIMARY), Err(mismatch), "{position:?}");
        }
    }
}
