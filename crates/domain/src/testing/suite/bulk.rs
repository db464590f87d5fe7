//! Storing many at once, and requests that count once.

use super::atividades_list::{page, query};
use super::projetos::all;
use super::{NOW, Repositories, given_projeto, id, later, nome_atividade, record, side_by_side};
use crate::testing::remote_projeto;
use crate::{
    AtividadeId, AtividadeQuery, AtividadeRecord, Error, Idempotency, IdempotencyKey, NomeAtividade, NomeProjeto,
    ProjetoId, ProjetoPatch, ProjetoRecord, RemoteProjeto, Violation,
};

fn request(usuario: &str, key: &str, request: u8) -> Idempotency {
    let key = IdempotencyKey::parse(key).unwrap();
    Idempotency { usuario: usuario.to_owned(), key, request: [request; 32] }
}

/// Records number `numbers` in a projeto, each a microsecond after the one before.
fn records(projeto: ProjetoId, numbers: std::ops::RangeInclusive<u128>) -> Vec<AtividadeRecord> {
    let after = |n: u128| NOW + time::Duration::microseconds(i64::try_from(n).unwrap());
    numbers.map(|n| AtividadeRecord { criado_em: after(n), ..record(n, projeto) }).collect()
}

async fn total(db: &Repositories) -> u64 {
    page(db, AtividadeQuery::default()).await.1
}

/// A thousand are stored and answered in their order, each as it is found.
pub async fn insert_all_answers_each_as_it_is_kept(db: &Repositories) {
    let projeto = given_projeto(db, 1, "Portal").await.id;
    let mut records = records(projeto, 1..=1000);
    records[1].nome = nome_atividade("Revisão \"à\" {1}");
    records[2].ativo = false;

    let stored = db.atividades.insert_all(records.clone(), None).await.unwrap();

    assert_eq!(stored.len(), 1000);
    for (stored, record) in stored.iter().zip(&records) {
        assert_eq!((stored.id, &stored.nome, stored.ativo), (record.id, &record.nome, record.ativo));
        assert_eq!((stored.criado_em, stored.atualizado_em), (record.criado_em, record.criado_em));
        assert_eq!((stored.id_projeto, stored.nome_projeto.as_str()), (projeto, "Portal"));
    }
    assert_eq!(page(db, query(0, 3)).await, (vec![1000, 999, 998], 1000));
    assert_eq!(db.atividades.find(stored[1].id).await.unwrap().as_ref(), Some(&stored[1]));
    assert_eq!(db.atividades.insert_all(Vec::new(), None).await.unwrap(), []);
}

/// Every visible character can stand at the ends of a name, also those that some escape makes of a letter.
pub async fn every_character_can_begin_and_end_a_name(db: &Repositories) {
    let projeto = given_projeto(db, 1, "Portal").await.id;
    let characters = ('\u{1}'..='\u{2ff}').chain(['\u{feff}', '\u{200b}', '\u{10ffff}']);
    let nomes: Vec<_> = characters.filter(|c| !c.is_whitespace()).map(|c| format!("{c}a{c}")).collect();
    let records: Vec<_> = (1..)
        .zip(&nomes)
        .map(|(n, nome)| AtividadeRecord { nome: NomeAtividade::from_stored(nome).unwrap(), ..record(n, projeto) })
        .collect();

    let stored = db.atividades.insert_all(records, None).await.unwrap();

    assert!(stored.iter().map(|atividade| atividade.nome.as_str()).eq(&nomes));
    let remote = (1..)
        .zip(&nomes)
        .map(|(n, nome)| RemoteProjeto { nome: NomeProjeto::from_stored(nome).unwrap(), ..remote_projeto(n, "P") });
    db.projetos.synchronize(remote.collect(), vec![], NOW).await.unwrap();
    assert_eq!(all(db).await.len(), nomes.len() + 1);
}

/// One unknown projeto keeps all from being stored, and every fault is told with its place.
pub async fn insert_all_stores_all_or_none(db: &Repositories) {
    let projeto = given_projeto(db, 1, "Portal").await.id;
    let mut records = records(projeto, 1..=5);
    records[1] = AtividadeRecord { criado_em: records[1].criado_em, ..record(2, ProjetoId(id(98))) };
    records[4] = AtividadeRecord { criado_em: records[4].criado_em, ..record(5, ProjetoId(id(99))) };

    for once in [None, Some(request("ana", "a", 1))] {
        let refused = db.atividades.insert_all(records.clone(), once).await.unwrap_err();
        let Error::Invalid(fields) = &refused else { panic!("{refused:?}") };
        let told: Vec<_> = fields.iter().map(|field| (field.item, field.field, field.violation)).collect();
        let fault = |item| (Some(item), "id_projeto", Violation::UnknownProjeto);
        assert_eq!(told, [fault(1), fault(4)]);
    }
    assert_eq!(total(db).await, 0);
    // A refused request is not remembered.
    records.truncate(1);
    db.atividades.insert_all(records, Some(request("ana", "a", 2))).await.unwrap();
    assert_eq!(total(db).await, 1);
}

