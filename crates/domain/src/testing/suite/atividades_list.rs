//! Pages of atividades by `skip`, and filters.

use super::{Repositories, given_projeto, id, later, record};
use crate::{AtividadeFiltro, AtividadeId, AtividadeQuery, AtividadeRecord, Limit, ProjetoId, ProjetoRef, Skip};

/// Returns the numbers of the atividades on one page, in its order, and the total.
pub(super) async fn page(db: &Repositories, query: AtividadeQuery) -> (Vec<u128>, u64) {
    let page = db.atividades.list(query.clone()).await.unwrap();
    let rows = db.atividades.list_items(query).await.unwrap();
    assert_eq!((&rows.items, &rows.last), (&page.items, &page.last));
    let numbers = page.items.iter().map(|a| a.id.0.as_u128() - id(0).as_u128()).collect();
    (numbers, page.total)
}

pub(super) fn query(skip: i64, limit: i64) -> AtividadeQuery {
    AtividadeQuery {
        skip: Skip::parse(skip).unwrap(),
        limit: Limit::parse(limit).unwrap(),
        ..AtividadeQuery::default()
    }
}

/// Inserts an atividade with a number, a time and a state.
async fn given(db: &Repositories, n: u128, projeto: ProjetoId, seconds: i64, ativo: bool) -> AtividadeId {
    let record = AtividadeRecord { criado_em: later(seconds), ativo, ..record(n, projeto) };
    db.atividades.insert(record).await.unwrap().id
}

/// An empty table has an empty page and the total 0.
pub async fn list_of_empty_table_is_empty(db: &Repositories) {
    assert_eq!(page(db, AtividadeQuery::default()).await, (vec![], 0));
    assert_eq!(page(db, query(5, 1)).await, (vec![], 0));
}

/// `criado_em` counts before the id and before the order of insertion.
pub async fn list_by_default_is_newest_first(db: &Repositories) {
    let projeto = given_projeto(db, 1, "Portal").await.id;
    for (n, seconds) in [(1, 20), (2, 30), (3, 10), (4, -5)] {
        given(db, n, projeto, seconds, true).await;
    }

    assert_eq!(page(db, AtividadeQuery::default()).await, (vec![2, 1, 3, 4], 4));
}

/// Of rows with the same `criado_em`, the greater id comes first.
pub async fn list_of_equal_times_is_ordered_by_id(db: &Repositories) {
    let projeto = given_projeto(db, 1, "Portal").await.id;
    for (n, seconds) in [(2, 0), (5, 0), (1, 0), (4, 0), (3, 1)] {
        given(db, n, projeto, seconds, true).await;
    }

    assert_eq!(page(db, AtividadeQuery::default()).await, (vec![3, 5, 4, 2, 1], 5));
}

/// Pages of any size have no gap and no overlap, and each has the total.
pub async fn list_pages_by_skip_cover_the_whole_list(db: &Repositories) {
    let projeto = given_projeto(db, 1, "Portal").await.id;
    for n in 1..=7 {
        // Pairs of equal times, so that a page can end between two equal ones.
        given(db, n, projeto, i64::try_from(n / 2).unwrap(), true).await;
    }

    for limit in 1..=8 {
        let mut seen = vec![];
        while seen.len() < 7 {
            let (numbers, total) = page(db, query(i64::try_from(seen.len()).unwrap(), limit)).await;
            assert_eq!((total, numbers.is_empty()), (7, false), "limit {limit}");
            assert!(i64::try_from(numbers.len()).unwrap() <= limit, "limit {limit}");
            seen.extend(numbers);
        }
        assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1], "limit {limit}");
    }
}

/// Each filter alone and every combination restrict both items and total.
pub async fn list_with_filters_returns_matches_of_all_filters(db: &Repositories) {
    let portal = given_projeto(db, 1, "Portal").await.id;
    let outro = given_projeto(db, 2, "Outro").await.id;
    let vazio = given_projeto(db, 3, "Vazio").await.id;
    for (n, projeto, ativo) in [(1, portal, true), (2, portal, false), (3, outro, true), (4, portal, true)] {
        given(db, n, projeto, 0, ativo).await;
    }

    let cases = [
        (None, None, vec![4, 3, 2, 1]),
        (Some(true), None, vec![4, 3, 1]),
        (Some(false), None, vec![2]),
        (None, Some(portal), vec![4, 2, 1]),
        (Some(true), Some(portal), vec![4, 1]),
        (Some(false), Some(portal), vec![2]),
        (Some(true), Some(outro), vec![3]),
        (Some(false), Some(outro), vec![]),
        (None, Some(vazio), vec![]),
        (None, Some(ProjetoId(id(99))), vec![]),
    ];
    for (ativo, projeto, expected) in cases {
        let projeto = projeto.map(|id| ProjetoRef(id.0));
        let total = expected.len();
        let filtro = AtividadeFiltro { ativo, projeto, texto: None };
        let whole = AtividadeQuery { filtro: filtro.clone(), ..AtividadeQuery::default() };
        let second = AtividadeQuery { filtro: filtro.clone(), ..query(1, 1) };

        let second_page = expected.get(1).copied().into_iter().collect();
        assert_eq!(page(db, whole).await, (expected, total as u64), "{filtro:?}");
        assert_eq!(page(db, second).await, (second_page, total as u64), "{filtro:?}");
    }
}

/// Any distance beyond the end, with and without a filter.
pub async fn list_beyond_the_end_is_empty_with_total(db: &Repositories) {
    let projeto = given_projeto(db, 1, "Portal").await.id;
    for (n, ativo) in [(1, true), (2, false), (3, true)] {
        given(db, n, projeto, 0, ativo).await;
    }

    for skip in [3, 4, i64::from(i32::MAX) + 1, i64::MAX - 1, i64::MAX] {
        for limit in [1, 1000] {
            let filtro = AtividadeFiltro { ativo: Some(true), ..AtividadeFiltro::default() };
            let active = AtividadeQuery { filtro, ..query(skip, limit) };
            assert_eq!(page(db, query(skip, limit)).await, (vec![], 3), "skip {skip}");
            assert_eq!(page(db, active).await, (vec![], 2), "skip {skip}");
        }
    }
}
