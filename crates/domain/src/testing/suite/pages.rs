//! Pages whose rows exceed the memory bound.

use super::atividades_list::query;
use super::{Repositories, given_projeto, id, later, nome_atividade, nome_projeto, record};
use crate::{
    Atividade, AtividadeCampo, AtividadeId, AtividadeQuery, AtividadeRecord, Cursor, Descricao, Limit, Listable, Ordem,
    PAGE_BYTES, Projeto, ProjetoId, ProjetoQuery, ProjetoRecord, Skip,
};

/// The number of largest rows: they fill two and a half pages.
const ROWS: u128 = 20;

fn largest() -> Descricao {
    Descricao::parse("ç".repeat(Descricao::MAX_BYTES / 2)).unwrap()
}

/// Inserts atividades with the largest description, and some without one.
async fn given_large(db: &Repositories) -> ProjetoId {
    let projeto = given_projeto(db, 1, "Portal").await.id;
    for n in 1..=ROWS {
        let record = AtividadeRecord {
            // Names and times have other orders than ids.
            nome: nome_atividade(&format!("Nome {}", n * 7 % 10)),
            descricao: (n % 10 != 3).then(largest),
            criado_em: later(i64::try_from(n * 3 % 7).unwrap()),
            ..record(n, projeto)
        };
        db.atividades.insert(record).await.unwrap();
    }
    projeto
}

fn bytes<T: Listable>(rows: &[T]) -> usize {
    rows.iter().map(Listable::text_bytes).sum()
}

fn ids(rows: &[Atividade]) -> Vec<u128> {
    rows.iter().map(|row| row.id.0.as_u128() - id(0).as_u128()).collect()
}

/// Returns all atividades, read one by one, which never exceeds the bound.
async fn one_by_one(db: &Repositories, ordem: Ordem<AtividadeCampo>) -> Vec<Atividade> {
    let (mut rows, mut apos) = (Vec::new(), None);
    loop {
        let one = AtividadeQuery { ordem, apos, ..query(0, 1) };
        let Some(row) = db.atividades.list_items(one).await.unwrap().items.pop() else { return rows };
        apos = Some(Cursor::of(&row, ordem));
        rows.push(row);
    }
}

/// `items` are as many of the first rows as fit, and `last` is the end of the page. The rows between them can be read,
/// in every order and with `skip`.
pub async fn list_of_large_rows_is_cut_and_the_rest_can_be_read(db: &Repositories) {
    given_large(db).await;

    for campo in [AtividadeCampo::CriadoEm, AtividadeCampo::AtualizadoEm, AtividadeCampo::Nome] {
        for decrescente in [true, false] {
            let ordem = Ordem { campo, decrescente };
            let whole = one_by_one(db, ordem).await;
            for (skip, limit) in [(0, 1000), (0, 15), (3, 15)] {
                let expected: Vec<_> = whole.iter().skip(skip).take(limit).cloned().collect();
                let query = query(i64::try_from(skip).unwrap(), i64::try_from(limit).unwrap());
                let query = AtividadeQuery { ordem, ..query };
                let page = db.atividades.list(query.clone()).await.unwrap();
                let rows = db.atividades.list_items(query.clone()).await.unwrap();

                assert_eq!((&rows.items, &rows.last), (&page.items, &page.last), "{ordem:?}");
                assert_eq!(page.last, expected.last().map(|last| Cursor::of(last, ordem)), "{ordem:?}");
                let fit = page.items.len();
                assert_eq!((ids(&page.items), page.total), (ids(&expected[..fit]), 20), "{ordem:?}");
                assert!(bytes(&page.items) <= PAGE_BYTES && PAGE_BYTES < bytes(&expected[..=fit]), "{ordem:?}");

                let apos = page.items.last().map(|row| Cursor::of(row, ordem));
                let limit = Limit::parse(5).unwrap();
                let rest = AtividadeQuery { ordem, apos, ate: page.last, limit, ..AtividadeQuery::default() };
                let rest = db.atividades.list_items(rest).await.unwrap();
                let next: Vec<_> = expected[fit..].iter().take(5).cloned().collect();
                assert_eq!((ids(&rest.items), rest.last), (ids(&next), None), "{ordem:?}");
            }
        }
    }
}

