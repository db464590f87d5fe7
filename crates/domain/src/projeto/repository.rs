//! The port to the storage of projetos.

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{
    AzureProjectId, Batch, Error, Idempotency, Projeto, ProjetoId, ProjetoPatch, ProjetoQuery, ProjetoRecord,
    RemoteProjeto, SyncSummary,
};

/// Stores projetos. Each method is one transaction.
///
/// Every method returns `Unavailable` if the database cannot be reached or does not respond in time.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait ProjetoRepository: Send + Sync {
    /// Inserts a local projeto and returns it as stored. `idempotency` works as in
    /// [`AtividadeRepository::insert_all`](crate::AtividadeRepository::insert_all).
    ///
    /// # Errors
    /// `IdempotencyKeyReused` and `TooManyIdempotencyKeys`.
    async fn insert(&self, record: ProjetoRecord, idempotency: Option<Idempotency>) -> Result<Projeto, Error>;

    /// Returns the projeto with that id, if it exists.
    ///
    /// # Errors
    /// See the trait.
    async fn find(&self, id: ProjetoId) -> Result<Option<Projeto>, Error>;

    /// Returns the first rows of one page, bounded as in
    /// [`AtividadeRepository::list`](crate::AtividadeRepository::list).
    ///
    /// # Errors
    /// See the trait.
    async fn list(&self, query: ProjetoQuery) -> Result<Batch<Projeto>, Error>;

    /// Changes the fields that `patch` has, and returns the result, or `None` if no projeto has that id.
    /// `atualizado_em` changes as in [`AtividadeRepository::update`](crate::AtividadeRepository::update).
    ///
    /// # Errors
    /// `Conflict` with `ProjetoDoAzure` for a projeto of Azure DevOps, also if the patch changes nothing;
    /// `VersionMismatch` if `atualizado_em` differs from the one that `patch` expects.
    async fn update(&self, id: ProjetoId, patch: ProjetoPatch, now: OffsetDateTime) -> Result<Option<Projeto>, Error>;

    /// Deletes the projeto and returns whether it existed.
    ///
    /// # Errors
    /// `Conflict` with `ProjetoDoAzure` for a projeto of Azure DevOps, with `ProjetoComAtividades` if an atividade
    /// belongs to it; `VersionMismatch` if `atualizado_em` differs from `expected`.
    async fn delete(&self, id: ProjetoId, expected: Option<OffsetDateTime>) -> Result<bool, Error>;

    /// Copies the state of Azure DevOps at `since`: `remote` are the listed projects, `deleted` those whose deletion
    /// was confirmed.
    ///
    /// - A project that is not stored yet is created under Azure's GUID. Otherwise name, description, URL and state
    ///   are updated if they differ.
    /// - A stored project in `deleted` and not in `remote` gets the state [`RemoteProjeto::DELETED`] and keeps its
    ///   atividades. It is restored when Azure DevOps lists it again.
    /// - Local projetos do not change. Rows with a `sincronizado_em` after `since` do not change either, because they
    ///   are newer than the list. Rows that are ahead by more than [`RemoteProjeto::MAX_CLOCK_SKEW`] change, because a
    ///   wrong clock stamped them.
    /// - A changed row gets `since` as `sincronizado_em`; `atualizado_em` changes as in
    ///   [`AtividadeRepository::update`](crate::AtividadeRepository::update). An equal row is not written, unless a wrong
    ///   clock stamped it.
    /// - Of an id that occurs twice, the last occurrence counts. Concurrent calls run one after the other.
    ///
    /// # Errors
    /// See the trait.
    async fn synchronize(
        &self,
        remote: Vec<RemoteProjeto>,
        deleted: Vec<AzureProjectId>,
        since: OffsetDateTime,
    ) -> Result<SyncSummary, Error>;

    /// Copies the state of one project at `since`, and returns it as stored. Other projetos do not change.
    ///
    /// # Errors
    /// See the trait.
    async fn store_remote(&self, remote: RemoteProjeto, since: OffsetDateTime) -> Result<Projeto, Error>;
}
