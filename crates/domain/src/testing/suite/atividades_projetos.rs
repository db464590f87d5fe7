//! Atividades of several projetos.

use std::collections::BTreeSet;

use super::atividades_list::page;
use super::{NOW, Repositories, given_projeto, id, join_all, later, record};
use crate::testing::{nome_atividade, nome_projeto, remote_projeto};
use crate::{
    Atividade, AtividadeFiltro, AtividadeId, AtividadePatch, AtividadeQuery, AtividadeRecord, Conflict, Error,
    InvalidField, Listable as _, PAGE_BYTES, ProjetoDaAtividade, ProjetoId, ProjetoPatch, ProjetoRecord, ProjetoRef,
    ProjetoRefs, Violation,
};

/// Inserts the projetos 1..=`n`, named by their numbers.
async fn given_projetos(db: &Repositories, n: u128) {
    for n in 1..=n {
        given_projeto(db, n, &n.to_string()).await;
    }
}

fn refs(numbers: impl IntoIterator<Item = u128>) -> ProjetoRefs {
    ProjetoRefs::parse(numbers.into_iter().map(|n| ProjetoRef(id(n))).collect()).unwrap()
}

fn of(n: u128, projetos: impl IntoIterator<Item = u128>) -> AtividadeRecord {
    AtividadeRecord { projetos: refs(projetos), ..record(n, ProjetoId(id(1))) }
}

fn replace(projetos: impl IntoIterator<Item = u128>) -> AtividadePatch {
    AtividadePatch { projetos: Some(refs(projetos)), ..AtividadePatch::default() }
}

/// Returns the numbers of the projetos, and asserts that their names are the numbers.
fn numbers(atividade: &Atividade) -> Vec<u128> {
    let first = ProjetoDaAtividade { id: atividade.id_projeto, nome: atividade.nome_projeto.clone() };
    let projetos = std::iter::once(&first).chain(&atividade.outros_projetos);
    let number = |projeto: &ProjetoDaAtividade| {
        let number = projeto.id.0.as_u128() - id(0).as_u128();
        assert_eq!(projeto.nome.as_str(), number.to_string());
        number
    };
    projetos.map(number).collect()
}

/// Asserts that the repository returns `expected` for the atividade, by id and in a list.
async fn assert_projetos(db: &Repositories, atividade: &Atividade, expected: &[u128]) {
    assert_eq!(numbers(atividade), expected);
    assert_eq!(db.atividades.find(atividade.id).await.unwrap().as_ref(), Some(atividade));
    let listed = db.atividades.list(AtividadeQuery::default()).await.unwrap().items;
    assert_eq!(listed.iter().find(|listed| listed.id == atividade.id), Some(atividade));
    let items = db.atividades.list_items(AtividadeQuery::default()).await.unwrap().items;
    assert_eq!(items, listed);
}

/// Returns the unknown projetos that `error` names: item, field, index.
fn unknown(error: Error) -> Vec<(Option<usize>, &'static str, Option<usize>)> {
    let Error::Invalid(fields) = error else { panic!("{error:?}") };
    let entry = |InvalidField { item, field, index, violation }| {
        assert_eq!(violation, Violation::UnknownProjeto);
        (item, field, index)
    };
    fields.into_iter().map(entry).collect()
}

/// The order is that of the request, also of the largest number.
pub async fn insert_with_several_projetos_keeps_their_order(db: &Repositories) {
    given_projetos(db, 100).await;

    for (n, projetos) in (1..).zip([vec![2], vec![3, 1, 2], (1..=100).rev().collect::<Vec<_>>()]) {
        let stored = db.atividades.insert(of(n, projetos.clone())).await.unwrap();
        assert_projetos(db, &stored, &projetos).await;
    }
}

/// Concurrent inserts share statements, and each keeps its own projetos.
pub async fn concurrent_inserts_with_several_projetos_keep_theirs(db: &Repositories) {
    given_projetos(db, 5).await;
    let projetos = |n: u128| match n % 4 {
        0 => vec![n % 5 + 1],
        1 => vec![5, 4, 3],
        2 => vec![1, 99],
        _ => vec![3, 1],
    };

    let results = join_all((1..=40).map(|n| db.atividades.insert(of(n, projetos(n)))).collect()).await;

    for (n, result) in (1..).zip(results) {
        match result {
            Ok(stored) => assert_projetos(db, &stored, &projetos(n)).await,
            Err(error) => assert_eq!((n % 4, unknown(error)), (2, vec![(None, "ids_projetos", Some(1))])),
        }
    }
    assert_eq!(page(db, AtividadeQuery::default()).await.1, 30);
}