/// The same request is answered as it was the first time, whatever became of what it made.
pub async fn a_request_that_comes_again_is_answered_as_before(db: &Repositories) {
    let projeto = given_projeto(db, 1, "Portal").await.id;
    let first = db.atividades.insert_all(records(projeto, 1..=2), Some(request("ana", "a", 1))).await.unwrap();
    db.atividades.delete(first[0].id, None).await.unwrap();
    let patch = ProjetoPatch { nome: Some(super::nome_projeto("Outro")), ..ProjetoPatch::default() };
    db.projetos.update(projeto, patch, later(1)).await.unwrap();

    let again = db.atividades.insert_all(records(projeto, 3..=4), Some(request("ana", "a", 1))).await.unwrap();

    assert_eq!(again, first);
    assert_eq!(total(db).await, 1);
}

/// Keys are each user's own, and stand for one request.
pub async fn a_key_stands_for_one_request_of_one_user(db: &Repositories) {
    let projeto = given_projeto(db, 1, "Portal").await.id;
    db.atividades.insert_all(records(projeto, 1..=1), Some(request("ana", "a", 1))).await.unwrap();

    let reused = db.atividades.insert_all(records(projeto, 2..=2), Some(request("ana", "a", 2))).await.unwrap_err();
    assert!(matches!(reused, Error::IdempotencyKeyReused), "{reused:?}");
    let novo =
        ProjetoRecord { id: ProjetoId(id(7)), nome: super::nome_projeto("Novo"), descricao: None, criado_em: NOW };
    let reused = db.projetos.insert(novo, Some(request("ana", "a", 3))).await.unwrap_err();
    assert!(matches!(reused, Error::IdempotencyKeyReused), "{reused:?}");
    for (n, (usuario, key)) in (2..).zip([("rui", "a"), ("ana", "b"), ("ana", "A")]) {
        db.atividades.insert_all(records(projeto, n..=n), Some(request(usuario, key, 2))).await.unwrap();
    }

    assert_eq!((total(db).await, all(db).await.len()), (4, 1));
}

/// A day later a key is free again.
pub async fn a_key_is_forgotten_after_its_lifetime(db: &Repositories) {
    let projeto = given_projeto(db, 1, "Portal").await.id;
    let at = |n: u128, criado_em| vec![AtividadeRecord { criado_em, ..record(n, projeto) }];
    let almost = NOW + Idempotency::LIFETIME - time::Duration::MICROSECOND;
    db.atividades.insert_all(at(1, NOW), Some(request("ana", "a", 1))).await.unwrap();

    let again = db.atividades.insert_all(at(3, almost), Some(request("ana", "a", 1))).await.unwrap();
    let other =
        db.atividades.insert_all(at(4, NOW + Idempotency::LIFETIME), Some(request("ana", "a", 2))).await.unwrap();

    assert_eq!((again[0].id, other[0].id), (AtividadeId(id(1)), AtividadeId(id(4))));
}

/// However many send it at once, it happens once and all get the same answer.
pub async fn a_request_that_comes_at_once_happens_once(db: &Repositories) {
    let projeto = given_projeto(db, 1, "Portal").await.id;
    let calls = (1..=8).map(|n| db.atividades.insert_all(records(projeto, n..=n), Some(request("ana", "a", 1))));

    let ends = side_by_side(calls.collect()).await;

    let answers: Vec<_> = ends.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(total(db).await, 1);
}

/// The same holds for projetos.
pub async fn a_projeto_is_created_once(db: &Repositories) {
    let record = |n: u128, nome: &str| {
        let nome = super::nome_projeto(nome);
        ProjetoRecord { id: ProjetoId(id(n)), nome, descricao: None, criado_em: NOW }
    };
    let calls = (1..=8).map(|n| db.projetos.insert(record(n, "Portal"), Some(request("ana", "p", 1))));

    let ends = side_by_side(calls.collect()).await;

    let answers: Vec<_> = ends.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(all(db).await, answers[..1]);
    let reused = db.projetos.insert(record(9, "Outro"), Some(request("ana", "p", 2))).await.unwrap_err();
    assert!(matches!(reused, Error::IdempotencyKeyReused), "{reused:?}");
}
