//! The port that writes the hours of work items.

use std::time::Duration;

use async_trait::async_trait;
use domain::{
    Credential, Error, HourFields, HoursChange, HoursWrite, WorkItemDirectory as _, WorkItemHours, WorkItemId,
    WorkItemType, WorkItemWriter, WriteResult,
};
use moka::future::Cache;

use super::AzureDevOps;

/// How long the fields of a type are cached. A process changes rarely.
const FIELDS_TTL: Duration = Duration::from_mins(5);
/// Maximum number of cached types.
const MAX_CACHED_TYPES: u64 = 10_000;

/// Writes the hours of work items with the credential of the service.
pub struct AzureWorkItemWriter {
    azure: AzureDevOps,
    credential: Credential,
    /// By project and type.
    fields: Cache<(String, String), HourFields>,
}

impl AzureWorkItemWriter {
    /// Writes to the organisation of `azure` with `credential`.
    #[must_use]
    pub fn new(azure: AzureDevOps, credential: Credential) -> Self {
        let fields = Cache::builder().max_capacity(MAX_CACHED_TYPES).time_to_live(FIELDS_TTL).build();
        Self { azure, credential, fields }
    }
}

#[async_trait]
impl WorkItemWriter for AzureWorkItemWriter {
    async fn read(&self, ids: Vec<WorkItemId>) -> Result<Vec<WorkItemHours>, Error> {
        let azure = &self.azure.0;
        let (work_items, principal) = azure.work_items(Some(self.credential.clone())).await?;
        let items = work_items.read_hours(&principal, &ids).await;
        Ok(azure.deny_after_identity(&principal, items).await?)
    }

    async fn work_item_type(&self, projeto: String, tipo: String) -> Result<WorkItemType, Error> {
        let states = self.azure.states(Some(self.credential.clone()), projeto.clone(), tipo.clone()).await?;
        let key = (projeto, tipo);
        if let Some(fields) = self.fields.get(&key).await {
            return Ok(WorkItemType { states, fields });
        }
        let azure = &self.azure.0;
        let (work_items, principal) = azure.work_items(Some(self.credential.clone())).await?;
        let fields = work_items.hour_fields(&principal, &key.0, &key.1).await;
        let fields = azure.deny_after_identity(&principal, fields).await?;
        self.fields.insert(key, fields).await;
        Ok(WorkItemType { states, fields })
    }

    async fn changes(&self, id: WorkItemId, rev: i64) -> Result<Vec<HoursChange>, Error> {
        let azure = &self.azure.0;
        let (work_items, principal) = azure.work_items(Some(self.credential.clone())).await?;
        let changes = work_items.hours_changes(&principal, id, rev).await;
        Ok(azure.deny_after_identity(&principal, changes).await?)
    }

    async fn write(&self, id: WorkItemId, rev: i64, hours: HoursWrite) -> Result<WriteResult, Error> {
        let azure = &self.azure.0;
        let (work_items, principal) = azure.work_items(Some(self.credential.clone())).await?;
        let written = work_items.write_hours(&principal, id, rev, hours).await;
        Ok(azure.deny_after_identity(&principal, written).await?)
    }
}
