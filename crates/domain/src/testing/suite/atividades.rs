//! Storing, finding and deleting atividades.

use time::UtcOffset;
use time::macros::datetime;

use super::{NOMES, NOW, Repositories, given_atividade, given_projeto, id, later, nome_projeto, record};
use crate::testing::{nome_atividade, remote_projeto};
use crate::{
    Atividade, AtividadeId, AtividadeQuery, AtividadeRecord, Descricao, Error, InvalidField, ProjetoId, ProjetoPatch,
    ProjetoRef, Violation,
};

/// Every field of the result equals the stored one.
pub async fn insert_returns_the_row_that_find_and_list_return(db: &Repositories) {
    let projeto = given_projeto(db, 1, "Portal").await;
    let descricao = Descricao::parse("Com o cliente".to_owned()).unwrap();
    let record = AtividadeRecord {
        id: AtividadeId(id(7)),
        nome: nome_atividade("Revisar contrato"),
        descricao: Some(descricao.clone()),
        ativo: false,
        projetos: ProjetoRef(projeto.id.0).into(),
        criado_por: "maria@exemplo.br".to_owned(),
        criado_em: NOW,
    };

    let stored = db.atividades.insert(record).await.unwrap();

    let expected = Atividade {
        id: AtividadeId(id(7)),
        nome: nome_atividade("Revisar contrato"),
        descricao: Some(descricao),
        ativo: false,
        id_projeto: projeto.id,
        nome_projeto: nome_projeto("Portal"),
        outros_projetos: vec![],
        criado_por: Some("maria@exemplo.br".to_owned()),
        criado_em: NOW,
        atualizado_em: NOW,
    };
    assert_eq!(stored, expected);
    assert_eq!(db.atividades.find(stored.id).await.unwrap(), Some(expected.clone()));
    assert_eq!(db.atividades.list(AtividadeQuery::default()).await.unwrap().items, [expected]);
}

/// An atividade can belong to a project of Azure DevOps.
pub async fn insert_into_azure_projeto_returns_its_name(db: &Repositories) {
    let projeto = db.projetos.store_remote(remote_projeto(1, "Do Azure"), NOW).await.unwrap();

    let stored = db.atividades.insert(record(1, projeto.id)).await.unwrap();

    assert_eq!((stored.id_projeto, stored.nome_projeto), (projeto.id, nome_projeto("Do Azure")));
}

/// An atividade without an existing projeto is not stored.
pub async fn insert_with_unknown_projeto_is_invalid(db: &Repositories) {
    given_projeto(db, 1, "Portal").await;

    let error = db.atividades.insert(record(1, ProjetoId(id(2)))).await.unwrap_err();

    assert_unknown_projeto(&error);
    assert_eq!(db.atividades.list(AtividadeQuery::default()).await.unwrap().total, 0);
}

/// Asserts that `error` is `UnknownProjeto` on `id_projeto` only.
pub(super) fn assert_unknown_projeto(error: &Error) {
    let expected = InvalidField { item: None, field: "id_projeto", index: None, violation: Violation::UnknownProjeto };
    assert!(matches!(error, Error::Invalid(fields) if *fields == [expected]), "{error:?}");
}

/// Another row is not returned instead.
pub async fn find_unknown_id_returns_none(db: &Repositories) {
    given_atividade(db).await;

    assert_eq!(db.atividades.find(AtividadeId(id(2))).await.unwrap(), None);
}

/// Names, descriptions and authors are returned exactly as they were stored.
pub async fn insert_of_any_text_returns_it_unchanged(db: &Repositories) {
    let projeto = given_projeto(db, 1, "Portal").await;
    let crabs = "🦀".repeat(255);
    let large = "ç".repeat(Descricao::MAX_BYTES / 2);
    let descricoes = [String::new(), "  \n\t ".to_owned(), "é\\'\"%_\u{1}\u{7f}\u{10ffff}".to_owned(), large];
    let nomes = NOMES.iter().copied().chain([crabs.as_str()]);

    for (n, (nome, descricao)) in (0..).zip(nomes.zip(descricoes.iter().cycle())) {
        let written = AtividadeRecord {
            nome: nome_atividade(nome),
            descricao: Some(Descricao::from_stored(descricao.clone()).unwrap()),
            criado_por: nome.to_owned(),
            ..record(n, projeto.id)
        };
        let stored = db.atividades.insert(written.clone()).await.unwrap();

        assert_eq!((&stored.nome, &stored.descricao), (&written.nome, &written.descricao));
        assert_eq!(stored.criado_por, Some(written.criado_por));
        assert_eq!(db.atividades.find(stored.id).await.unwrap(), Some(stored));
    }
}

/// Times are returned in UTC, before and after 1970 and 2000, up to the year 9999.
pub async fn insert_of_any_time_keeps_the_microsecond(db: &Repositories) {
    let projeto = given_projeto(db, 1, "Portal").await;
    let times = [
        datetime!(1969-12-31 23:59:59.999999 UTC),
        datetime!(1970-01-01 00:00:00 UTC),
        datetime!(1999-12-31 23:59:59.999999 UTC),
        datetime!(2000-01-01 00:00:00.000001 UTC),
        datetime!(2026-01-12 16:00:00.1 UTC),
        datetime!(2026-01-12 16:00:00.100001 UTC),
        datetime!(9999-12-31 23:59:59.999999 UTC),
    ];

    for (n, time) in (0..).zip(times) {
        let stored = db.atividades.insert(AtividadeRecord { criado_em: time, ..record(n, projeto.id) }).await.unwrap();

        assert_eq!((stored.criado_em, stored.atualizado_em), (time, time));
        assert_eq!(stored.criado_em.offset(), UtcOffset::UTC);
        assert_eq!(db.atividades.find(stored.id).await.unwrap(), Some(stored));
    }
    let listed = db.atividades.list(AtividadeQuery::default()).await.unwrap().items;
    assert!(listed.iter().map(|a| a.criado_em).eq(times.into_iter().rev()), "newest first: {listed:?}");
}

/// A deleted row is not found; other rows stay.
pub async fn delete_twice_returns_true_then_false(db: &Repositories) {
    let deleted = given_atividade(db).await;
    let other = db.atividades.insert(record(2, deleted.id_projeto)).await.unwrap();

    assert!(db.atividades.delete(deleted.id, None).await.unwrap());

    assert!(!db.atividades.delete(deleted.id, None).await.unwrap());
    assert_eq!(db.atividades.find(deleted.id).await.unwrap(), None);
    assert_eq!(db.atividades.list(AtividadeQuery::default()).await.unwrap().items, [other]);
}

/// The name of the projeto is joined, not copied. No other field of the atividade changes.
pub async fn find_after_renamed_projeto_returns_its_new_name(db: &Repositories) {
    let before = given_atividade(db).await;

    let patch = ProjetoPatch { nome: Some(nome_projeto("Portal novo")), ..ProjetoPatch::default() };
    db.projetos.update(before.id_projeto, patch, later(1)).await.unwrap();

    let expected = Atividade { nome_projeto: nome_projeto("Portal novo"), ..before };
    assert_eq!(db.atividades.find(expected.id).await.unwrap(), Some(expected.clone()));
    assert_eq!(db.atividades.list(AtividadeQuery::default()).await.unwrap().items, [expected]);
}
