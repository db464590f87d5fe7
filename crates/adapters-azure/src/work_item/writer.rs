//! Reading and writing the hours of work items.

use domain::{HourFields, HoursChange, HoursWrite, MotivoDoErro, WorkItemHours, WorkItemId, WriteResult};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::payload::{COMPLETED_WORK, REMAINING_WORK};
use super::reader::{WorkItems, call};
use super::writer_payload::{HoursBatch, Revision, TypeFields, Updates, fields};
use crate::client::{Body, Call, json};
use crate::directory::Principal;
use crate::error::AzureError;

/// The largest page of updates that Azure DevOps returns.
const UPDATES_PAGE: usize = 200;
/// Azure DevOps accepts no more revisions of a work item by its REST API.
const MAX_REVISIONS: usize = 10_000;

impl WorkItems {
    /// Returns the current hours of those work items among `ids` that the caller can see. At most 200.
    pub(crate) async fn read_hours(
        &self,
        principal: &Principal,
        ids: &[WorkItemId],
    ) -> Result<Vec<WorkItemHours>, AzureError> {
        let deadline = Instant::now() + self.timeout;
        let user = self.users.of(&principal.user_id).await;
        let _user_slot = user.acquire(deadline).await?;
        let ids: Vec<_> = ids.iter().map(|id| id.get()).collect();
        let body = json!({"ids": ids, "fields": fields(), "errorPolicy": "omit"}).to_string();
        let url = self.org.at("/_apis/wit/workitemsbatch", &[]);
        let call = call(principal, "/_apis/wit/workitemsbatch", url, Some(body), deadline);
        json::read::<HoursBatch>(&self.upstream.send(&call).await?.body)?.into_domain()
    }

    /// Returns the fields of hours that the type `tipo` has in the project `projeto`.
    pub(crate) async fn hour_fields(
        &self,
        principal: &Principal,
        projeto: &str,
        tipo: &str,
    ) -> Result<HourFields, AzureError> {
        let deadline = Instant::now() + self.timeout;
        let user = self.users.of(&principal.user_id).await;
        let _user_slot = user.acquire(deadline).await?;
        let url = self.org.at_segments(&[projeto, "_apis", "wit", "workitemtypes", tipo, "fields"]);
        let url = url.ok_or_else(|| AzureError::invalid_response("a project or type without a usable name"))?;
        let template = "/{project}/_apis/wit/workitemtypes/{type}/fields";
        let call = call(principal, template, url, None, deadline);
        Ok(json::read::<TypeFields>(&self.upstream.send(&call).await?.body)?.into_domain())
    }

    /// Returns the revisions after `rev` that changed the hours, oldest first.
    pub(crate) async fn hours_changes(
        &self,
        principal: &Principal,
        id: WorkItemId,
        rev: i64,
    ) -> Result<Vec<HoursChange>, AzureError> {
        let deadline = Instant::now() + self.timeout;
        let user = self.users.of(&principal.user_id).await;
        let _user_slot = user.acquire(deadline).await?;
        // There are at least as many updates as revisions, so none of a later revision is skipped.
        let mut skip = usize::try_from(rev).unwrap_or_default();
        let mut changes = Vec::new();
        while skip < MAX_REVISIONS * 2 {
            let (path, top) = (format!("/_apis/wit/workitems/{id}/updates"), UPDATES_PAGE.to_string());
            let url = self.org.at(&path, &[("$top", &top), ("$skip", &skip.to_string())]);
            let call = call(principal, "/_apis/wit/workitems/{id}/updates", url, None, deadline);
            let updates = json::read::<Updates>(&self.upstream.send(&call).await?.body)?;
            let count = updates.len();
            changes.extend(updates.into_domain().filter(|change| rev < change.rev));
            if count < UPDATES_PAGE {
                break;
            }
            skip += count;
        }
        changes.sort_by_key(|change| change.rev);
        Ok(changes)
    }

    /// Writes `hours` if the work item has the revision `rev`.
    pub(crate) async fn write_hours(
        &self,
        principal: &Principal,
        id: WorkItemId,
        rev: i64,
        hours: HoursWrite,
    ) -> Result<WriteResult, AzureError> {
        let deadline = Instant::now() + self.timeout;
        let user = self.users.of(&principal.user_id).await;
        let _user_slot = user.acquire(deadline).await?;
        let url = self.org.at(&format!("/_apis/wit/workitems/{id}"), &[]);
        let call = call(principal, "/_apis/wit/workitems/{id}", url, None, deadline);
        let call = Call { body: Some(Body::Patch(patch(rev, hours).to_string())), ..call };
        match self.upstream.send(&call).await {
            Ok(response) => Ok(WriteResult::Written { rev: json::read::<Revision>(&response.body)?.rev }),
            Err(AzureError::RevisionMismatch(_)) => Ok(WriteResult::Outdated),
            Err(error) => refusal(&error).map(WriteResult::Refused).ok_or(error),
        }
    }
}

/// Returns why Azure DevOps would refuse the same write again.
fn refusal(error: &AzureError) -> Option<MotivoDoErro> {
    let motivo = match error {
        AzureError::WorkItemNotFound(_) => MotivoDoErro::Inexistente,
        AzureError::Forbidden => MotivoDoErro::SemPermissao,
        AzureError::BadRequest(_) => MotivoDoErro::Regra,
        _ => return None,
    };
    tracing::warn!(?error, "Azure DevOps refused to write hours");
    Some(motivo)
}

fn patch(rev: i64, hours: HoursWrite) -> Value {
    let HoursWrite { completed_work, remaining_work } = hours;
    let field = |name: &str, value: f64| json!({"op": "add", "path": format!("/fields/{name}"), "value": value});
    let test = json!({"op": "test", "path": "/rev", "value": rev});
    let completed_work = completed_work.map(|value| field(COMPLETED_WORK, value));
    let remaining_work = remaining_work.map(|value| field(REMAINING_WORK, value));
    [Some(test), completed_work, remaining_work].into_iter().flatten().collect()
}