/// `ate` is a position, like `apos`. It stays valid after its row is deleted and excludes rows inserted after it.
pub async fn list_with_ate_ends_at_that_position(db: &Repositories) {
    let projeto = given_projeto(db, 1, "Portal").await.id;
    for n in 1..=6 {
        let record = AtividadeRecord { criado_em: later(i64::try_from(n).unwrap()), ..record(n, projeto) };
        db.atividades.insert(record).await.unwrap();
    }
    let place =
        async |n| Some(Cursor::of(&db.atividades.find(AtividadeId(id(n))).await.unwrap().unwrap(), Ordem::default()));
    let (newest_first, oldest_first) = (Ordem::default(), Ordem { decrescente: false, ..Ordem::default() });
    let (second, fifth) = (place(2).await, place(5).await);
    db.atividades.delete(AtividadeId(id(2)), None).await.unwrap();

    let rest = AtividadeQuery { apos: fifth.clone(), ate: second.clone(), ..AtividadeQuery::default() };
    let listed = db.atividades.list(rest.clone()).await.unwrap();
    assert_eq!((ids(&listed.items), listed.total, listed.last), (vec![4, 3], 5, None));
    let rest = AtividadeQuery { ordem: oldest_first, apos: second, ate: fifth, ..rest };
    assert_eq!(ids(&db.atividades.list_items(rest.clone()).await.unwrap().items), [3, 4, 5]);
    let nothing = AtividadeQuery { ordem: newest_first, ..rest };
    assert_eq!(ids(&db.atividades.list_items(nothing).await.unwrap().items), []);
}

async fn given_projetos(db: &Repositories, projetos: &[(u128, &str, Option<Descricao>)]) {
    for (n, nome, descricao) in projetos {
        let record = ProjetoRecord {
            id: ProjetoId(id(*n)),
            nome: nome_projeto(nome),
            descricao: descricao.clone(),
            criado_em: super::NOW,
        };
        db.projetos.insert(record, None).await.unwrap();
    }
}

fn names(projetos: &[Projeto]) -> Vec<(&str, u128)> {
    projetos.iter().map(|p| (p.nome.as_str(), p.id.0.as_u128() - id(0).as_u128())).collect()
}

/// Case and accents count only between otherwise equal names. Pages of any size cover the whole list.
pub async fn projeto_list_is_ordered_by_name(db: &Repositories) {
    let expected =
        [("abaco", 5), ("Ábaco", 4), ("Alfa", 3), ("área", 2), ("beta", 6), ("beta", 8), ("Beta b", 7), ("Zebra", 1)];
    let mut given = expected.map(|(nome, n)| (n, nome, None));
    given.sort_by_key(|(n, ..)| *n);
    given_projetos(db, &given).await;

    for limit in [1, 2, 3, 7, 8, 9] {
        let (mut seen, mut apos) = (Vec::new(), None);
        loop {
            let query = ProjetoQuery { apos, limit: Limit::parse(limit).unwrap(), ..ProjetoQuery::default() };
            let batch = db.projetos.list(query).await.unwrap();
            assert_eq!(batch.last, None);
            assert!(i64::try_from(batch.items.len()).unwrap() <= limit);
            let Some(last) = batch.items.last() else { break };
            apos = Some(Cursor::of(last, ()));
            seen.extend(batch.items);
        }
        assert_eq!(names(&seen), expected, "limit {limit}");
    }
    // A cursor needs no existing row.
    let apos = Some(Cursor { key: nome_projeto("BETA"), id: id(99) });
    let after = db.projetos.list(ProjetoQuery { apos, ..ProjetoQuery::default() }).await.unwrap();
    assert_eq!(names(&after.items), [("beta", 6), ("beta", 8), ("Beta b", 7), ("Zebra", 1)]);
    let position = |nome: &str, n| Some(Cursor { key: nome_projeto(nome), id: id(n) });
    let bounded = ProjetoQuery {
        apos: position("abaco", 5),
        ate: position("beta", 8),
        skip: Skip::parse(1).unwrap(),
        limit: Limit::parse(3).unwrap(),
        ..ProjetoQuery::default()
    };
    let listed = db.projetos.list(bounded.clone()).await.unwrap();
    assert_eq!(names(&listed.items), [("Alfa", 3), ("área", 2), ("beta", 6)]);
    let listed = db.projetos.list(ProjetoQuery { limit: Limit::LARGEST, ..bounded }).await.unwrap();
    assert_eq!(names(&listed.items), [("Alfa", 3), ("área", 2), ("beta", 6), ("beta", 8)]);
}

/// As for atividades.
pub async fn projeto_list_of_large_rows_is_cut(db: &Repositories) {
    let nomes: Vec<_> = (1..=ROWS).map(|n| format!("Projeto {n:02}")).collect();
    let given: Vec<_> = (1..).zip(&nomes).map(|(n, nome)| (n, nome.as_str(), Some(largest()))).collect();
    given_projetos(db, &given).await;

    let first = db.projetos.list(ProjetoQuery::default()).await.unwrap();

    assert_eq!(first.items.len(), 7);
    assert!(bytes(&first.items) <= PAGE_BYTES);
    assert_eq!(first.last.map(|last| last.id), Some(id(ROWS)));
    let apos = first.items.last().map(|last| Cursor::of(last, ()));
    let next = db
        .projetos
        .list(ProjetoQuery { apos, limit: Limit::parse(5).unwrap(), ..ProjetoQuery::default() })
        .await
        .unwrap();
    assert_eq!((names(&next.items)[0], next.items.len(), next.last), (("Projeto 08", 8), 5, None));
}
