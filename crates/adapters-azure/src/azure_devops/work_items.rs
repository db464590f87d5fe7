//! The port to the work items.

use std::time::Duration;

use async_trait::async_trait;
use domain::{
    Credential, Error, Iteration, IterationId, IterationItems, Missing, TeamSelector, Teams, TreeQuery, WorkItem,
    WorkItemDirectory, WorkItemId, WorkItemSearch, WorkItemStates, WorkItemTree,
};

use super::{AzureDevOps, Inner};
use crate::client::Traffic;
use crate::directory::Principal;
use crate::error::AzureError;
use crate::work_item::WorkItems;

#[async_trait]
impl WorkItemDirectory for AzureDevOps {
    async fn find(&self, credential: Option<Credential>, id: WorkItemId) -> Result<Option<WorkItem>, Error> {
        Ok(self.find_many(credential, vec![id]).await?.pop())
    }

    async fn find_many(&self, credential: Option<Credential>, ids: Vec<WorkItemId>) -> Result<Vec<WorkItem>, Error> {
        let (work_items, principal) = self.0.work_items(credential).await?;
        let items = work_items.read(&principal, &ids, Traffic::Checks).await;
        Ok(self.0.deny_after_identity(&principal, items).await?.to_vec())
    }

    async fn search(
        &self,
        credential: Option<Credential>,
        search: WorkItemSearch,
    ) -> Result<Option<Vec<WorkItem>>, Error> {
        let (work_items, principal) = self.0.work_items(credential).await?;
        let found = work_items.search(&principal, search).await;
        Ok(self.0.deny_after_identity(&principal, found).await?.map(|items| items.to_vec()))
    }

    async fn states(
        &self,
        credential: Option<Credential>,
        projeto: String,
        tipo: String,
    ) -> Result<WorkItemStates, Error> {
        let (work_items, principal) = self.0.work_items(credential).await?;
        let states = work_items.states(&principal, projeto, tipo).await;
        Ok(self.0.deny_after_identity(&principal, states).await?)
    }

    async fn teams(&self, credential: Option<Credential>, projeto: String) -> Result<Result<Teams, Missing>, Error> {
        let (work_items, principal) = self.0.work_items(credential).await?;
        let teams = work_items.teams(&principal, projeto).await;
        Ok(self.0.deny_after_identity(&principal, teams).await?.map(|teams| (*teams).clone()))
    }

    async fn iterations(
        &self,
        credential: Option<Credential>,
        team: TeamSelector,
    ) -> Result<Result<Vec<Iteration>, Missing>, Error> {
        let (work_items, principal) = self.0.work_items(credential).await?;
        let iterations = work_items.iterations(&principal, team).await;
        Ok(self.0.deny_after_identity(&principal, iterations).await?.map(|iterations| (*iterations).clone()))
    }

    async fn iteration_items(
        &self,
        credential: Option<Credential>,
        team: TeamSelector,
        iteration: IterationId,
    ) -> Result<Result<IterationItems, Missing>, Error> {
        let (work_items, principal) = self.0.work_items(credential).await?;
        let items = work_items.iteration_items(&principal, team, iteration).await;
        Ok(self.0.deny_after_identity(&principal, items).await?.map(|items| (*items).clone()))
    }

    async fn tree(
        &self,
        credential: Option<Credential>,
        query: TreeQuery,
    ) -> Result<Result<WorkItemTree, Missing>, Error> {
        let (work_items, principal) = self.0.work_items(credential).await?;
        let tree = work_items.tree(&principal, query).await;
        Ok(self.0.deny_after_identity(&principal, tree).await?.map(|tree| (*tree).clone()))
    }
}

impl Inner {
    /// Returns the work items of the organisation and the verified user of `credential`.
    pub(super) async fn work_items(
        &self,
        credential: Option<Credential>,
    ) -> Result<(&WorkItems, Principal), AzureError> {
        let work_items = self.work_items.as_ref().ok_or(AzureError::NoOrganisation)?;
        let credential = credential.ok_or(AzureError::NoOrganisation)?;
        Ok((work_items, self.principal(&credential, Duration::MAX).await?))
    }
}
