//! Memory for the lists of projects that are read because a request names a project which is not stored yet.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{AzureProjectId, Credential, DeletionEvidence, Error, ProjectDirectory, ProjectList, RemoteProjeto};

use super::in_flight::{AZURE_LIST, InFlight};
use crate::error::DEFAULT_RETRY_AFTER;

/// The name under which the lists are reserved. All users share it, so the process reads one of these lists at a time.
const OWNER: &str = "imports of projects";

/// A [`ProjectDirectory`] that reserves the memory of each list of projects before it reads it.
pub struct ReservedLists {
    directory: Arc<dyn ProjectDirectory>,
    in_flight: InFlight,
}

impl ReservedLists {
    /// Wraps `directory`.
    pub fn new(directory: Arc<dyn ProjectDirectory>, in_flight: InFlight) -> Self {
        Self { directory, in_flight }
    }
}

#[async_trait]
impl ProjectDirectory for ReservedLists {
    async fn list(&self, credential: Credential) -> Result<ProjectList, Error> {
        let _list = self.in_flight.reserve(OWNER, AZURE_LIST).await.map_err(|_| Error::Overloaded {
            retry_after: DEFAULT_RETRY_AFTER,
            cause: "no memory for a list of projects".into(),
        })?;
        self.directory.list(credential).await
    }

    async fn list_raw(&self, credential: Credential) -> Result<Vec<String>, Error> {
        self.directory.list_raw(credential).await
    }

    async fn find(&self, credential: Credential, id: AzureProjectId) -> Result<Option<RemoteProjeto>, Error> {
        self.directory.find(credential, id).await
    }

    async fn confirm_deleted(
        &self,
        credential: Credential,
        ids: Vec<AzureProjectId>,
        evidence: DeletionEvidence,
    ) -> Vec<AzureProjectId> {
        self.directory.confirm_deleted(credential, ids, evidence).await
    }
}

#[cfg(test)]
mod tests {
    use domain::MockProjectDirectory;
    use domain::testing::maria;

    use super::*;

    #[actix_web::test]
    async fn list_holds_its_memory_while_it_is_read() {
        let in_flight = InFlight::default();
        let mut directory = MockProjectDirectory::new();
        let seen = in_flight.clone();
        directory.expect_list().times(1).returning(move |_| {
            assert_eq!(usize::try_from(seen.metrics().0.get()), Ok(AZURE_LIST));
            Ok(ProjectList::default())
        });
        let lists = ReservedLists::new(Arc::new(directory), in_flight.clone());
        let credential = maria().credential.unwrap();

        lists.list(credential.clone()).await.unwrap();

        assert_eq!(in_flight.metrics().0.get(), 0);
        let _other = in_flight.try_reserve(OWNER, AZURE_LIST).unwrap();
        assert!(matches!(lists.list(credential).await, Err(Error::Overloaded { .. })));
    }
}
