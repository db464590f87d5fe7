//! The write-back into the sample work items.

use std::sync::Arc;
use std::time::Duration;

use adapters_sqlite::{HoursRevision, SqliteDatabase, SqliteWriteBackQueue};
use async_trait::async_trait;
use domain::{
    Clock as _, Error, HourFields, HoursChange, HoursWrite, WorkItem, WorkItemHours, WorkItemId, WorkItemType,
    WorkItemWriter, WriteBack, WriteResult,
};
use tokio::time::sleep;

use super::work_items::{SampleWorkItems, states};
use crate::error::CliError;
use crate::wiring::SystemClock;

/// The time between two runs of the write-back.
const INTERVAL: Duration = Duration::from_millis(500);

/// The author of the revisions: no user.
const AUTHOR: &str = "aponta";

/// Writes the hours of time entries into `work_items`, again and again. An entry waits for it as long as in production. Other
/// processes on the same database may do so at the same time.
pub async fn write_back(database: SqliteDatabase, work_items: Arc<SampleWorkItems>) {
    loop {
        sleep(INTERVAL).await;
        if let Err(error) = write_pending(&database, &work_items).await {
            tracing::warn!(error = CliError::of(&error).to_string(), "hours not written to the sample work items");
        }
    }
}

async fn write_pending(database: &SqliteDatabase, work_items: &Arc<SampleWorkItems>) -> Result<(), Error> {
    for queue in SqliteWriteBackQueue::of_each_organisation(database).await? {
        WriteBack::new(Arc::new(queue), work_items.clone(), Arc::new(SystemClock)).escrever_pendentes().await?;
    }
    Ok(())
}

#[async_trait]
impl WorkItemWriter for SampleWorkItems {
    async fn read(&self, ids: Vec<WorkItemId>) -> Result<Vec<WorkItemHours>, Error> {
        let all = self.revisions().await?.into_iter();
        Ok(all.filter(|(_, item)| ids.contains(&item.id)).map(|(rev, item)| hours(rev, item)).collect())
    }

    async fn work_item_type(&self, _: String, tipo: String) -> Result<WorkItemType, Error> {
        let has_hours = matches!(tipo.as_str(), "Task" | "Bug");
        let fields = HourFields { completed_work: has_hours, remaining_work: has_hours };
        Ok(WorkItemType { states: states(), fields })
    }

    async fn changes(&self, id: WorkItemId, rev: i64) -> Result<Vec<HoursChange>, Error> {
        let changes = self.hours.after(id, rev).await?.into_iter();
        let change = |HoursRevision { rev, completed_work, em, .. }| HoursChange {
            rev,
            autor: AUTHOR.to_owned(),
            em,
            completed_work: completed_work.unwrap_or_default(),
        };
        Ok(changes.map(change).collect())
    }

    async fn write(&self, id: WorkItemId, rev: i64, hours: HoursWrite) -> Result<WriteResult, Error> {
        let mut current = self.revisions().await?.into_iter();
        let Some((_, item)) = current.find(|(current, item)| item.id == id && *current == rev) else {
            return Ok(WriteResult::Outdated);
        };
        let next = HoursRevision {
            work_item: id,
            rev: rev + 1,
            completed_work: hours.completed_work.or(item.completed_work),
            remaining_work: hours.remaining_work.or(item.remaining_work),
            em: SystemClock.now(),
        };
        let rev = next.rev;
        Ok(if self.hours.add(next).await? { WriteResult::Written { rev } } else { WriteResult::Outdated })
    }
}

fn hours(rev: i64, item: WorkItem) -> WorkItemHours {
    WorkItemHours {
        id: item.id,
        rev,
        tipo: item.tipo,
        estado: item.estado,
        projeto: item.projeto,
        original_estimate: item.original_estimate,
        remaining_work: item.remaining_work,
        completed_work: item.completed_work,
    }
}

#[cfg(test)]
mod tests {
    use super::super::work_items::tests::given_samples;
    use super::*;

    #[tokio::test]
    async fn write_takes_effect_at_its_revision_only_and_is_in_the_history() {
        let (samples, _directory) = given_samples().await;
        let id = WorkItemId::new(104).unwrap();
        let before = samples.read(vec![id]).await.unwrap().remove(0);
        let of = |completed_work| HoursWrite { completed_work: Some(completed_work), remaining_work: None };

        assert_eq!(samples.write(id, before.rev, of(3.5)).await.unwrap(), WriteResult::Written { rev: 2 });
        assert_eq!(samples.write(id, before.rev, of(9.0)).await.unwrap(), WriteResult::Outdated);
        assert_eq!(samples.write(id, 2, of(4.25)).await.unwrap(), WriteResult::Written { rev: 3 });

        let after = samples.read(vec![id, WorkItemId::new(7).unwrap()]).await.unwrap();
        assert_eq!(after, [WorkItemHours { rev: 3, completed_work: Some(4.25), ..before }]);
        let changes = samples.changes(id, 1).await.unwrap();
        let seen: Vec<_> = changes.iter().map(|change| (change.rev, change.completed_work.to_string())).collect();
        assert_eq!(seen, [(2, "3.5".to_owned()), (3, "4.25".to_owned())]);
        assert_eq!(samples.changes(id, 3).await.unwrap(), []);
    }

    #[tokio::test]
    async fn equal_writes_at_once_take_effect_once() {
        let (samples, _directory) = given_samples().await;
        let id = WorkItemId::new(105).unwrap();
        let hours = HoursWrite { completed_work: Some(1.0), remaining_work: Some(3.0) };

        let results = futures_util::future::join_all((0..8).map(|_| samples.write(id, 1, hours))).await;

        let written = results.iter().filter(|result| matches!(result, Ok(WriteResult::Written { rev: 2 })));
        assert_eq!(written.count(), 1, "{results:?}");
    }
}
