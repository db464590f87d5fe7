//! The use cases of time entries.

mod work_items;

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use time::{Duration, OffsetDateTime};

use self::work_items::WorkItemChecks;
use super::data::check_date;
use crate::paging::Fetch;
use crate::projeto::ProjectImporter;
use crate::{
    Agrupamento, Apontamento, ApontamentoFiltro, ApontamentoId, ApontamentoPatch, ApontamentoQuery, ApontamentoRecord,
    ApontamentoRepository, ApontamentoSortKey, Batch, BatchReader, Caller, Chave, Clock, Cursor, Error, Escrita,
    Idempotency, Limit, LinhaDeHoras, NomeProjeto, NovoApontamento, Organizacao, ProjectDirectory, ProjetoRef,
    ProjetoRepository, ProjetoSelector, Refusal, RefusalReason, Resource, Totais, Violation, WorkItem,
    WorkItemDirectory, WorkItemId,
};

/// The largest number of lines of a report.
const MAX_REPORT_LINES: usize = 10_000;

/// What was stored, and the work items that could not be checked because Azure DevOps could not be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gravado<T> {
    /// What was stored.
    pub gravado: T,
    /// The work items that were not checked.
    pub nao_verificados: Vec<WorkItemId>,
}

/// The use cases of time entries.
pub struct Apontamentos {
    repository: Arc<dyn ApontamentoRepository>,
    importer: ProjectImporter,
    work_items: Arc<dyn WorkItemDirectory>,
    organizacao: Option<String>,
    clock: Arc<dyn Clock>,
}

impl Apontamentos {
    /// Builds the use cases from their ports. `organizacao` is the organisation that the deployment serves; without one,
    /// every name is taken.
    #[must_use]
    pub fn new(
        repository: Arc<dyn ApontamentoRepository>,
        projetos: Arc<dyn ProjetoRepository>,
        directory: Arc<dyn ProjectDirectory>,
        work_items: Arc<dyn WorkItemDirectory>,
        organizacao: Option<String>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let importer = ProjectImporter { repository: projetos, directory, clock: Arc::clone(&clock) };
        Self { repository, importer, work_items, organizacao, clock }
    }

    /// Makes a time entry of the caller.
    ///
    /// # Errors
    /// `Refused`; `Invalid` on `data_apontamento` for a date that is too early or too late; `IdempotencyKeyReused`; `Overloaded`
    /// if the work item cannot be checked because this service is busy; those of the repository and, for an unknown projeto,
    /// of the directory.
    pub async fn criar(
        &self,
        caller: &Caller,
        novo: NovoApontamento,
        idempotency: Option<Idempotency>,
    ) -> Result<Gravado<Apontamento>, Error> {
        let criados = self.criar_lote(caller, vec![novo], idempotency).await.map_err(Error::without_item_index)?;
        let Gravado { mut gravado, nao_verificados } = criados;
        let gravado = gravado.pop().ok_or_else(|| Error::internal("one record was stored and none returned"))?;
        Ok(Gravado { gravado, nao_verificados })
    }

    /// Makes all of `novos` or none. Their `criado_em` differ by 1 µs each, so lists keep their order.
    ///
    /// # Errors
    /// Those of [`Self::criar`], each with the index of its item.
    pub async fn criar_lote(
        &self,
        caller: &Caller,
        novos: Vec<NovoApontamento>,
        idempotency: Option<Idempotency>,
    ) -> Result<Gravado<Vec<Apontamento>>, Error> {
        let now = self.clock.now();
        // The first result counts, whatever became of the work item or the atividade since.
        if let Some(idempotency) = idempotency.clone()
            && let Some(gravado) = self.repository.replay(idempotency, now).await?
        {
            return Ok(Gravado { gravado, nao_verificados: Vec::new() });
        }
        check_dates(&novos, now)?;
        self.check_organisations(&novos)?;
        let checks = self.check(caller, novos.iter().map(|novo| novo.work_item)).await?;
        refuse(novos.iter().map(|novo| checks.refusal(novo.work_item)))?;
        let records = self.records(caller, novos, &checks, now).await?;
        let gravado = self.insert(caller, records, idempotency).await?;
        Ok(Gravado { gravado, nao_verificados: checks.into_unchecked() })
    }

