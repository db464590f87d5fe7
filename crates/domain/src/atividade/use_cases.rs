//! The use cases of atividades.

use std::collections::BTreeSet;
use std::sync::Arc;

use time::{Duration, OffsetDateTime};

use crate::paging::Fetch;
use crate::projeto::ProjectImporter;
use crate::{
    Atividade, AtividadeId, AtividadePatch, AtividadeQuery, AtividadeRecord, AtividadeRepository, AtividadeSortKey,
    BatchReader, Caller, Clock, Cursor, Error, Idempotency, InvalidField, Limit, NovaAtividade, Page, ProjectDirectory,
    ProjetoRef, ProjetoRefs, ProjetoRepository, Resource, UnknownReference, Violation,
};

/// The use cases of atividades.
pub struct Atividades {
    repository: Arc<dyn AtividadeRepository>,
    importer: ProjectImporter,
    clock: Arc<dyn Clock>,
}

impl Atividades {
    /// Builds the use cases from their ports. A projeto that `projetos` does not have is looked up in `directory`.
    #[must_use]
    pub fn new(
        repository: Arc<dyn AtividadeRepository>,
        projetos: Arc<dyn ProjetoRepository>,
        directory: Arc<dyn ProjectDirectory>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let importer = ProjectImporter { repository: projetos, directory, clock: Arc::clone(&clock) };
        Self { repository, importer, clock }
    }

    /// Creates an atividade with the caller as its author.
    ///
    /// # Errors
    /// `UnknownReferences` for each projeto that neither the repository has nor the caller can see in Azure DevOps;
    /// `Unavailable`, `TimedOut` or `BadUpstream` if the lookup at Azure DevOps fails; `IdempotencyKeyReused`.
    pub async fn criar(
        &self,
        caller: &Caller,
        nova: NovaAtividade,
        idempotency: Option<Idempotency>,
    ) -> Result<Atividade, Error> {
        if idempotency.is_some() {
            let criadas = self.criar_lote(caller, vec![nova], idempotency).await;
            let criada = criadas.map_err(Error::without_item_index)?.pop();
            return criada.ok_or_else(|| Error::internal("one record was stored and none returned"));
        }
        let record = AtividadeRecord::new(nova, &caller.usuario, self.clock.now());
        let projetos = [record.projetos.clone()];
        let inserted = match self.repository.insert(record.clone()).await {
            Err(unknown) if unknown.is_unknown_projeto() => {
                if !self.importer.import_projects(&unknown_projetos(&unknown, &projetos), caller).await? {
                    return Err(unknown_references(unknown, &projetos));
                }
                self.repository.insert(record).await
            }
            inserted => inserted,
        };
        inserted.map_err(|error| unknown_references(error, &projetos))
    }

    /// Creates all of `novas` with the caller as their author, or none. Their `criado_em` differ by 1 µs each, so lists
    /// keep their order.
    ///
    /// # Errors
    /// Those of [`Self::criar`], each invalid field with the index of its item.
    pub async fn criar_lote(
        &self,
        caller: &Caller,
        novas: Vec<NovaAtividade>,
        idempotency: Option<Idempotency>,
    ) -> Result<Vec<Atividade>, Error> {
        let mut now = self.clock.now();
        let mut records = Vec::with_capacity(novas.len());
        for nova in novas {
            records.push(AtividadeRecord::new(nova, &caller.usuario, now));
            now += Duration::MICROSECOND;
        }
        let projetos: Vec<_> = records.iter().map(|record| record.projetos.clone()).collect();
        let inserted = match self.repository.insert_all(records.clone(), idempotency.clone()).await {
            Err(unknown) if unknown.is_unknown_projeto() => {
                if !self.importer.import_projects(&unknown_projetos(&unknown, &projetos), caller).await? {
                    return Err(unknown_references(unknown, &projetos));
                }
                self.repository.insert_all(records, idempotency).await
            }
            inserted => inserted,
        };
        inserted.map_err(|error| unknown_references(error, &projetos))
    }

    /// Returns one page of the matches with their total. [`Self::itens_restantes`] reads the items that do not fit.
    ///
    /// # Errors
    /// Those of the repository.
    pub async fn listar(&self, query: AtividadeQuery) -> Result<Page<Atividade>, Error> {
        self.repository.list(query).await
    }