/// All rows are returned with their projetos, in order.
pub async fn insert_all_with_several_projetos_keeps_their_order(db: &Repositories) {
    given_projetos(db, 4).await;
    let projetos = [vec![4, 2, 3], vec![1], vec![1, 2, 3, 4], vec![2, 1]];
    let records = (1..).zip(&projetos).map(|(n, projetos)| of(n, projetos.clone()));

    let stored = db.atividades.insert_all(records.collect(), None).await.unwrap();

    assert_eq!(stored.len(), 4);
    for (stored, projetos) in stored.iter().zip(&projetos) {
        assert_projetos(db, stored, projetos).await;
    }
}

/// Each unknown projeto is reported with its index, and nothing is stored.
pub async fn insert_with_unknown_projetos_names_each(db: &Repositories) {
    given_projetos(db, 2).await;
    let list = |index| (None, "ids_projetos", Some(index));

    for (projetos, expected) in [
        (vec![1, 9], vec![list(1)]),
        (vec![9, 1], vec![list(0)]),
        (vec![9], vec![list(0)]),
        (vec![8, 1, 9, 2, 7], vec![list(0), list(2), list(4)]),
    ] {
        assert_eq!(unknown(db.atividades.insert(of(1, projetos)).await.unwrap_err()), expected);
    }
    let single = AtividadeRecord { projetos: ProjetoRef(id(9)).into(), ..of(4, [1]) };
    let all = vec![of(1, [1, 9]), of(2, [2, 1]), of(3, [8, 9]), single];
    let of_item = |item, index| (Some(item), "ids_projetos", Some(index));
    assert_eq!(
        unknown(db.atividades.insert_all(all, None).await.unwrap_err()),
        [of_item(0, 1), of_item(2, 0), of_item(2, 1), (Some(3), "id_projeto", None)]
    );
    assert_eq!(page(db, AtividadeQuery::default()).await.1, 0);
}

/// More, fewer, others, another order, and a single one. Every change counts as one of the atividade.
pub async fn update_of_projetos_replaces_all_in_order(db: &Repositories) {
    given_projetos(db, 5).await;
    let before = db.atividades.insert(of(1, [1])).await.unwrap();
    let other = db.atividades.insert(of(2, [1, 2, 3])).await.unwrap();

    for (second, projetos) in (1..).zip([
        vec![1, 2, 3],
        vec![1, 3, 2],
        vec![3, 1, 2],
        vec![3, 4],
        vec![4, 3],
        vec![5],
        vec![1, 2, 3, 4, 5],
        vec![2, 1, 3, 4, 5],
        vec![2],
    ]) {
        let updated = db.atividades.update(before.id, replace(projetos.clone()), later(second)).await.unwrap().unwrap();
        assert_eq!(updated.atualizado_em, later(second), "{projetos:?}");
        assert_projetos(db, &updated, &projetos).await;
    }
    let single = AtividadePatch { projetos: Some(ProjetoRef(id(3)).into()), ..AtividadePatch::default() };
    db.atividades.update(other.id, single, later(1)).await.unwrap();
    assert_projetos(db, &db.atividades.find(other.id).await.unwrap().unwrap(), &[3]).await;
}

/// The same projetos in the same order are no change, and other fields keep the projetos.
pub async fn update_with_equal_projetos_keeps_atualizado_em(db: &Repositories) {
    given_projetos(db, 3).await;
    let before = db.atividades.insert(of(1, [3, 1, 2])).await.unwrap();

    let same = db.atividades.update(before.id, replace([3, 1, 2]), later(1)).await.unwrap().unwrap();
    assert_eq!(same, before);
    let patch = AtividadePatch { nome: Some(nome_atividade("Novo")), ..AtividadePatch::default() };
    let renamed = db.atividades.update(before.id, patch, later(2)).await.unwrap().unwrap();

    assert_eq!(renamed, Atividade { nome: nome_atividade("Novo"), atualizado_em: later(2), ..before });
    assert_projetos(db, &renamed, &[3, 1, 2]).await;
}

