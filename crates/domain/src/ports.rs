//! What the domain asks of the world. Each promise here has a test against the real thing.

use async_trait::async_trait;
use time::OffsetDateTime;
use uuid::{NoContext, Timestamp, Uuid};

use crate::{
    Atividade, AtividadeId, AtividadePatch, AtividadeQuery, AtividadeRecord, AzureProjectId, Batch, Caller, Credential,
    Error, Idempotency, Pagina, Projeto, ProjetoCursor, ProjetoId, ProjetoPatch, ProjetoQuery, ProjetoRecord,
    RemoteProjeto, SyncSummary,
};

/// Where atividades are kept. Each method is one transaction: it happens wholly or not at all.
///
/// Every method fails with `Unavailable` when the database cannot be reached or does not answer in time.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait AtividadeRepository: Send + Sync {
    /// Stores `record` and answers it as stored, with the name of its projeto.
    ///
    /// # Errors
    /// `Invalid` with `UnknownProjeto` on `id_projeto` when no projeto has that id.
    async fn insert(&self, record: AtividadeRecord) -> Result<Atividade, Error>;

    /// Stores all of `records`, or none, and answers them as stored, in their order. Where `once` was there before and
    /// is not older than [`Idempotency::LIFETIME`], nothing is stored and the answer is the first one, whatever became
    /// of the atividades. Calls with the same `once` that run side by side take turns.
    ///
    /// # Errors
    /// `Invalid` with `UnknownProjeto` on `id_projeto` for each item whose projeto does not exist; `KeyReused` when the
    /// key of `once` stands for another request; `TooManyKeys` when the user has [`Idempotency::MAX_KEYS`] keys or
    /// [`Idempotency::MAX_BYTES`] of responses.
    async fn insert_all(
        &self,
        records: Vec<AtividadeRecord>,
        once: Option<Idempotency>,
    ) -> Result<Vec<Atividade>, Error>;

    /// The atividade with that id, if there is one.
    ///
    /// # Errors
    /// See the trait.
    async fn find(&self, id: AtividadeId) -> Result<Option<Atividade>, Error>;

    /// One page of the matches, in their order. `total` counts every match, whatever the page and the cursors; a page
    /// beyond the end is empty and still has the total.
    ///
    /// `items` are the first rows of the page, as many as fit into [`PAGE_BYTES`](crate::PAGE_BYTES) and at least one.
    /// Rows that do not fit are not held in memory. If any were left out, `last` is the last row of the page: the rest of
    /// the page are the matches after the last of `items`, up to `last`.
    ///
    /// # Errors
    /// See the trait.
    async fn list(&self, query: AtividadeQuery) -> Result<Pagina<Atividade>, Error>;

    /// The same without the total.
    ///
    /// # Errors
    /// See the trait.
    async fn rows(&self, query: AtividadeQuery) -> Result<Batch<Atividade>, Error>;

    /// Changes the fields that are present and answers the atividade as it is then, or nothing when there is none.
    ///
    /// `atualizado_em` becomes `now`, or one microsecond after its last value if the clock is not past it, so that
    /// every change shows. When no value differs from what is stored, nothing is written and `atualizado_em` stays.
    ///
    /// # Errors
    /// `Invalid` with `UnknownProjeto` on `id_projeto` when the atividade exists and no projeto has that id; `Changed`
    /// when it exists and `atualizado_em` is not what the patch expects.
    async fn update(
        &self,
        id: AtividadeId,
        patch: AtividadePatch,
        now: OffsetDateTime,
    ) -> Result<Option<Atividade>, Error>;

    /// Deletes it for good and answers whether it was there.
    ///
    /// # Errors
    /// `Changed` when it exists and `atualizado_em` is not `expected`.
    async fn delete(&self, id: AtividadeId, expected: Option<OffsetDateTime>) -> Result<bool, Error>;
}

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
    async fn list(&self, query: ProjetoQuery) -> Result<Batch<Projeto, ProjetoCursor>, Error>;

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

/// Whether the place where things are kept can answer.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait Readiness: Send + Sync {
    /// Asks the database for an answer, within a bounded time.
    ///
    /// # Errors
    /// `Unavailable` when there is none.
    async fn check(&self) -> Result<(), Error>;
}

/// Who tells whose a credential is.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait IdentityProvider: Send + Sync {
    /// The person or service behind `credential`, which is none when a request shows none; with it, the credential
    /// that serves the calls to Azure DevOps on their behalf.
    ///
    /// # Errors
    /// `CredentialMissing`, `CredentialRejected`; `Unavailable`, `TimedOut` or `BadUpstream` when nobody can tell.
    async fn authenticate(&self, credential: Option<Credential>) -> Result<Caller, Error>;

    /// Whether `credential` was accepted lately, so that it is no guess. It lets nobody in, and asks nobody.
    fn knows(&self, credential: &Credential) -> bool;
}

/// The organisation's projects, as Azure DevOps shows them to one caller.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait ProjectDirectory: Send + Sync {
    /// Every project that the caller may see, each once.
    ///
    /// # Errors
    /// `Forbidden` when the caller may not ask; `Unavailable`, `TimedOut` or `BadUpstream` when Azure DevOps is ill;
    /// `Conflict` with `SemOrganizacao` when no organisation is configured.
    async fn list(&self, credential: Credential) -> Result<Vec<RemoteProjeto>, Error>;

    /// The same as Azure DevOps itself writes it: each project is one JSON object, passed on without a look inside.
    ///
    /// # Errors
    /// As [`Self::list`].
    async fn list_verbatim(&self, credential: Credential) -> Result<Vec<String>, Error>;

    /// The project with that GUID, if the caller may see one. Calls for the same project and credential that run
    /// side by side, or within seconds of one that found it, ask Azure DevOps once.
    ///
    /// # Errors
    /// As [`Self::list`].
    async fn find(&self, credential: Credential, id: AzureProjectId) -> Result<Option<RemoteProjeto>, Error>;

    /// Those of `ids` of which Azure DevOps says, asked for each of them, that there is no such project. What it
    /// shows, what it says to be hidden from the caller, and what it cannot tell now is not among them; nor is what is
    /// beyond the number of questions that one call may ask.
    async fn gone(&self, credential: Credential, ids: Vec<AzureProjectId>) -> Vec<AzureProjectId>;
}

/// What time it is.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
pub trait Clock: Send + Sync {
    /// Now, UTC, cut to the microsecond, because that is what both databases keep.
    fn now(&self) -> OffsetDateTime;
}

/// A new UUID version 7 for something created at `now`; times before 1970 count as 1970.
pub(crate) fn new_uuid(now: OffsetDateTime) -> Uuid {
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.nanosecond()))
}