    async fn records(
        &self,
        caller: &Caller,
        novos: Vec<NovoApontamento>,
        checks: &WorkItemChecks,
        now: OffsetDateTime,
    ) -> Result<Vec<ApontamentoRecord>, Error> {
        let projetos = self.resolve_projetos(caller, &novos).await?;
        let (mut criado_em, mut records) = (now, Vec::with_capacity(novos.len()));
        for (novo, projeto) in novos.into_iter().zip(projetos) {
            let NovoApontamento { work_item, projeto: _, organizacao, data, minutos, atividade, comentario } = novo;
            records.push(ApontamentoRecord {
                id: ApontamentoId::new(criado_em),
                work_item,
                work_item_visto: checks.seen(work_item),
                verificado: checks.is_verified(work_item),
                projeto,
                organizacao: self.organizacao.clone().unwrap_or_else(|| organizacao.as_str().to_owned()),
                data,
                minutos,
                atividade,
                comentario,
                usuario: caller.usuario.clone(),
                criado_em,
            });
            criado_em += Duration::MICROSECOND;
        }
        Ok(records)
    }

    /// Stores `records`, after an import of the projetos that are not stored yet.
    async fn insert(
        &self,
        caller: &Caller,
        records: Vec<ApontamentoRecord>,
        idempotency: Option<Idempotency>,
    ) -> Result<Vec<Apontamento>, Error> {
        match self.repository.insert_all(records.clone(), idempotency.clone()).await {
            Err(Error::Refused(refusals)) => {
                let unknown = unknown_projetos(&records, &refusals);
                if unknown.is_empty() || !self.importer.import_projects(&unknown, caller).await? {
                    return Err(Error::Refused(refusals));
                }
                self.repository.insert_all(records, idempotency).await
            }
            inserted => inserted,
        }
    }

    /// Returns the projeto of each of `novos`. Names are looked up here, and in Azure DevOps if there is no such projeto.
    async fn resolve_projetos(&self, caller: &Caller, novos: &[NovoApontamento]) -> Result<Vec<ProjetoRef>, Error> {
        let (mut known, mut unknown) = (HashMap::new(), BTreeSet::new());
        for nome in novos.iter().filter_map(name_of_projeto) {
            if let Entry::Vacant(vacant) = known.entry(nome.as_str().to_lowercase()) {
                let found = self.repository.find_projeto(nome.clone()).await?;
                if found.is_none() {
                    unknown.insert(vacant.key().clone());
                }
                vacant.insert(found);
            }
        }
        if !unknown.is_empty() {
            let imported = self.importer.import_by_names(&unknown, caller).await?;
            known.extend(imported.into_iter().map(|(nome, id)| (nome, Some(id))));
        }
        let (mut resolved, mut refusals) = (Vec::with_capacity(novos.len()), Vec::new());
        for (item, novo) in novos.iter().enumerate() {
            let found = match &novo.projeto {
                ProjetoSelector::Id(id) => Some(*id),
                ProjetoSelector::Nome(nome) => known.get(&nome.as_str().to_lowercase()).copied().flatten(),
            };
            let unknown =
                || Refusal { item: Some(item), reason: RefusalReason::UnknownProjeto(novo.projeto.to_string()) };
            found.map_or_else(|| refusals.push(unknown()), |id| resolved.push(id));
        }
        if refusals.is_empty() { Ok(resolved) } else { Err(Error::Refused(refusals)) }
    }

    /// Returns one page of the matches, and the cursor of the next page if there is one.
    ///
    /// # Errors
    /// Those of the repository.
    pub async fn listar(
        &self,
        query: ApontamentoQuery,
    ) -> Result<(Batch<Apontamento>, Option<Cursor<ApontamentoSortKey>>), Error> {
        let batch = self.repository.list(query.clone()).await?;
        let Some(end) = query.end_of(&batch.items, batch.last.as_ref()) else { return Ok((batch, None)) };
        let next = self.repository.list(query.after(end.clone(), Limit::ONE)).await?;
        Ok((batch, (!next.items.is_empty()).then_some(end)))
    }

