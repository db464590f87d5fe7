//! Updates and deletions of an expected version (lost-update protection).

use super::{NOW, Repositories, given_atividade, given_projeto, join_all, later, nome_atividade, nome_projeto};
use crate::{AtividadeId, AtividadePatch, Error, ProjetoId, ProjetoPatch};

/// The first update of a version succeeds, later ones fail.
pub async fn update_of_another_version_is_a_mismatch(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let renamed = |nome, expected| AtividadePatch {
        nome: Some(nome_atividade(nome)),
        expected: Some(expected),
        ..AtividadePatch::default()
    };

    let changed = db.atividades.update(atividade.id, renamed("B", NOW), later(1)).await.unwrap().unwrap();
    for stale in [renamed("C", NOW), renamed("B", NOW)] {
        let error = db.atividades.update(atividade.id, stale, later(2)).await.unwrap_err();
        assert!(matches!(error, Error::VersionMismatch), "{error:?}");
    }

    assert_eq!(db.atividades.find(atividade.id).await.unwrap(), Some(changed.clone()));
    let same = db.atividades.update(atividade.id, renamed("B", changed.atualizado_em), later(3)).await.unwrap();
    assert_eq!(same, Some(changed));
    let unknown = db.atividades.update(AtividadeId(super::id(9)), renamed("C", NOW), later(2)).await.unwrap();
    assert_eq!(unknown, None);
}

/// One of several concurrent updates succeeds.
pub async fn concurrent_updates_of_one_version_apply_once(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let calls = (0..8).map(|n| {
        let nome = Some(nome_atividade(&format!("Nome {n}")));
        let patch = AtividadePatch { nome, expected: Some(NOW), ..AtividadePatch::default() };
        db.atividades.update(atividade.id, patch, later(1))
    });

    let results = join_all(calls.collect()).await;

    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    assert!(results.iter().all(|result| matches!(result, Ok(Some(_)) | Err(Error::VersionMismatch))), "{results:?}");
}

/// An atividade of another version is not deleted.
pub async fn delete_of_another_version_is_a_mismatch(db: &Repositories) {
    let atividade = given_atividade(db).await;

    let error = db.atividades.delete(atividade.id, Some(later(1))).await.unwrap_err();

    assert!(matches!(error, Error::VersionMismatch), "{error:?}");
    assert!(db.atividades.delete(atividade.id, Some(NOW)).await.unwrap());
    assert!(!db.atividades.delete(atividade.id, Some(NOW)).await.unwrap());
}

/// The same for projetos.
pub async fn projeto_change_of_another_version_is_a_mismatch(db: &Repositories) {
    let projeto = given_projeto(db, 1, "Portal").await;
    let renamed = |nome, expected| ProjetoPatch {
        nome: Some(nome_projeto(nome)),
        expected: Some(expected),
        ..ProjetoPatch::default()
    };

    let changed = db.projetos.update(projeto.id, renamed("B", NOW), later(1)).await.unwrap().unwrap();
    for stale in [renamed("C", NOW), renamed("B", NOW)] {
        let error = db.projetos.update(projeto.id, stale, later(2)).await.unwrap_err();
        assert!(matches!(error, Error::VersionMismatch), "{error:?}");
    }
    let error = db.projetos.delete(projeto.id, Some(NOW)).await.unwrap_err();
    assert!(matches!(error, Error::VersionMismatch), "{error:?}");

    assert_eq!(db.projetos.find(projeto.id).await.unwrap(), Some(changed.clone()));
    assert_eq!(db.projetos.update(ProjetoId(super::id(9)), renamed("C", NOW), later(2)).await.unwrap(), None);
    assert!(db.projetos.delete(projeto.id, Some(changed.atualizado_em)).await.unwrap());
    assert!(!db.projetos.delete(projeto.id, Some(changed.atualizado_em)).await.unwrap());
}
