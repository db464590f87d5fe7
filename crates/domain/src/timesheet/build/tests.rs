use time::Date;
use time::macros::date;

use super::*;
use crate::testing::{apontamento, work_item};

const MONDAY: Date = date!(2026 - 01 - 12);

fn id(id: i64) -> WorkItemId {
    WorkItemId::new(id).unwrap()
}

/// Work item number `n` below `parent`, in the category `categoria`.
fn item(n: i64, parent: Option<i64>, categoria: Option<StateCategory>) -> TreeItem {
    TreeItem { item: WorkItem { parent: parent.map(id), ..work_item(n) }, categoria }
}

fn open(n: i64, parent: Option<i64>) -> TreeItem {
    item(n, parent, Some(StateCategory::InProgress))
}

/// An entry on work item `n`.
fn entry(n: i64, data: Date, minutos: u16) -> Apontamento {
    Apontamento { work_item: id(n), data, ..apontamento(minutos) }
}

fn build(items: Vec<TreeItem>, entries: Vec<Apontamento>) -> Vec<LinhaDoTimesheet> {
    linhas(WorkItemsDaSemana { items, is_complete: true }, entries, Semana::of(MONDAY).unwrap())
}

/// The lines as `id(line line)@nivel=minutes`.
fn outline(linhas: &[LinhaDoTimesheet]) -> String {
    let line = |linha: &LinhaDoTimesheet| {
        let below = if linha.filhas.is_empty() { String::new() } else { format!("({})", outline(&linha.filhas)) };
        format!("{}{below}@{}={}", linha.id, linha.nivel, linha.minutos())
    };
    linhas.iter().map(line).collect::<Vec<_>>().join(" ")
}

#[test]
fn tree_has_sums_up_to_the_top() {
    let items =
        vec![open(4, Some(3)), open(3, Some(2)), open(2, Some(1)), open(1, None), open(5, Some(3)), open(9, None)];
    let sunday = date!(2026 - 01 - 18);
    let entries = vec![entry(5, sunday, 45), entry(4, MONDAY, 30), entry(4, MONDAY, 60)];

    let linhas = build(items, entries);

    assert_eq!(outline(&linhas), "1(2(3(4@3=90 5@3=45)@2=135)@1=135)@0=135 9@0=0");
    let epic = &linhas[0];
    assert_eq!(epic.dias.each_ref().map(|dia| dia.minutos), [90, 0, 0, 0, 0, 0, 45]);
    assert!(epic.dias.iter().all(|dia| dia.apontamentos.is_empty()));
    let two_tasks =
        HorasNoAzure { original_estimate: Some(16.0), completed_work: Some(5.0), remaining_work: Some(11.0) };
    assert_eq!(epic.horas, two_tasks);
    let task = &epic.filhas[0].filhas[0].filhas[0];
    assert_eq!((task.id, task.parent), (id(4), Some(id(3))));
    let minutes: Vec<_> = task.dias[0].apontamentos.iter().map(|entry| entry.minutos.get()).collect();
    assert_eq!(minutes, [60, 30], "the oldest first");
}

#[test]
fn parent_with_own_entries_shows_them_besides_the_sum() {
    let linhas = build(vec![open(1, None), open(2, Some(1))], vec![entry(1, MONDAY, 10), entry(2, MONDAY, 5)]);

    assert_eq!(outline(&linhas), "1(2@1=5)@0=15");
    assert_eq!(linhas[0].dias[0].apontamentos.len(), 1);

    assert_eq!(outline(&flat(linhas)), "1@0=10 2@0=5");
}

#[test]
fn flat_has_leaves_only() {
    let linhas =
        build(vec![open(1, None), open(3, Some(1)), open(2, Some(3)), open(9, None)], vec![entry(2, MONDAY, 5)]);

    let flat = flat(linhas);

    assert_eq!(outline(&flat), "2@0=5 9@0=0");
    assert_eq!(flat[0].parent, Some(id(3)));
}

#[test]
fn circles_and_missing_parents_lose_no_item() {
    let cases = [
        (vec![open(1, Some(1))], "1@0=0"),
        (vec![open(1, Some(2)), open(2, Some(1))], "1(2@1=0)@0=0"),
        (vec![open(3, Some(1)), open(1, Some(2)), open(2, Some(3))], "1(3(2@2=0)@1=0)@0=0"),
        (vec![open(1, Some(5)), open(5, Some(6)), open(6, Some(5))], "5(1@1=0 6@1=0)@0=0"),
        (vec![open(1, Some(7)), open(2, Some(1))], "1(2@1=0)@0=0"),
    ];
    for (items, expected) in cases {
        assert_eq!(outline(&build(items, vec![])), expected);
    }
}

fn depth(linhas: &[LinhaDoTimesheet]) -> usize {
    linhas.iter().map(|linha| 1 + depth(&linha.filhas)).max().unwrap_or_default()
}

fn count(linhas: &[LinhaDoTimesheet]) -> usize {
    linhas.iter().map(|linha| 1 + count(&linha.filhas)).sum()
}

#[test]
fn long_chain_is_cut_and_loses_no_item() {
    let chain = (1..=100).map(|n| open(n, (n < 100).then_some(n + 1))).collect();

    let linhas = build(chain, vec![entry(1, MONDAY, 7)]);

    assert_eq!(count(&linhas), 100);
    assert!(depth(&linhas) <= MAX_DEPTH + 1, "{}", depth(&linhas));
    assert_eq!(linhas.iter().map(LinhaDoTimesheet::minutos).sum::<u64>(), 7);
}

#[test]
fn category_decides_what_can_be_done() {
    let cases = [
        (Some(StateCategory::Proposed), true),
        (Some(StateCategory::Resolved), true),
        (Some(StateCategory::Completed), false),
        (Some(StateCategory::Removed), false),
        (None, true),
    ];
    for (categoria, expected) in cases {
        let linhas = build(vec![item(1, None, categoria)], vec![]);

        assert_eq!((linhas[0].pode_editar, linhas[0].pode_excluir), (expected, expected), "{categoria:?}");
    }
}

#[test]
fn work_item_that_was_not_read_shows_its_last_known_title() {
    let visto = |titulo: &str| Some(WorkItemVisto { titulo: titulo.to_owned(), tipo: "Task".to_owned() });
    let newest = Apontamento { work_item_visto: visto("Novo"), ..entry(1, MONDAY, 5) };
    let entries =
        vec![newest, Apontamento { work_item_visto: visto("Antigo"), ..entry(1, MONDAY, 5) }, entry(2, MONDAY, 1)];
    for (is_complete, pode_editar) in [(true, false), (false, true)] {
        let work_items = WorkItemsDaSemana { items: vec![], is_complete };

        let linhas = linhas(work_items, entries.clone(), Semana::of(MONDAY).unwrap());

        assert_eq!(outline(&linhas), "1@0=10 2@0=1");
        assert_eq!((linhas[0].titulo.as_str(), linhas[0].tipo.as_str()), ("Novo", "Task"));
        assert_eq!((linhas[1].titulo.as_str(), linhas[1].tipo.as_str(), &linhas[1].estado), ("#2", "", &None));
        assert_eq!((linhas[0].pode_editar, linhas[0].pode_excluir), (pode_editar, true));
    }
}