    /// Reads the items that `batch`, the result of `query`, does not have. Returns `None` if it has all.
    #[must_use]
    pub fn itens_restantes(
        &self,
        query: ApontamentoQuery,
        batch: &Batch<Apontamento>,
    ) -> Option<BatchReader<Apontamento>> {
        BatchReader::remaining(query, &batch.items, batch.last.as_ref(), self.fetch())
    }

    /// Reads the page of `query` or, if `is_whole_list`, all matches from there on.
    #[must_use]
    pub fn exportar(&self, query: ApontamentoQuery, is_whole_list: bool) -> BatchReader<Apontamento> {
        BatchReader::new(query, is_whole_list, self.fetch())
    }

    fn fetch(&self) -> Fetch<Apontamento> {
        let repository = Arc::clone(&self.repository);
        Box::new(move |query| {
            let repository = Arc::clone(&repository);
            Box::pin(async move { repository.list(query).await })
        })
    }

    /// Counts and sums the matches.
    ///
    /// # Errors
    /// Those of the repository.
    pub async fn totais(&self, filtro: ApontamentoFiltro) -> Result<Totais, Error> {
        self.repository.totals(filtro).await
    }

    /// Sums the matches by one or more groupings, in the order of their values: periods by date, work items by
    /// id, others by name.
    ///
    /// # Errors
    /// Those of the repository.
    pub async fn relatorio(
        &self,
        filtro: ApontamentoFiltro,
        agrupar: Vec<Agrupamento>,
    ) -> Result<Vec<LinhaDeHoras>, Error> {
        let mut linhas = self.repository.report(filtro, agrupar, MAX_REPORT_LINES).await?;
        linhas.sort_by_cached_key(|linha| linha.chaves.iter().map(Chave::order).collect::<String>());
        Ok(linhas)
    }

