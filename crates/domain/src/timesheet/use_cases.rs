//! The use cases of the timesheet.

use std::collections::BTreeSet;
use std::sync::Arc;

use time::{Date, OffsetDateTime, UtcOffset};

use super::build::{self, WorkItemsDaSemana};
use super::{AvisoDoTimesheet, ConsultaDeTimesheet, LinhaDoTimesheet, Semana, Timesheet};
use crate::work_item::{missing_refusal, name_in_azure};
use crate::{
    Apontamento, ApontamentoFiltro, ApontamentoQuery, ApontamentoRepository, BatchReader, Batches, Caller, Clock,
    Conflict, Error, Escrita, Limit, Listable, Missing, ProjetoId, ProjetoRepository, ProjetoSelector, RefusalReason,
    TreeGap, TreeQuery, UsuarioRef, WorkItemDirectory, WorkItemTree,
};

/// The use cases of the timesheet.
pub struct Timesheets {
    apontamentos: Arc<dyn ApontamentoRepository>,
    projetos: Arc<dyn ProjetoRepository>,
    work_items: Arc<dyn WorkItemDirectory>,
    organizacao: Option<String>,
    clock: Arc<dyn Clock>,
}

impl Timesheets {
    /// Builds the use cases from their ports. `organizacao` is the organisation that the deployment serves; without one,
    /// every name is taken.
    #[must_use]
    pub fn new(
        apontamentos: Arc<dyn ApontamentoRepository>,
        projetos: Arc<dyn ProjetoRepository>,
        work_items: Arc<dyn WorkItemDirectory>,
        organizacao: Option<String>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { apontamentos, projetos, work_items, organizacao, clock }
    }

    /// Returns the week of the caller: the work items that are assigned to the caller in the projeto or iteration, and each
    /// one on which the caller has hours. If Azure DevOps fails, those with hours are shown by their last known titles.
    ///
    /// `reserve` takes the memory in bytes that the entries read so far need until the response is sent, and ends the reading
    /// with an error if there is none.
    ///
    /// # Errors
    /// Those of `reserve`; `Refused` for another organisation, and for a projeto, team or iteration that the caller cannot see;
    /// `CredentialRejected`; those of the repositories.
    pub async fn obter<E: From<Error>>(
        &self,
        caller: &Caller,
        consulta: ConsultaDeTimesheet,
        reserve: impl FnMut(usize) -> Result<(), E>,
    ) -> Result<Timesheet, E> {
        if let Some(refusal) = consulta.organizacao.refusal(self.organizacao.as_deref()) {
            return Err(Error::from(refusal).into());
        }
        let nome = name_in_azure(&*self.projetos, &consulta.projeto).await?;
        if nome.is_none() {
            self.check_stored(&consulta.projeto).await?;
        }
        let entries = self.entries(caller, consulta.semana, reserve).await?;
        Ok(self.with_work_items(caller, consulta, nome, entries).await?)
    }

    async fn with_work_items(
        &self,
        caller: &Caller,
        consulta: ConsultaDeTimesheet,
        nome: Option<String>,
        entries: Vec<Apontamento>,
    ) -> Result<Timesheet, Error> {
        let ConsultaDeTimesheet { organizacao: _, projeto, semana, iteration, team, is_flat } = consulta;
        // In one order, so that another entry on a known work item is the same query.
        let ids: BTreeSet<_> = entries.iter().map(|entry| entry.work_item).collect();
        let iteration_of_team = iteration.map(|iteration| (team, iteration));
        let query = TreeQuery { projeto: nome, iteration: iteration_of_team, ids: ids.into_iter().collect() };
        let (tree, mut avisos) = match self.work_items.tree(caller.credential.clone(), query).await {
            Ok(Ok(tree)) => (Some(tree), Vec::new()),
            // A projeto that exists only here has hours as well.
            Ok(Err(Missing::Projeto)) => (None, vec![AvisoDoTimesheet::Parte(TreeGap::Projeto)]),
            Ok(Err(missing)) => return Err(missing_refusal(missing, &projeto, team, iteration).into()),
            Err(error) => (None, vec![aviso(error)?]),
        };
        let work_items = tree.map_or(WorkItemsDaSemana { items: Vec::new(), is_complete: false }, |tree| {
            let WorkItemTree { items, gaps } = tree;
            let is_complete = !gaps.contains(&TreeGap::TooMany);
            avisos.extend(gaps.into_iter().map(AvisoDoTimesheet::Parte));
            WorkItemsDaSemana { items, is_complete }
        });
        if avisos.contains(&AvisoDoTimesheet::Parte(TreeGap::Projeto)) {
            self.check_stored(&projeto).await?;
        }
        self.verify(caller, &work_items, &entries).await?;
        let linhas = build::linhas(work_items, entries, semana);
        Ok(timesheet(semana, today_in_brasilia(self.clock.now()), linhas, is_flat, avisos))
    }

