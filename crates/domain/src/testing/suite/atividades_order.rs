//! Orders, cursors and search of atividades.

use super::atividades_list::{page, query};
use super::{NOW, Repositories, given_projeto, later, nome_atividade, record};
use crate::{
    AtividadeCampo, AtividadeFiltro, AtividadeId, AtividadePatch, AtividadeQuery, AtividadeRecord, Busca, Cursor,
    Ordem, ProjetoId,
};

/// Every order and direction of a list.
const ORDENS: [(AtividadeCampo, bool); 6] = [
    (AtividadeCampo::CriadoEm, true),
    (AtividadeCampo::CriadoEm, false),
    (AtividadeCampo::AtualizadoEm, true),
    (AtividadeCampo::AtualizadoEm, false),
    (AtividadeCampo::Nome, true),
    (AtividadeCampo::Nome, false),
];

async fn given(db: &Repositories, projeto: ProjetoId, n: u128, nome: &str, seconds: i64) {
    let record = AtividadeRecord { nome: nome_atividade(nome), criado_em: later(seconds), ..record(n, projeto) };
    db.atividades.insert(record).await.unwrap();
}

/// Inserts atividades, some with equal names, some with equal times, some changed later.
async fn given_some(db: &Repositories) -> ProjetoId {
    let projeto = given_projeto(db, 1, "Portal").await.id;
    let nomes = ["Éden", "abacaxi", "Zebra", "eden", "Ábaco", "zebra", "~", "Éden"];
    for (n, (nome, seconds)) in (1..).zip(nomes.into_iter().zip([5, 1, 5, 3, 5, 2, 8, 0])) {
        given(db, projeto, n, nome, seconds).await;
    }
    for (n, seconds) in [(2, 20), (3, 20), (8, 30)] {
        let patch = AtividadePatch { ativo: Some(false), ..AtividadePatch::default() };
        db.atividades.update(AtividadeId(super::id(n)), patch, later(seconds)).await.unwrap();
    }
    projeto
}

fn ordered(campo: AtividadeCampo, decrescente: bool) -> AtividadeQuery {
    AtividadeQuery { ordem: Ordem { campo, decrescente }, ..AtividadeQuery::default() }
}

/// Ties are ordered by id in the same direction. Names that differ in case or accents only are ties.
pub async fn list_in_each_order_and_direction_is_ordered(db: &Repositories) {
    given_some(db).await;

    for (campo, expected) in [
        (AtividadeCampo::CriadoEm, [8, 2, 6, 4, 1, 3, 5, 7]),
        (AtividadeCampo::AtualizadoEm, [6, 4, 1, 5, 7, 2, 3, 8]),
        (AtividadeCampo::Nome, [2, 5, 1, 4, 8, 3, 6, 7]),
    ] {
        let reversed: Vec<_> = expected.into_iter().rev().collect();
        assert_eq!(page(db, ordered(campo, false)).await, (expected.to_vec(), 8), "{campo:?}");
        assert_eq!(page(db, ordered(campo, true)).await, (reversed, 8), "{campo:?}");
    }
}

/// Pages of any size in every order have no gap and no overlap, and the total stays equal.
pub async fn list_pages_by_cursor_cover_the_whole_list(db: &Repositories) {
    given_some(db).await;

    for (campo, decrescente) in ORDENS {
        let (whole, _) = page(db, ordered(campo, decrescente)).await;
        for limit in [1, 2, 3, 7, 8, 9] {
            let mut apos = None;
            let mut seen = vec![];
            loop {
                let query = AtividadeQuery { apos: apos.clone(), ..query(0, limit) };
                let query = AtividadeQuery { ordem: Ordem { campo, decrescente }, ..query };
                let (numbers, total) = page(db, query.clone()).await;
                assert_eq!(total, 8);
                let items = db.atividades.list_items(query).await.unwrap().items;
                let Some(last) = items.last() else { break };
                apos = Some(Cursor::of(last, Ordem { campo, decrescente }));
                seen.extend(numbers);
            }
            assert_eq!(seen, whole, "{campo:?} {decrescente} {limit}");
        }
    }
}

/// A cursor stays valid after its row is deleted. Rows inserted later appear at their position.
pub async fn list_after_cursor_of_deleted_row_continues_there(db: &Repositories) {
    let projeto = given_projeto(db, 1, "Portal").await.id;
    for (n, seconds) in [(1, 1), (2, 2), (3, 3), (4, 4)] {
        given(db, projeto, n, "A", seconds).await;
    }
    let second = db.atividades.find(AtividadeId(super::id(3))).await.unwrap().unwrap();
    db.atividades.delete(second.id, None).await.unwrap();
    given(db, projeto, 5, "A", 5).await;
    given(db, projeto, 6, "A", 0).await;

    let after = AtividadeQuery { apos: Some(Cursor::of(&second, Ordem::default())), ..AtividadeQuery::default() };

    assert_eq!(page(db, after).await, (vec![2, 1, 6], 5));
}

/// A text is found anywhere in a name. No character is a wildcard.
pub async fn list_with_texto_ignores_case_and_accents(db: &Repositories) {
    let projeto = given_projeto(db, 1, "Portal").await.id;
    let nomes = ["Revisão do código", "REVISAO", "100% pronto", "a_b", "O'Brien \\ «x»", "e\u{301}den 🦀", "Ёлка"];
    for (n, nome) in (1..).zip(nomes) {
        given(db, projeto, n, nome, 0).await;
    }

    for (texto, expected) in [
        ("revisão", vec![2, 1]),
        ("REVISA\u{303}O D", vec![1]),
        ("codigo", vec![1]),
        ("%", vec![3]),
        ("_", vec![4]),
        ("'", vec![5]),
        ("\\", vec![5]),
        ("«X»", vec![5]),
        ("éDEN", vec![6]),
        ("🦀", vec![6]),
        ("ёЛК", vec![7]),
        ("nada", vec![]),
        ("", vec![7, 6, 5, 4, 3, 2, 1]),
    ] {
        let filtro = AtividadeFiltro { texto: Some(Busca::parse(texto).unwrap()), ..AtividadeFiltro::default() };
        let total = expected.len() as u64;
        let found = page(db, AtividadeQuery { filtro, ..AtividadeQuery::default() }).await;
        assert_eq!(found, (expected, total), "{texto:?}");
    }
}

/// Search finds the new name and no longer the old one.
pub async fn list_after_renaming_uses_the_new_name(db: &Repositories) {
    let projeto = given_projeto(db, 1, "Portal").await.id;
    given(db, projeto, 1, "Ação", 0).await;
    given(db, projeto, 2, "Bola", 0).await;
    let patch = AtividadePatch { nome: Some(nome_atividade("Índice")), ..AtividadePatch::default() };
    db.atividades.update(AtividadeId(super::id(1)), patch, NOW).await.unwrap();

    for (texto, expected) in [("acao", vec![]), ("indice", vec![1])] {
        let filtro = AtividadeFiltro { texto: Some(Busca::parse(texto).unwrap()), ..AtividadeFiltro::default() };
        assert_eq!(page(db, AtividadeQuery { filtro, ..AtividadeQuery::default() }).await.0, expected);
    }
    assert_eq!(page(db, ordered(AtividadeCampo::Nome, false)).await.0, [2, 1]);
}