/// An unknown projeto prevents the whole update. A missing atividade takes precedence.
pub async fn update_with_unknown_projetos_names_each(db: &Repositories) {
    given_projetos(db, 2).await;
    let before = db.atividades.insert(of(1, [2, 1])).await.unwrap();
    let patch = AtividadePatch { nome: Some(nome_atividade("Novo")), ..replace([1, 8, 2, 9]) };

    let error = db.atividades.update(before.id, patch, later(1)).await.unwrap_err();

    assert_eq!(unknown(error), [(None, "ids_projetos", Some(1)), (None, "ids_projetos", Some(3))]);
    assert_projetos(db, &before, &[2, 1]).await;
    assert_eq!(db.atividades.update(AtividadeId(id(2)), replace([8, 9]), later(1)).await.unwrap(), None);
}

/// Whatever the order of concurrent updates: the projetos are those of one of them, and each returns its own, also if it finds
/// them there already.
pub async fn concurrent_updates_of_projetos_end_as_one_of_them(db: &Repositories) {
    given_projetos(db, 6).await;
    let before = db.atividades.insert(of(1, [1, 2])).await.unwrap();
    let lists = [vec![3, 4, 5], vec![5, 4], vec![6], vec![2, 1, 6, 3], vec![4, 5, 3], vec![1, 6]];

    for round in 0..5 {
        let now = later(round);
        let twice = lists.iter().chain(&lists);
        let updates = twice.clone().map(|list| db.atividades.update(before.id, replace(list.clone()), now));
        let results = join_all(updates.collect()).await;

        for (result, list) in results.iter().zip(twice) {
            assert_eq!(&numbers(result.as_ref().unwrap().as_ref().unwrap()), list);
        }
        let found = db.atividades.find(before.id).await.unwrap().unwrap();
        assert!(lists.contains(&numbers(&found)), "{found:?}");
        assert_projetos(db, &found, &numbers(&found)).await;
    }
}

/// An update of another field returns the projetos as they were at one time, and not the first of one time with the others of
/// another.
pub async fn concurrent_update_of_another_field_returns_projetos_of_one_time(db: &Repositories) {
    given_projetos(db, 6).await;
    let lists = [vec![1, 2], vec![3, 4, 5], vec![6]];
    let before = db.atividades.insert(of(1, lists[0].clone())).await.unwrap();

    for round in 0..10 {
        let rename = |n: usize| AtividadePatch {
            nome: Some(nome_atividade(&format!("{round}.{n}"))),
            ..AtividadePatch::default()
        };
        let patches = (0..12).map(|n| if n % 2 == 0 { replace(lists[n / 2 % 3].clone()) } else { rename(n) });
        let updates = patches.map(|patch| db.atividades.update(before.id, patch, later(round)));
        for result in join_all(updates.collect()).await {
            let numbers = numbers(&result.unwrap().unwrap());
            assert!(lists.contains(&numbers), "{numbers:?}");
        }
    }
}

/// An update that expects another version changes no projeto.
pub async fn update_of_projetos_of_another_version_is_a_mismatch(db: &Repositories) {
    given_projetos(db, 3).await;
    let before = db.atividades.insert(of(1, [1, 2])).await.unwrap();

    let stale = AtividadePatch { expected: Some(later(9)), ..replace([3, 1]) };
    let error = db.atividades.update(before.id, stale, later(1)).await.unwrap_err();

    assert!(matches!(error, Error::VersionMismatch), "{error:?}");
    assert_projetos(db, &before, &[1, 2]).await;
    let current = AtividadePatch { expected: Some(before.atualizado_em), ..replace([3, 1]) };
    let updated = db.atividades.update(before.id, current, later(1)).await.unwrap().unwrap();
    assert_projetos(db, &updated, &[3, 1]).await;
}

/// The filter finds an atividade once by each of its projetos, and the total agrees.
pub async fn list_by_projeto_finds_each_of_several(db: &Repositories) {
    given_projetos(db, 4).await;
    for (n, projetos) in (1..).zip([vec![1], vec![1, 2], vec![2, 1, 3], vec![3]]) {
        db.atividades.insert(AtividadeRecord { ativo: n != 2, ..of(n, projetos) }).await.unwrap();
    }

    for (projeto, ativo, expected) in [
        (1, None, vec![3, 2, 1]),
        (2, None, vec![3, 2]),
        (3, None, vec![4, 3]),
        (4, None, vec![]),
        (1, Some(true), vec![3, 1]),
        (2, Some(false), vec![2]),
    ] {
        let filtro = AtividadeFiltro { ativo, projeto: Some(ProjetoRef(id(projeto))), texto: None };
        let total = expected.len() as u64;
        let query = AtividadeQuery { filtro, ..AtividadeQuery::default() };
        assert_eq!(page(db, query).await, (expected, total), "{projeto} {ativo:?}");
    }
}

