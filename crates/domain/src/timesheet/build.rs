//! Joins work items and time entries to the lines of a timesheet.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{DiaDoTimesheet, HorasNoAzure, LinhaDoTimesheet, Semana};
use crate::{Apontamento, StateCategory, TreeItem, WorkItem, WorkItemId, WorkItemVisto};

/// The largest number of work items above another one. A longer chain is cut, so that no response nests deeper.
const MAX_DEPTH: usize = 15;

/// The entries of one work item by day.
type Dias = [Vec<Apontamento>; 7];

/// What is known of the work items of a timesheet.
pub(super) struct WorkItemsDaSemana {
    /// Those that the caller can see.
    pub(super) items: Vec<TreeItem>,
    /// Whether the caller cannot see the others. Otherwise they were not read.
    pub(super) is_complete: bool,
}

/// Returns the lines at the top, by id.
pub(super) fn linhas(
    work_items: WorkItemsDaSemana,
    entries: Vec<Apontamento>,
    semana: Semana,
) -> Vec<LinhaDoTimesheet> {
    let WorkItemsDaSemana { items, is_complete } = work_items;
    let mut seen = BTreeMap::new();
    for entry in &entries {
        // The newest comes first, and knows the latest title.
        seen.entry(entry.work_item).or_insert_with(|| entry.work_item_visto.clone());
    }
    let parents = acyclic(&items);
    let mut lines: BTreeMap<_, _> = items.into_iter().map(|item| (item.item.id, visible(item))).collect();
    for (id, visto) in seen {
        lines.entry(id).or_insert_with(|| unseen(id, visto, is_complete));
    }
    let mut children: BTreeMap<Option<WorkItemId>, Vec<WorkItemId>> = BTreeMap::new();
    for &id in lines.keys() {
        children.entry(parents.get(&id).copied()).or_default().push(id);
    }
    let dias = by_work_item(entries, semana);
    Forest { lines, children, dias }.below(None, 0)
}

/// Returns the lines that carry hours: those without others below them, and those with own entries, which lose the hours
/// below.
pub(super) fn flat(linhas: Vec<LinhaDoTimesheet>) -> Vec<LinhaDoTimesheet> {
    let mut flat = Vec::new();
    let mut rest = linhas;
    while let Some(mut linha) = rest.pop() {
        let filhas = std::mem::take(&mut linha.filhas);
        if filhas.is_empty() || has_entries(&linha) {
            linha.nivel = 0;
            for dia in &mut linha.dias {
                dia.minutos = own_minutes(&dia.apontamentos);
            }
            flat.push(linha);
        }
        rest.extend(filhas);
    }
    flat.sort_by_key(|linha| linha.id);
    flat
}

/// Returns whether the work item itself has entries.
pub(super) fn has_entries(linha: &LinhaDoTimesheet) -> bool {
    linha.dias.iter().any(|dia| !dia.apontamentos.is_empty())
}

struct Forest {
    lines: BTreeMap<WorkItemId, LinhaDoTimesheet>,
    children: BTreeMap<Option<WorkItemId>, Vec<WorkItemId>>,
    dias: HashMap<WorkItemId, Dias>,
}

impl Forest {
    /// Returns the lines below `parent`. It nests at most [`MAX_DEPTH`] calls.
    fn below(&mut self, parent: Option<WorkItemId>, depth: u8) -> Vec<LinhaDoTimesheet> {
        let ids = self.children.remove(&parent).unwrap_or_default();
        let mut linhas = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(mut linha) = self.lines.remove(&id) else { continue };
            linha.filhas = self.below(Some(id), depth.saturating_add(1));
            linha.nivel = depth.min(LinhaDoTimesheet::MAX_NIVEL);
            linha.parent = parent;
            if !linha.filhas.is_empty() {
                linha.horas = linha.filhas.iter().fold(HorasNoAzure::default(), |sum, filha| sum.plus(filha.horas));
            }
            let mut own = self.dias.remove(&id).unwrap_or_default();
            for (index, dia) in linha.dias.iter_mut().enumerate() {
                let apontamentos = own.get_mut(index).map(std::mem::take).unwrap_or_default();
                let below = linha.filhas.iter().filter_map(|filha| filha.dias.get(index)).map(|dia| dia.minutos);
                let minutos = own_minutes(&apontamentos) + below.sum::<u64>();
                *dia = DiaDoTimesheet { apontamentos, minutos };
            }
            linhas.push(linha);
        }
        linhas
    }
}