    /// Returns the entry with that id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn obter(&self, id: ApontamentoId) -> Result<Apontamento, Error> {
        self.repository.find(id).await?.ok_or_else(|| not_found(id))
    }

    /// Changes the fields that `patch` has, and returns the result.
    ///
    /// # Errors
    /// `NotFound`; `Refused`; `VersionMismatch` if `atualizado_em` differs from the one that `patch` expects; `Invalid` as in
    /// [`Self::criar`].
    pub async fn atualizar(
        &self,
        caller: &Caller,
        id: ApontamentoId,
        patch: ApontamentoPatch,
    ) -> Result<Gravado<Apontamento>, Error> {
        let now = self.clock.now();
        if let Some(data) = patch.data {
            check_date(data, now).map_err(|violation| Error::invalid("data_apontamento", violation))?;
        }
        let current = self.own(caller, id).await?;
        let mut nao_verificados = Vec::new();
        if !patch.is_empty() {
            let checks = self.check(caller, [current.work_item]).await?;
            checks.refusal(current.work_item).map_or(Ok(()), |reason| Err(Error::from(reason)))?;
            if current.escrita == Escrita::Pendente && checks.is_verified(current.work_item) {
                self.repository.mark_verified(&caller.usuario.id, vec![current.work_item], now).await?;
            }
            nao_verificados = checks.into_unchecked();
        }
        let updated = self.repository.update(id, &caller.usuario.id, patch, now).await?;
        Ok(Gravado { gravado: updated.ok_or_else(|| not_found(id))?, nao_verificados })
    }

    /// Deletes the entry. With `expected`, only while `atualizado_em` is equal to it. An entry of a work item that no longer
    /// exists can be deleted, one of a closed work item cannot.
    ///
    /// # Errors
    /// `NotFound`; `Refused`; `VersionMismatch`.
    pub async fn excluir(
        &self,
        caller: &Caller,
        id: ApontamentoId,
        expected: Option<OffsetDateTime>,
    ) -> Result<(), Error> {
        let current = self.own(caller, id).await?;
        let checks = self.check(caller, [current.work_item]).await?;
        if let Some(closed @ RefusalReason::ClosedWorkItem { .. }) = checks.refusal(current.work_item) {
            return Err(closed.into());
        }
        let is_deleted = self.repository.delete(id, &caller.usuario.id, expected, self.clock.now()).await?;
        if is_deleted { Ok(()) } else { Err(not_found(id)) }
    }

    /// Returns the work item as the caller sees it in Azure DevOps.
    ///
    /// # Errors
    /// `Refused` with `UnknownWorkItem`; those of the directory.
    pub async fn work_item(&self, caller: &Caller, id: WorkItemId) -> Result<WorkItem, Error> {
        let found = self.work_items.find(caller.credential.clone(), id).await?;
        found.ok_or_else(|| RefusalReason::UnknownWorkItem(id).into())
    }

    /// Checks the name of an organisation that a request names.
    ///
    /// # Errors
    /// `Refused` with `OtherOrganisation`.
    pub fn verificar_organizacao(&self, organizacao: Option<&Organizacao>) -> Result<(), Error> {
        organizacao
            .and_then(|sent| sent.refusal(self.organizacao.as_deref()))
            .map_or(Ok(()), |reason| Err(reason.into()))
    }

    fn check_organisations(&self, novos: &[NovoApontamento]) -> Result<(), Error> {
        refuse(novos.iter().map(|novo| novo.organizacao.refusal(self.organizacao.as_deref())))
    }

    /// Returns the entry if the caller made it.
    async fn own(&self, caller: &Caller, id: ApontamentoId) -> Result<Apontamento, Error> {
        let current = self.obter(id).await?;
        if current.usuario.id == caller.usuario.id { Ok(current) } else { Err(RefusalReason::NotOwner.into()) }
    }

    async fn check(&self, caller: &Caller, ids: impl IntoIterator<Item = WorkItemId>) -> Result<WorkItemChecks, Error> {
        WorkItemChecks::run(&*self.work_items, caller, ids.into_iter().collect()).await
    }
}

/// Returns `Refused` with the index of each item that has a reason.
fn refuse(reasons: impl Iterator<Item = Option<RefusalReason>>) -> Result<(), Error> {
    let refusal = |(item, reason): (usize, Option<_>)| Some(Refusal { item: Some(item), reason: reason? });
    let refusals: Vec<_> = reasons.enumerate().filter_map(refusal).collect();
    if refusals.is_empty() { Ok(()) } else { Err(Error::Refused(refusals)) }
}

fn check_dates(novos: &[NovoApontamento], now: OffsetDateTime) -> Result<(), Error> {
    let violations =
        novos.iter().enumerate().filter_map(|(item, novo)| Some((item, check_date(novo.data, now).err()?)));
    let invalid = |(item, violation): (usize, Violation)| crate::InvalidField {
        item: Some(item),
        field: "data_apontamento",
        index: None,
        violation,
    };
    let fields: Vec<_> = violations.map(invalid).collect();
    if fields.is_empty() { Ok(()) } else { Err(Error::Invalid(fields)) }
}

fn name_of_projeto(novo: &NovoApontamento) -> Option<&NomeProjeto> {
    match &novo.projeto {
        ProjetoSelector::Id(_) => None,
        ProjetoSelector::Nome(nome) => Some(nome),
    }
}

/// Returns the projetos of the items that are refused because theirs is unknown, each once.
fn unknown_projetos(records: &[ApontamentoRecord], refusals: &[Refusal]) -> BTreeSet<ProjetoRef> {
    let unknown = refusals.iter().filter(|refusal| matches!(refusal.reason, RefusalReason::UnknownProjeto(_)));
    unknown.filter_map(|refusal| records.get(refusal.item?)).map(|record| record.projeto).collect()
}

fn not_found(id: ApontamentoId) -> Error {
    Error::NotFound { resource: Resource::Apontamento, id: id.0 }
}

#[cfg(test)]
mod tests;
