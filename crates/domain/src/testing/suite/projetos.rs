//! Inserting, finding, updating and deleting local projetos.

use time::Duration;

use super::{NOMES, NOW, Repositories, given_atividade, given_projeto, id, later, nome_projeto};
use crate::testing::remote_projeto;
use crate::{Conflict, Cursor, Descricao, Error, Patch, Projeto, ProjetoId, ProjetoPatch, ProjetoQuery, ProjetoRecord};

fn descricao(text: &str) -> Descricao {
    Descricao::from_stored(text.to_owned()).unwrap()
}

fn patch() -> ProjetoPatch {
    ProjetoPatch::default()
}

/// Returns all projetos, ordered by id.
pub(super) async fn all(db: &Repositories) -> Vec<Projeto> {
    let mut projetos = Vec::new();
    let mut query = ProjetoQuery::default();
    loop {
        let items = db.projetos.list(query.clone()).await.unwrap().items;
        let Some(last) = items.last() else { break };
        query.apos = Some(Cursor::of(last, ()));
        projetos.extend(items);
    }
    projetos.sort_by_key(|p| p.id);
    projetos
}

/// Asserts that `update` returns `expected`, and that `find` returns it too.
async fn assert_update(db: &Repositories, patch: ProjetoPatch, seconds: i64, expected: &Projeto) {
    let updated = db.projetos.update(expected.id, patch.clone(), later(seconds)).await.unwrap();

    assert_eq!(updated.as_ref(), Some(expected), "{patch:?}");
    assert_eq!(db.projetos.find(expected.id).await.unwrap().as_ref(), Some(expected), "{patch:?}");
}

/// Every field of the result equals the stored one, and the fields of Azure DevOps are empty.
pub async fn projeto_insert_returns_the_row_that_find_and_list_return(db: &Repositories) {
    let record = ProjetoRecord {
        id: ProjetoId(id(7)),
        nome: nome_projeto("Interno"),
        descricao: Some(descricao("Só daqui")),
        criado_em: NOW,
    };

    let stored = db.projetos.insert(record, None).await.unwrap();

    let expected = Projeto {
        id: ProjetoId(id(7)),
        nome: nome_projeto("Interno"),
        descricao: Some(descricao("Só daqui")),
        azure_project_id: None,
        url: None,
        estado: None,
        sincronizado_em: None,
        criado_em: NOW,
        atualizado_em: NOW,
    };
    assert_eq!(stored, expected);
    assert_eq!(db.projetos.find(stored.id).await.unwrap(), Some(expected.clone()));
    assert_eq!(all(db).await, [expected]);
}

/// Another row is not returned instead.
pub async fn projeto_find_unknown_id_returns_none(db: &Repositories) {
    given_projeto(db, 1, "Portal").await;

    assert_eq!(db.projetos.find(ProjetoId(id(2))).await.unwrap(), None);
}

/// Projetos with equal names are all returned.
pub async fn projeto_list_returns_local_and_azure_projetos(db: &Repositories) {
    assert_eq!(all(db).await, []);
    let mut stored = vec![db.projetos.store_remote(remote_projeto(1, "Portal"), NOW).await.unwrap()];
    for (n, nome) in [(1, "Portal"), (2, "Portal"), (3, "Outro")] {
        stored.push(given_projeto(db, n, nome).await);
    }

    stored.sort_by_key(|p| p.id);
    assert_eq!(all(db).await, stored);
}

