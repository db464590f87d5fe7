//! The port to the storage of atividades.

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{Atividade, AtividadeId, AtividadePatch, AtividadeQuery, AtividadeRecord, Batch, Error, Idempotency, Page};

/// Stores atividades. Each method is one transaction.
///
/// Every method returns `Unavailable` if the database cannot be reached or does not respond in time.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait AtividadeRepository: Send + Sync {
    /// Inserts `record` and returns it as stored, with the names of its projetos.
    ///
    /// # Errors
    /// `Invalid` with what [`ProjetoRefs::unknown`](crate::ProjetoRefs::unknown) returns if a projeto does not exist.
    async fn insert(&self, record: AtividadeRecord) -> Result<Atividade, Error>;

    /// Inserts all of `records` or none, and returns them as stored, in the same order.
    ///
    /// With `idempotency`, a repetition within [`Idempotency::LIFETIME`] inserts nothing and returns the first result,
    /// even if those atividades have changed since. Concurrent calls with the same key run one after the other.
    ///
    /// # Errors
    /// `Invalid` with what [`ProjetoRefs::unknown`](crate::ProjetoRefs::unknown) returns for each item, and its index;
    /// `IdempotencyKeyReused` if the key belongs to another request; `TooManyIdempotencyKeys` if the user has
    /// [`Idempotency::MAX_KEYS`] keys or [`Idempotency::MAX_BYTES`] of responses.
    async fn insert_all(
        &self,
        records: Vec<AtividadeRecord>,
        idempotency: Option<Idempotency>,
    ) -> Result<Vec<Atividade>, Error>;

    /// Returns the atividade with that id, if it exists.
    ///
    /// # Errors
    /// See the trait.
    async fn find(&self, id: AtividadeId) -> Result<Option<Atividade>, Error>;

    /// Returns one page of the matches. `total` counts the matches of the filter, regardless of page and cursors, also
    /// if the page is empty.
    ///
    /// `items` are the first rows of the page: as many as fit into [`PAGE_BYTES`](crate::PAGE_BYTES), and at least one.
    /// Rows that do not fit are not held in memory. If any were dropped, `last` is the last row of the page; the
    /// dropped ones are the matches after the last of `items` up to `last`.
    ///
    /// # Errors
    /// See the trait.
    async fn list(&self, query: AtividadeQuery) -> Result<Page<Atividade>, Error>;

    /// Returns what [`Self::list`] returns, without the total.
    ///
    /// # Errors
    /// See the trait.
    async fn list_items(&self, query: AtividadeQuery) -> Result<Batch<Atividade>, Error>;

    /// Changes the fields that `patch` has, and returns the result, or `None` if no atividade has that id. Concurrent
    /// updates are applied one after the other, so the projetos are always those of one of them.
    ///
    /// `atualizado_em` becomes `now`, or 1 µs more than before if `now` is not later, so that it grows with every
    /// change. An update that changes no field does not modify it.
    ///
    /// # Errors
    /// `Invalid` with what [`ProjetoRefs::unknown`](crate::ProjetoRefs::unknown) returns if the atividade exists and a
    /// projeto does not; `VersionMismatch` if it exists and `atualizado_em` differs from the one that `patch` expects.
    async fn update(
        &self,
        id: AtividadeId,
        patch: AtividadePatch,
        now: OffsetDateTime,
    ) -> Result<Option<Atividade>, Error>;

    /// Deletes the atividade and returns whether it existed.
    ///
    /// # Errors
    /// `VersionMismatch` if it exists and `atualizado_em` differs from `expected`.
    async fn delete(&self, id: AtividadeId, expected: Option<OffsetDateTime>) -> Result<bool, Error>;
}
