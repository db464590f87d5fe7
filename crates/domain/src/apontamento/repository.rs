//! The port to the storage of time entries.

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{
    Agrupamento, Apontamento, ApontamentoFiltro, ApontamentoId, ApontamentoPatch, ApontamentoQuery, ApontamentoRecord,
    Batch, Error, Idempotency, LinhaDeHoras, NomeProjeto, ProjetoRef, Totais, WorkItemId,
};

/// Stores time entries. Each method is one transaction.
///
/// Where hours are written to Azure DevOps, a change of the sum of a work item's verified entries also adds the work item to
/// the [`WriteBackQueue`](crate::WriteBackQueue). An entry that is not verified is [`Pendente`](crate::Escrita::Pendente).
///
/// Every method returns `Unavailable` if the database cannot be reached or does not respond in time.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait ApontamentoRepository: Send + Sync {
    /// Inserts all of `records` or none, and returns them as stored, in the same order. A `work_item_visto` is stored as the
    /// last known state of the work item. `idempotency` works as in
    /// [`AtividadeRepository::insert_all`](crate::AtividadeRepository::insert_all).
    ///
    /// The limit of [`Minutos::MAX`](crate::Minutos::MAX) per person and day holds exactly, also for concurrent calls.
    ///
    /// # Errors
    /// `Refused` with the index of each item that is refused: `UnknownProjeto` with the id, `UnknownAtividade`,
    /// `InactiveAtividade`, `DayFull` with the minutes that are left for the item; `IdempotencyKeyReused`;
    /// `TooManyIdempotencyKeys`.
    async fn insert_all(
        &self,
        records: Vec<ApontamentoRecord>,
        idempotency: Option<Idempotency>,
    ) -> Result<Vec<Apontamento>, Error>;

    /// Returns the first result of a request whose key was used before, within
    /// [`Idempotency::LIFETIME`](crate::Idempotency::LIFETIME) of `now`.
    ///
    /// # Errors
    /// `IdempotencyKeyReused` if the key belongs to another request.
    async fn replay(&self, idempotency: Idempotency, now: OffsetDateTime) -> Result<Option<Vec<Apontamento>>, Error>;

    /// Returns the entry with that id, if it exists.
    ///
    /// # Errors
    /// See the trait.
    async fn find(&self, id: ApontamentoId) -> Result<Option<Apontamento>, Error>;

    /// Returns the first rows of one page, bounded as in [`AtividadeRepository::list`](crate::AtividadeRepository::list).
    ///
    /// # Errors
    /// See the trait.
    async fn list(&self, query: ApontamentoQuery) -> Result<Batch<Apontamento>, Error>;

    /// Counts and sums the matches.
    ///
    /// # Errors
    /// See the trait.
    async fn totals(&self, filtro: ApontamentoFiltro) -> Result<Totais, Error>;

    /// Sums the matches by one or more groupings. The lines come in any order, `max` of them at most, and at most
    /// [`REPORT_BYTES`](crate::REPORT_BYTES) of texts.
    ///
    /// # Errors
    /// Those of [`ReportBuilder::finish`](crate::ReportBuilder::finish).
    async fn report(
        &self,
        filtro: ApontamentoFiltro,
        agrupar: Vec<Agrupamento>,
        max: usize,
    ) -> Result<Vec<LinhaDeHoras>, Error>;

    /// Changes the fields that `patch` has, and returns the result, or `None` if no entry has that id. `atualizado_em`
    /// changes as in [`AtividadeRepository::update`](crate::AtividadeRepository::update).
    ///
    /// The limit per day is checked if the entry gets longer or moves to another day. The atividade is checked if it changes.
    ///
    /// # Errors
    /// `Refused` with `NotOwner` if `usuario` is not the id of the person who made it, with `UnknownAtividade`,
    /// `InactiveAtividade`, `DayFull`; `VersionMismatch` if `atualizado_em` differs from the one that `patch` expects.
    async fn update(
        &self,
        id: ApontamentoId,
        usuario: &str,
        patch: ApontamentoPatch,
        now: OffsetDateTime,
    ) -> Result<Option<Apontamento>, Error>;

    /// Deletes the entry and returns whether it existed.
    ///
    /// # Errors
    /// `Refused` with `NotOwner` as in [`Self::update`]; `VersionMismatch` if `atualizado_em` differs from `expected`.
    async fn delete(
        &self,
        id: ApontamentoId,
        usuario: &str,
        expected: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<bool, Error>;

    /// Makes the entries of a person on `work_items`, which that person sees in Azure DevOps, verified ones.
    ///
    /// # Errors
    /// See the trait.
    async fn mark_verified(&self, usuario: &str, work_items: Vec<WorkItemId>, now: OffsetDateTime)
    -> Result<(), Error>;

    /// Returns the projeto with that name, in any case. Of several, a project of Azure DevOps comes before local ones.
    ///
    /// # Errors
    /// See the trait.
    async fn find_projeto(&self, nome: NomeProjeto) -> Result<Option<ProjetoRef>, Error>;
}