    /// Returns the entries of the caller in the week, the newest first.
    async fn entries<E: From<Error>>(
        &self,
        caller: &Caller,
        semana: Semana,
        mut reserve: impl FnMut(usize) -> Result<(), E>,
    ) -> Result<Vec<Apontamento>, E> {
        let filtro = ApontamentoFiltro {
            de: Some(semana.inicio()),
            ate: Some(semana.fim()),
            usuario: Some(UsuarioRef::Id(caller.usuario.id.clone())),
            ..ApontamentoFiltro::default()
        };
        let query = ApontamentoQuery { filtro, limit: Limit::LARGEST, ..ApontamentoQuery::default() };
        let repository = Arc::clone(&self.apontamentos);
        let fetch = move |query| {
            let repository = Arc::clone(&repository);
            let list: std::pin::Pin<Box<dyn Future<Output = _> + Send>> =
                Box::pin(async move { repository.list(query).await });
            list
        };
        // 24:00 a day bound them to 10,080.
        let mut batches = BatchReader::new(query, true, Box::new(fetch));
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while let Some(batch) = batches.next().await? {
            bytes += batch.iter().map(memory).sum::<usize>();
            reserve(bytes)?;
            entries.extend(batch);
        }
        Ok(entries)
    }

    /// Marks the entries that wait for their work item to be seen by their owner, who sees it here.
    async fn verify(&self, caller: &Caller, seen: &WorkItemsDaSemana, entries: &[Apontamento]) -> Result<(), Error> {
        let waiting: BTreeSet<_> =
            entries.iter().filter(|entry| entry.escrita == Escrita::Pendente).map(|entry| entry.work_item).collect();
        let seen = seen.items.iter().map(|item| item.item.id).filter(|id| waiting.contains(id)).collect::<Vec<_>>();
        if seen.is_empty() {
            return Ok(());
        }
        match self.apontamentos.mark_verified(&caller.usuario.id, seen, self.clock.now()).await {
            // The hours are shown by a database that takes no writes as well. The next timesheet marks them.
            Err(Error::Unavailable { .. }) => Ok(()),
            marked => marked,
        }
    }

    /// Checks that a projeto that Azure DevOps does not have exists here.
    async fn check_stored(&self, projeto: &ProjetoSelector) -> Result<(), Error> {
        let is_stored = match projeto {
            ProjetoSelector::Id(id) => self.projetos.find(ProjetoId(id.0)).await?.is_some(),
            ProjetoSelector::Nome(nome) => self.apontamentos.find_projeto(nome.clone()).await?.is_some(),
        };
        if is_stored { Ok(()) } else { Err(RefusalReason::UnknownProjeto(projeto.to_string()).into()) }
    }
}

/// Returns the memory of an entry until its response is sent: its texts twice, because JSON is built beside them, and its
/// other fields.
fn memory(entry: &Apontamento) -> usize {
    2 * entry.text_bytes() + 1024
}

/// Returns the warning for an error of Azure DevOps.
fn aviso(error: Error) -> Result<AvisoDoTimesheet, Error> {
    match error {
        Error::Unavailable { .. } | Error::Overloaded { .. } | Error::TimedOut { .. } | Error::BadUpstream { .. } => {
            Ok(AvisoDoTimesheet::SemAzure)
        }
        Error::Forbidden => Ok(AvisoDoTimesheet::SemPermissao),
        Error::Conflict(Conflict::SemOrganizacao) => Ok(AvisoDoTimesheet::SemOrganizacao),
        error => Err(error),
    }
}

/// Brasília has had no daylight saving time since 2019.
fn today_in_brasilia(now: OffsetDateTime) -> Date {
    let offset = UtcOffset::from_hms(-3, 0, 0).unwrap_or(UtcOffset::UTC);
    now.to_offset(offset).date()
}

fn timesheet(
    semana: Semana,
    hoje: Date,
    linhas: Vec<LinhaDoTimesheet>,
    is_flat: bool,
    avisos: Vec<AvisoDoTimesheet>,
) -> Timesheet {
    let mut minutos_por_dia = [0; 7];
    for linha in &linhas {
        for (sum, dia) in minutos_por_dia.iter_mut().zip(&linha.dias) {
            *sum += dia.minutos;
        }
    }
    let (mut total_work_items, mut total_esforco, mut total_historico) = (0, 0.0, 0.0);
    let mut rest: Vec<_> = linhas.iter().collect();
    while let Some(linha) = rest.pop() {
        if linha.filhas.is_empty() {
            total_esforco += linha.horas.original_estimate.unwrap_or_default();
            total_historico += linha.horas.completed_work.unwrap_or_default();
        }
        total_work_items += usize::from(linha.filhas.is_empty() || build::has_entries(linha));
        rest.extend(&linha.filhas);
    }
    let linhas = if is_flat { build::flat(linhas) } else { linhas };
    Timesheet { semana, hoje, linhas, minutos_por_dia, total_work_items, total_esforco, total_historico, avisos }
}

#[cfg(test)]
mod tests;
