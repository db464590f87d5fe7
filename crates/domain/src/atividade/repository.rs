//! The port of the atividades' storage.

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{Atividade, AtividadeId, AtividadePatch, AtividadeQuery, AtividadeRecord, Batch, Error, Idempotency, Page};

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
    async fn list(&self, query: AtividadeQuery) -> Result<Page<Atividade>, Error>;

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
