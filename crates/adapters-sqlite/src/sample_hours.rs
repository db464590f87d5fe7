//! The hours that are written into sample work items, as rows of `revisoes`.

use domain::{Error, WorkItemId};
use sea_orm::{FromQueryResult, raw_sql};
use time::OffsetDateTime;

use crate::value::{instant, microseconds};
use crate::{SqliteDatabase, db_error};

/// The hours of a sample work item at one revision.
#[derive(Debug, Clone, PartialEq)]
pub struct HoursRevision {
    /// The work item.
    pub work_item: WorkItemId,
    /// The number of the revision. The sample itself is revision 1, which is not stored.
    pub rev: i64,
    /// `CompletedWork`.
    pub completed_work: Option<f64>,
    /// `RemainingWork`.
    pub remaining_work: Option<f64>,
    /// When it was made.
    pub em: OffsetDateTime,
}

/// The revisions that the write-back has made of the sample work items of `aponta dev`. Nothing deletes them.
#[derive(Debug, Clone)]
pub struct SqliteSampleHours(SqliteDatabase);

impl SqliteSampleHours {
    /// Builds the store on `database`.
    #[must_use]
    pub fn new(database: &SqliteDatabase) -> Self {
        Self(database.clone())
    }

    /// Returns the latest revision of each work item that has one.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn latest(&self) -> Result<Vec<HoursRevision>, Error> {
        // SQLite takes the other columns from the row of the maximum (<https://sqlite.org/lang_select.html#bareagg>).
        let latest = raw_sql!(
            Sqlite,
            r#"
            SELECT work_item_id, max(rev) AS rev, completed_work, remaining_work, em FROM revisoes GROUP BY work_item_id
            "#
        );
        let rows: Vec<Row> = self.0.fetch_all(latest).await?;
        rows.into_iter().map(HoursRevision::try_from).collect()
    }

    /// Returns the revisions of a work item after `rev`, oldest first.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn after(&self, work_item: WorkItemId, rev: i64) -> Result<Vec<HoursRevision>, Error> {
        let id = work_item.get();
        let after = raw_sql!(Sqlite, "SELECT * FROM revisoes WHERE work_item_id = {id} AND {rev} < rev ORDER BY rev");
        let rows: Vec<Row> = self.0.fetch_all(after).await?;
        rows.into_iter().map(HoursRevision::try_from).collect()
    }

    /// Stores `revision` if the one before it is the latest. Returns whether it was.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn add(&self, revision: HoursRevision) -> Result<bool, Error> {
        let HoursRevision { work_item, rev, completed_work, remaining_work, em } = revision;
        let (id, previous, em) = (work_item.get(), rev - 1, microseconds(em));
        let add = raw_sql!(
            Sqlite,
            r#"
            INSERT INTO revisoes (work_item_id, rev, completed_work, remaining_work, em)
            SELECT {id}, {rev}, {completed_work}, {remaining_work}, {em}
            WHERE {previous} = (SELECT coalesce(max(rev), 1) FROM revisoes WHERE work_item_id = {id})
            "#
        );
        Ok(self.0.execute(add).await.map_err(db_error::into_domain)?.rows_affected() != 0)
    }
}

#[derive(FromQueryResult)]
struct Row {
    work_item_id: i64,
    rev: i64,
    completed_work: Option<f64>,
    remaining_work: Option<f64>,
    em: i64,
}

impl TryFrom<Row> for HoursRevision {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let Row { work_item_id, rev, completed_work, remaining_work, em } = row;
        let work_item = WorkItemId::new(work_item_id).map_err(Error::internal)?;
        Ok(Self { work_item, rev, completed_work, remaining_work, em: instant(em)? })
    }
}