fn own_minutes(apontamentos: &[Apontamento]) -> u64 {
    apontamentos.iter().map(|apontamento| u64::from(apontamento.minutos.get())).sum()
}

impl HorasNoAzure {
    fn plus(self, other: Self) -> Self {
        let plus = |one: Option<f64>, other: Option<f64>| match (one, other) {
            (Some(one), Some(other)) => Some(one + other),
            (one, other) => one.or(other),
        };
        Self {
            original_estimate: plus(self.original_estimate, other.original_estimate),
            completed_work: plus(self.completed_work, other.completed_work),
            remaining_work: plus(self.remaining_work, other.remaining_work),
        }
    }
}

/// Returns the parent of each item that has one among `items`, without circles and chains above [`MAX_DEPTH`].
fn acyclic(items: &[TreeItem]) -> HashMap<WorkItemId, WorkItemId> {
    let ids: BTreeSet<_> = items.iter().map(|item| item.item.id).collect();
    let parent = |item: &TreeItem| Some((item.item.id, item.item.parent.filter(|parent| ids.contains(parent))?));
    let mut parents: HashMap<_, _> = items.iter().filter_map(parent).collect();
    for &id in &ids {
        let mut above = BTreeSet::new();
        let mut next = parents.get(&id);
        while let Some(parent) = next {
            // The first item of a circle, by id, becomes its top. Below a circle the walk ends without a cut.
            if *parent == id || MAX_DEPTH <= above.len() {
                parents.remove(&id);
                break;
            }
            if !above.insert(*parent) {
                break;
            }
            next = parents.get(parent);
        }
    }
    parents
}

fn visible(TreeItem { item, categoria }: TreeItem) -> LinhaDoTimesheet {
    let WorkItem { id, titulo, tipo, estado, assigned_to, original_estimate, remaining_work, completed_work, .. } =
        item;
    let takes_hours = !categoria.is_some_and(StateCategory::is_closed);
    LinhaDoTimesheet {
        titulo,
        tipo,
        estado: Some(estado),
        categoria,
        assigned_to,
        horas: HorasNoAzure { original_estimate, completed_work, remaining_work },
        ..empty(id, takes_hours, takes_hours)
    }
}

/// Returns the line of a work item that was not read. An entry of one that no longer exists can be deleted only.
fn unseen(id: WorkItemId, visto: Option<WorkItemVisto>, is_missing: bool) -> LinhaDoTimesheet {
    let unknown = || WorkItemVisto { titulo: format!("#{id}"), tipo: String::new() };
    let WorkItemVisto { titulo, tipo } = visto.unwrap_or_else(unknown);
    LinhaDoTimesheet { titulo, tipo, ..empty(id, !is_missing, true) }
}

fn empty(id: WorkItemId, pode_editar: bool, pode_excluir: bool) -> LinhaDoTimesheet {
    LinhaDoTimesheet {
        id,
        titulo: String::new(),
        tipo: String::new(),
        estado: None,
        categoria: None,
        assigned_to: None,
        horas: HorasNoAzure::default(),
        nivel: 0,
        parent: None,
        pode_editar,
        pode_excluir,
        dias: std::array::from_fn(|_| DiaDoTimesheet::default()),
        filhas: Vec::new(),
    }
}

/// Groups `entries`, the newest first, by work item and day, the oldest first.
fn by_work_item(entries: Vec<Apontamento>, semana: Semana) -> HashMap<WorkItemId, Dias> {
    let mut grouped: HashMap<_, Dias> = HashMap::new();
    for entry in entries.into_iter().rev() {
        let Some(index) = semana.index_of(entry.data) else { continue };
        if let Some(dia) = grouped.entry(entry.work_item).or_default().get_mut(index) {
            dia.push(entry);
        }
    }
    grouped
}

#[cfg(test)]
mod tests;
