//! Bulk inserts and idempotency keys.

use super::atividades_list::{page, query};
use super::projetos::all;
use super::{NOW, Repositories, given_projeto, id, join_all, later, nome_atividade, record};
use crate::testing::remote_projeto;
use crate::{
    AtividadeId, AtividadeQuery, AtividadeRecord, Error, Idempotency, IdempotencyKey, NomeAtividade, NomeProjeto,
    ProjetoId, ProjetoPatch, ProjetoRecord, RemoteProjeto, Violation,
};

fn request(usuario: &str, key: &str, request: u8) -> Idempotency {
    let key = IdempotencyKey::parse(key).unwrap();
    Idempotency { usuario: usuario.to_owned(), key, request: [request; 32] }
}

/// Returns the records with these numbers, 1 µs apart.
fn records(projeto: ProjetoId, numbers: std::ops::RangeInclusive<u128>) -> Vec<AtividadeRecord> {
    let after = |n: u128| NOW + time::Duration::microseconds(i64::try_from(n).unwrap());
    numbers.map(|n| AtividadeRecord { criado_em: after(n), ..record(n, projeto) }).collect()
}

async fn total(db: &Repositories) -> u64 {
    page(db, AtividadeQuery::default()).await.1
}

/// A thousand rows are returned in order, each equal to the stored one.
pub async fn insert_all_returns_the_stored_rows_in_order(db: &Repositories) {
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

/// No character is lost at the ends of a name, also those that an escape sequence could represent.
pub async fn insert_all_of_names_with_any_outer_character_returns_them_unchanged(db: &Repositories) {
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

/// One unknown projeto prevents all inserts. Each invalid item is reported with its index.
pub async fn insert_all_with_unknown_projetos_inserts_none(db: &Repositories) {
    let projeto = given_projeto(db, 1, "Portal").await.id;
    let mut records = records(projeto, 1..=5);
    records[1] = AtividadeRecord { criado_em: records[1].criado_em, ..record(2, ProjetoId(id(98))) };
    records[4] = AtividadeRecord { criado_em: records[4].criado_em, ..record(5, ProjetoId(id(99))) };

    for idempotency in [None, Some(request("ana", "a", 1))] {
        let error = db.atividades.insert_all(records.clone(), idempotency).await.unwrap_err();
        let Error::Invalid(fields) = &error else { panic!("{error:?}") };
        let reported: Vec<_> = fields.iter().map(|field| (field.item, field.field, field.violation)).collect();
        let invalid = |item| (Some(item), "id_projeto", Violation::UnknownProjeto);
        assert_eq!(reported, [invalid(1), invalid(4)]);
    }
    assert_eq!(total(db).await, 0);
    // A rejected request does not use up its key.
    records.truncate(1);
    db.atividades.insert_all(records, Some(request("ana", "a", 2))).await.unwrap();
    assert_eq!(total(db).await, 1);
}

/// The first result is returned even after its rows were changed or deleted.
pub async fn insert_all_with_repeated_key_returns_the_first_result(db: &Repositories) {
    let projeto = given_projeto(db, 1, "Portal").await.id;
    let first = db.atividades.insert_all(records(projeto, 1..=2), Some(request("ana", "a", 1))).await.unwrap();
    db.atividades.delete(first[0].id, None).await.unwrap();
    let patch = ProjetoPatch { nome: Some(super::nome_projeto("Outro")), ..ProjetoPatch::default() };
    db.projetos.update(projeto, patch, later(1)).await.unwrap();

    let again = db.atividades.insert_all(records(projeto, 3..=4), Some(request("ana", "a", 1))).await.unwrap();

    assert_eq!(again, first);
    assert_eq!(total(db).await, 1);
}

/// Keys are scoped to a user. Within that scope each belongs to one request.
pub async fn idempotency_key_of_another_request_is_rejected(db: &Repositories) {
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

/// An expired key can be used for another request.
pub async fn idempotency_key_expires_after_its_lifetime(db: &Repositories) {
    let projeto = given_projeto(db, 1, "Portal").await.id;
    let at = |n: u128, criado_em| vec![AtividadeRecord { criado_em, ..record(n, projeto) }];
    let almost = NOW + Idempotency::LIFETIME - time::Duration::MICROSECOND;
    db.atividades.insert_all(at(1, NOW), Some(request("ana", "a", 1))).await.unwrap();

    let again = db.atividades.insert_all(at(3, almost), Some(request("ana", "a", 1))).await.unwrap();
    let other =
        db.atividades.insert_all(at(4, NOW + Idempotency::LIFETIME), Some(request("ana", "a", 2))).await.unwrap();

    assert_eq!((again[0].id, other[0].id), (AtividadeId(id(1)), AtividadeId(id(4))));
}

/// All concurrent calls return the same result.
pub async fn concurrent_insert_all_with_one_key_inserts_once(db: &Repositories) {
    let projeto = given_projeto(db, 1, "Portal").await.id;
    let calls = (1..=8).map(|n| db.atividades.insert_all(records(projeto, n..=n), Some(request("ana", "a", 1))));

    let results = join_all(calls.collect()).await;

    let results: Vec<_> = results.into_iter().map(Result::unwrap).collect();
    assert!(results.iter().all(|result| *result == results[0]), "{results:?}");
    assert_eq!(total(db).await, 1);
}

/// The same for projetos.
pub async fn concurrent_projeto_inserts_with_one_key_insert_once(db: &Repositories) {
    let record = |n: u128, nome: &str| {
        let nome = super::nome_projeto(nome);
        ProjetoRecord { id: ProjetoId(id(n)), nome, descricao: None, criado_em: NOW }
    };
    let calls = (1..=8).map(|n| db.projetos.insert(record(n, "Portal"), Some(request("ana", "p", 1))));

    let results = join_all(calls.collect()).await;

    let results: Vec<_> = results.into_iter().map(Result::unwrap).collect();
    assert!(results.iter().all(|result| *result == results[0]), "{results:?}");
    assert_eq!(all(db).await, results[..1]);
    let reused = db.projetos.insert(record(9, "Outro"), Some(request("ana", "p", 2))).await.unwrap_err();
    assert!(matches!(reused, Error::IdempotencyKeyReused), "{reused:?}");
}