    /// Returns one page of the matches, and the cursor of the next page if there is one.
    ///
    /// # Errors
    /// Those of the repository.
    pub async fn listar_por_cursor(
        &self,
        query: AtividadeQuery,
    ) -> Result<(Page<Atividade>, Option<Cursor<AtividadeSortKey>>), Error> {
        let page = self.repository.list(query.clone()).await?;
        let Some(end) = query.end_of(&page.items, page.last.as_ref()) else { return Ok((page, None)) };
        let next = self.repository.list_items(query.after(end.clone(), Limit::ONE)).await?;
        Ok((page, (!next.items.is_empty()).then_some(end)))
    }

    /// Reads the items that `page`, the result of `query`, does not have. Returns `None` if it has all.
    #[must_use]
    pub fn itens_restantes(&self, query: AtividadeQuery, page: &Page<Atividade>) -> Option<BatchReader<Atividade>> {
        BatchReader::remaining(query, &page.items, page.last.as_ref(), self.fetch())
    }

    /// Reads the page of `query` or, if `is_whole_list`, all matches from there on.
    #[must_use]
    pub fn exportar(&self, query: AtividadeQuery, is_whole_list: bool) -> BatchReader<Atividade> {
        BatchReader::new(query, is_whole_list, self.fetch())
    }

    fn fetch(&self) -> Fetch<Atividade> {
        let repository = Arc::clone(&self.repository);
        Box::new(move |query| {
            let repository = Arc::clone(&repository);
            Box::pin(async move { repository.list_items(query).await })
        })
    }

    /// Returns the atividade with that id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn obter(&self, id: AtividadeId) -> Result<Atividade, Error> {
        self.repository.find(id).await?.ok_or_else(|| not_found(id))
    }

    /// Changes the fields that `patch` has, and returns the result.
    ///
    /// # Errors
    /// `NotFound`; `VersionMismatch` if `atualizado_em` differs from the one that `patch` expects; for unknown
    /// projetos those of [`Self::criar`].
    pub async fn atualizar(&self, caller: &Caller, id: AtividadeId, patch: AtividadePatch) -> Result<Atividade, Error> {
        let projetos = patch.projetos.clone();
        let projetos = projetos.as_slice();
        let updated = match self.repository.update(id, patch.clone(), self.clock.now()).await {
            Err(unknown) if unknown.is_unknown_projeto() => {
                if !self.importer.import_projects(&unknown_projetos(&unknown, projetos), caller).await? {
                    return Err(unknown_references(unknown, projetos));
                }
                self.repository.update(id, patch, self.clock.now()).await
            }
            updated => updated,
        };
        updated.map_err(|error| unknown_references(error, projetos))?.ok_or_else(|| not_found(id))
    }

    /// Deletes the atividade. With `expected`, only while `atualizado_em` is equal to it.
    ///
    /// # Errors
    /// `NotFound`; `VersionMismatch`.
    pub async fn excluir(&self, id: AtividadeId, expected: Option<OffsetDateTime>) -> Result<(), Error> {
        if self.repository.delete(id, expected).await? { Ok(()) } else { Err(not_found(id)) }
    }
}

/// Returns the unknown projetos that a repository reports, each with its field. `items` are the projetos of all items.
fn unknown<'a>(error: &'a Error, items: &'a [ProjetoRefs]) -> impl Iterator<Item = (&'a InvalidField, ProjetoRef)> {
    let fields = if let Error::Invalid(fields) = error { fields.as_slice() } else { &[] };
    let fields = fields.iter().filter(|field| field.violation == Violation::UnknownProjeto);
    fields.filter_map(|field| Some((field, items.get(field.item.unwrap_or_default())?.named_by(field)?)))
}

/// Returns the unknown projetos that a repository reports, each once.
fn unknown_projetos(error: &Error, items: &[ProjetoRefs]) -> BTreeSet<ProjetoRef> {
    unknown(error, items).map(|(_, projeto)| projeto).collect()
}

/// Adds the ids to the unknown projetos that a repository reports. Returns every other error as it is.
fn unknown_references(error: Error, items: &[ProjetoRefs]) -> Error {
    let reference = |(&InvalidField { item, field, index, .. }, projeto): (&InvalidField, ProjetoRef)| {
        UnknownReference { item, field, index, resource: Resource::Projeto, id: projeto.0 }
    };
    let unknown: Vec<_> = unknown(&error, items).map(reference).collect();
    if unknown.is_empty() { error } else { Error::UnknownReferences(unknown) }
}

fn not_found(id: AtividadeId) -> Error {
    Error::NotFound { resource: Resource::Atividade, id: id.0 }
}

#[cfg(test)]
mod tests;