/// Names and descriptions are returned exactly as they were stored, also after a synchronisation.
pub async fn projeto_of_any_text_is_returned_unchanged(db: &Repositories) {
    let crabs = "🦀".repeat(255);
    let large = "ç".repeat(Descricao::MAX_BYTES / 2);
    let descricoes = ["", "  \n\t ", "é\\'\"%_\u{1}\u{7f}\u{10ffff}", &large, "{\"a\":[1]}", "{a,NULL,\"b\"}"];

    for (n, nome) in (0..).zip(NOMES.iter().copied().chain([crabs.as_str()])) {
        let texto = descricoes[n as usize % descricoes.len()];
        let (nome, descricao) = (nome_projeto(nome), Some(descricao(texto)));
        let record = ProjetoRecord { nome: nome.clone(), descricao: descricao.clone(), ..local(n) };
        let mut remote = remote_projeto(n, nome.as_str());
        (remote.descricao, remote.url) = (descricao.clone(), Some(texto.to_owned()));

        let here = db.projetos.insert(record, None).await.unwrap();
        let azure = db.projetos.store_remote(remote.clone(), NOW).await.unwrap();
        remote.estado = Some(nome.as_str().to_owned());
        db.projetos.synchronize(vec![remote.clone()], vec![], later(1)).await.unwrap();

        assert_eq!((&here.nome, &here.descricao), (&nome, &descricao));
        assert_eq!((&azure.nome, &azure.descricao, &azure.url), (&nome, &descricao, &remote.url));
        assert_eq!(db.projetos.find(here.id).await.unwrap(), Some(here));
        let synchronized = db.projetos.find(azure.id).await.unwrap().unwrap();
        assert_eq!((synchronized.nome, synchronized.descricao), (nome, descricao));
        assert_eq!((synchronized.url, synchronized.estado), (remote.url, remote.estado));
    }
}

fn local(n: u32) -> ProjetoRecord {
    let nome = nome_projeto(&format!("Projeto {n}"));
    ProjetoRecord { id: ProjetoId(id(n.into())), nome, descricao: None, criado_em: NOW }
}

/// A patch with one field changes that field, `atualizado_em`, and no other projeto.
pub async fn projeto_update_of_one_field_changes_only_that_field(db: &Repositories) {
    let mut expected = given_projeto(db, 1, "Portal").await;
    let other = given_projeto(db, 2, "Outro").await;

    (expected.nome, expected.atualizado_em) = (nome_projeto("Portal novo"), later(1));
    assert_update(db, ProjetoPatch { nome: Some(expected.nome.clone()), ..patch() }, 1, &expected).await;
    (expected.descricao, expected.atualizado_em) = (Some(descricao("")), later(2));
    assert_update(db, ProjetoPatch { descricao: Patch::Value(descricao("")), ..patch() }, 2, &expected).await;
    (expected.descricao, expected.atualizado_em) = (None, later(3));
    assert_update(db, ProjetoPatch { descricao: Patch::Null, ..patch() }, 3, &expected).await;
    (expected.nome, expected.descricao) = (nome_projeto("Tudo novo"), Some(descricao("Texto")));
    expected.atualizado_em = later(4);
    let both = ProjetoPatch {
        nome: Some(nome_projeto("Tudo novo")),
        descricao: Patch::Value(descricao("Texto")),
        ..ProjetoPatch::default()
    };
    assert_update(db, both, 4, &expected).await;
    assert_eq!(db.projetos.find(other.id).await.unwrap(), Some(other));
}

/// An empty and a non-empty patch both return `None`.
pub async fn projeto_update_unknown_id_returns_none(db: &Repositories) {
    given_projeto(db, 1, "Portal").await;

    for patch in [patch(), ProjetoPatch { nome: Some(nome_projeto("Novo")), ..patch() }] {
        assert_eq!(db.projetos.update(ProjetoId(id(2)), patch, later(1)).await.unwrap(), None);
    }
}

/// An empty patch and a patch of equal values do not modify `atualizado_em`.
pub async fn projeto_update_with_equal_values_keeps_atualizado_em(db: &Repositories) {
    let mut expected = given_projeto(db, 1, "Portal").await;
    let nome = Some(nome_projeto("Portal"));
    let with_text =
        ProjetoPatch { nome: nome.clone(), descricao: Patch::Value(descricao("Texto")), ..ProjetoPatch::default() };

    assert_update(db, patch(), 1, &expected).await;
    assert_update(db, ProjetoPatch { nome, descricao: Patch::Null, ..ProjetoPatch::default() }, 2, &expected).await;
    (expected.descricao, expected.atualizado_em) = (Some(descricao("Texto")), later(3));
    assert_update(db, with_text.clone(), 3, &expected).await;
    assert_update(db, with_text, 4, &expected).await;
    assert_update(db, patch(), 5, &expected).await;
}

