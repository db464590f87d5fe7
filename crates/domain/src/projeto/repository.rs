//! The port of the projetos' storage.

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{
    AzureProjectId, Batch, Error, Idempotency, Projeto, ProjetoId, ProjetoPatch, ProjetoQuery, ProjetoRecord,
    RemoteProjeto, SyncSummary,
};

/// Where projetos are kept. Each method is one transaction: it happens wholly or not at all.
///
/// Every method fails with `Unavailable` when the database cannot be reached or does not answer in time.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait ProjetoRepository: Send + Sync {
    /// Stores a projeto that exists only here and answers it as stored. `once` is as in
    /// [`AtividadeRepository::insert_all`].
    ///
    /// # Errors
    /// `KeyReused` and `TooManyKeys` as in [`AtividadeRepository::insert_all`].
    async fn insert(&self, record: ProjetoRecord, once: Option<Idempotency>) -> Result<Projeto, Error>;

    /// The projeto with that id, if there is one.
    ///
    /// # Errors
    /// See the trait.
    async fn find(&self, id: ProjetoId) -> Result<Option<Projeto>, Error>;

    /// One page of the projetos, in the order of [`ProjetoQuery`]. The rows of a page are bounded as in
    /// [`AtividadeRepository::list`].
    ///
    /// # Errors
    /// See the trait.
    async fn list(&self, query: ProjetoQuery) -> Result<Batch<Projeto>, Error>;

    /// Changes the fields that are present and answers the projeto as it is then, or nothing when there is none.
    /// `atualizado_em` follows the rule of [`AtividadeRepository::update`].
    ///
    /// # Errors
    /// `Conflict` with `ProjetoDoAzure` when Azure DevOps owns it, whatever the patch says; `Changed` when
    /// `atualizado_em` is not what the patch expects.
    async fn update(&self, id: ProjetoId, patch: ProjetoPatch, now: OffsetDateTime) -> Result<Option<Projeto>, Error>;

    /// Deletes it for good and answers whether it was there.
    ///
    /// # Errors
    /// `Conflict` with `ProjetoDoAzure` when Azure DevOps owns it, with `ProjetoComAtividades` when an atividade
    /// belongs to it; `Changed` when `atualizado_em` is not `expected`.
    async fn delete(&self, id: ProjetoId, expected: Option<OffsetDateTime>) -> Result<bool, Error>;

    /// Takes over what Azure DevOps has said since `since`, at once: the projects that it lists, and those that are
    /// `gone`.
    ///
    /// New projects are created under Azure's GUID; name, description, address and state of the others follow Azure.
    /// What is kept as Azure's and `gone`, and not listed, gets the state [`RemoteProjeto::DELETED`] and keeps its
    /// atividades; it comes back when Azure lists it again. All other projetos stay as they are, and so do rows with a
    /// `sincronizado_em` after `since`, because what they hold is newer.
    /// A row that does not differ is not written, so its `sincronizado_em` and `atualizado_em` stay; one that does gets
    /// `since` in the one, and the other follows the rule of [`AtividadeRepository::update`].
    /// An id that comes twice counts once, and its last occurrence holds. Calls that run side by side take turns.
    ///
    /// # Errors
    /// See the trait.
    async fn synchronize(
        &self,
        remote: Vec<RemoteProjeto>,
        gone: Vec<AzureProjectId>,
        since: OffsetDateTime,
    ) -> Result<SyncSummary, Error>;

    /// Takes over what Azure DevOps has said of one project since `since`, and answers it as stored; the others stay
    /// as they are.
    ///
    /// # Errors
    /// See the trait.
    async fn store_remote(&self, remote: RemoteProjeto, since: OffsetDateTime) -> Result<Projeto, Error>;
}