/// Any of the projetos counts as in use until the last atividade of it is gone.
pub async fn projeto_delete_with_atividades_of_several_is_a_conflict(db: &Repositories) {
    given_projetos(db, 3).await;
    let stored = db.atividades.insert(of(1, [1, 2])).await.unwrap();

    for n in [1, 2] {
        let error = db.projetos.delete(ProjetoId(id(n)), None).await.unwrap_err();
        assert!(matches!(error, Error::Conflict(Conflict::ProjetoComAtividades)), "{error:?}");
    }
    assert_projetos(db, &stored, &[1, 2]).await;
    assert!(db.projetos.delete(ProjetoId(id(3)), None).await.unwrap());
    db.atividades.update(stored.id, replace([1]), later(1)).await.unwrap();
    assert!(db.projetos.delete(ProjetoId(id(2)), None).await.unwrap());
    assert!(db.atividades.delete(stored.id, None).await.unwrap());
    assert!(db.projetos.delete(ProjetoId(id(1)), None).await.unwrap());
}

/// A deleted atividade leaves no projeto in use.
pub async fn delete_of_atividade_with_several_projetos_frees_them(db: &Repositories) {
    given_projetos(db, 2).await;
    let stored = db.atividades.insert(of(1, [1, 2])).await.unwrap();

    assert!(db.atividades.delete(stored.id, None).await.unwrap());

    assert_eq!(page(db, AtividadeQuery::default()).await, (vec![], 0));
    assert!(db.projetos.delete(ProjetoId(id(2)), None).await.unwrap());
}

/// A project that Azure DevOps no longer has keeps its atividades, and a renamed one changes its name in them.
pub async fn projeto_of_several_that_disappears_or_changes_keeps_its_place(db: &Repositories) {
    let local = given_projeto(db, 1, "Local").await;
    let [alfa, beta] = [remote_projeto(1, "Alfa"), remote_projeto(2, "Beta")];
    for remote in [alfa.clone(), beta.clone()] {
        db.projetos.store_remote(remote, NOW).await.unwrap();
    }
    let ids = [local.id.0, alfa.id.get(), beta.id.get()].map(ProjetoRef).to_vec();
    let record = AtividadeRecord { projetos: ProjetoRefs::parse(ids).unwrap(), ..record(1, local.id) };
    let stored = db.atividades.insert(record).await.unwrap();

    let mut renamed = beta.clone();
    renamed.nome = nome_projeto("Beta novo");
    db.projetos.synchronize(vec![renamed], vec![alfa.id], later(1)).await.unwrap();
    let patch = ProjetoPatch { nome: Some(nome_projeto("Local novo")), ..ProjetoPatch::default() };
    db.projetos.update(local.id, patch, later(1)).await.unwrap();

    let found = db.atividades.find(stored.id).await.unwrap().unwrap();
    let projeto = |id: ProjetoId, nome| ProjetoDaAtividade { id, nome: nome_projeto(nome) };
    let outros = vec![projeto(ProjetoId(alfa.id.get()), "Alfa"), projeto(ProjetoId(beta.id.get()), "Beta novo")];
    assert_eq!(found, Atividade { nome_projeto: nome_projeto("Local novo"), outros_projetos: outros, ..stored });
}

/// The names of the projetos count as texts: a page of rows with the largest ones is cut, and the rest can be read.
pub async fn list_of_rows_with_many_long_projetos_is_cut(db: &Repositories) {
    let long = |n: u128| format!("{n:03}{}", "🦀".repeat(252));
    for n in 1..=100 {
        let record =
            ProjetoRecord { id: ProjetoId(id(n)), nome: nome_projeto(&long(n)), descricao: None, criado_em: NOW };
        db.projetos.insert(record, None).await.unwrap();
    }
    let records = (1..=20).map(|n| of(n, 1..=100)).collect();
    db.atividades.insert_all(records, None).await.unwrap();

    let page = db.atividades.list(AtividadeQuery::default()).await.unwrap();

    assert!((1..20).contains(&page.items.len()) && page.total == 20, "{}", page.items.len());
    assert!(page.items.iter().map(Atividade::text_bytes).sum::<usize>() <= PAGE_BYTES);
    let seen: BTreeSet<_> = page.items.iter().map(|item| item.id.0).collect();
    assert_eq!((seen.len(), page.last.unwrap().id), (page.items.len(), id(1)));
    assert!(page.items.iter().all(|item| item.outros_projetos.len() == 99));
}