/// If the clock does not advance, a change adds 1 µs.
pub async fn projeto_update_with_earlier_clock_increments_atualizado_em(db: &Repositories) {
    let mut expected = given_projeto(db, 1, "Portal").await;

    for (seconds, nome) in [(0, "Parado"), (-60, "Atrasado")] {
        expected.nome = nome_projeto(nome);
        expected.atualizado_em += Duration::microseconds(1);
        assert_update(db, ProjetoPatch { nome: Some(nome_projeto(nome)), ..patch() }, seconds, &expected).await;
    }
}

/// A project of Azure DevOps is read-only, also for a patch without changes and after it is no longer listed.
pub async fn projeto_update_of_azure_projeto_is_a_conflict(db: &Repositories) {
    db.projetos.store_remote(remote_projeto(1, "Azure"), NOW).await.unwrap();
    db.projetos.synchronize(vec![remote_projeto(2, "Azure")], vec![], NOW).await.unwrap();
    let patches = [
        patch(),
        ProjetoPatch { nome: Some(nome_projeto("Azure")), ..patch() },
        ProjetoPatch {
            nome: Some(nome_projeto("Novo")),
            descricao: Patch::Value(descricao("Nova")),
            ..ProjetoPatch::default()
        },
    ];

    for before in all(db).await {
        for patch in patches.clone() {
            let error = db.projetos.update(before.id, patch, later(1)).await.unwrap_err();

            assert!(matches!(error, Error::Conflict(Conflict::ProjetoDoAzure)), "{error:?}");
            assert_eq!(db.projetos.find(before.id).await.unwrap().as_ref(), Some(&before));
        }
    }
}

/// A deleted row is not found; other rows stay.
pub async fn projeto_delete_twice_returns_true_then_false(db: &Repositories) {
    let deleted = given_projeto(db, 1, "Portal").await;
    let other = given_projeto(db, 2, "Outro").await;

    assert!(db.projetos.delete(deleted.id, None).await.unwrap());

    assert!(!db.projetos.delete(deleted.id, None).await.unwrap());
    assert_eq!(db.projetos.find(deleted.id).await.unwrap(), None);
    assert_eq!(all(db).await, [other]);
}

/// A project of Azure DevOps cannot be deleted, with or without atividades, also after it is no longer listed.
pub async fn projeto_delete_of_azure_projeto_is_a_conflict(db: &Repositories) {
    let with_atividade = db.projetos.store_remote(remote_projeto(1, "Azure"), NOW).await.unwrap();
    db.atividades.insert(super::record(1, with_atividade.id)).await.unwrap();
    db.projetos.store_remote(remote_projeto(2, "Azure"), NOW).await.unwrap();
    db.projetos.synchronize(vec![remote_projeto(3, "Azure")], vec![], NOW).await.unwrap();

    let before = all(db).await;
    for projeto in &before {
        let error = db.projetos.delete(projeto.id, None).await.unwrap_err();

        assert!(matches!(error, Error::Conflict(Conflict::ProjetoDoAzure)), "{error:?}");
    }
    assert_eq!(all(db).await, before);
}

/// A projeto can be deleted after its last atividade.
pub async fn projeto_delete_with_atividades_is_a_conflict(db: &Repositories) {
    let atividade = given_atividade(db).await;

    let error = db.projetos.delete(atividade.id_projeto, None).await.unwrap_err();

    assert!(matches!(error, Error::Conflict(Conflict::ProjetoComAtividades)), "{error:?}");
    assert_eq!(db.atividades.find(atividade.id).await.unwrap(), Some(atividade.clone()));
    db.atividades.delete(atividade.id, None).await.unwrap();
    assert!(db.projetos.delete(atividade.id_projeto, None).await.unwrap());
}
