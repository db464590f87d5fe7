//! Changes that hold for one version only, so that nobody overwrites what they have not seen.

use super::{NOW, Repositories, given_atividade, given_projeto, later, nome_atividade, nome_projeto, side_by_side};
use crate::{AtividadeId, AtividadePatch, Error, ProjetoId, ProjetoPatch};

/// An atividade changes while it is the one that is expected, and not any more afterwards.
pub async fn update_holds_for_the_expected_version_only(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let renamed = |nome, expected| AtividadePatch {
        nome: Some(nome_atividade(nome)),
        expected: Some(expected),
        ..AtividadePatch::default()
    };

    let changed = db.atividades.update(atividade.id, renamed("B", NOW), later(1)).await.unwrap().unwrap();
    for stale in [renamed("C", NOW), renamed("B", NOW)] {
        let refused = db.atividades.update(atividade.id, stale, later(2)).await.unwrap_err();
        assert!(matches!(refused, Error::VersionMismatch), "{refused:?}");
    }

    assert_eq!(db.atividades.find(atividade.id).await.unwrap(), Some(changed.clone()));
    let same = db.atividades.update(atividade.id, renamed("B", changed.atualizado_em), later(3)).await.unwrap();
    assert_eq!(same, Some(changed));
    let unknown = db.atividades.update(AtividadeId(super::id(9)), renamed("C", NOW), later(2)).await.unwrap();
    assert_eq!(unknown, None);
}

/// Of many that saw the same version one changes it.
pub async fn one_of_many_updates_of_a_version_holds(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let calls = (0..8).map(|n| {
        let nome = Some(nome_atividade(&format!("Nome {n}")));
        let patch = AtividadePatch { nome, expected: Some(NOW), ..AtividadePatch::default() };
        db.atividades.update(atividade.id, patch, later(1))
    });

    let ends = side_by_side(calls.collect()).await;

    assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 1, "{ends:?}");
    assert!(ends.iter().all(|end| matches!(end, Ok(Some(_)) | Err(Error::VersionMismatch))), "{ends:?}");
}

/// An atividade that is not the one that is expected stays.
pub async fn delete_holds_for_the_expected_version_only(db: &Repositories) {
    let atividade = given_atividade(db).await;

    let refused = db.atividades.delete(atividade.id, Some(later(1))).await.unwrap_err();

    assert!(matches!(refused, Error::VersionMismatch), "{refused:?}");
    assert!(db.atividades.delete(atividade.id, Some(NOW)).await.unwrap());
    assert!(!db.atividades.delete(atividade.id, Some(NOW)).await.unwrap());
}

/// The same holds for projetos.
pub async fn changes_of_a_projeto_hold_for_the_expected_version_only(db: &Repositories) {
    let projeto = given_projeto(db, 1, "Portal").await;
    let renamed = |nome, expected| ProjetoPatch {
        nome: Some(nome_projeto(nome)),
        expected: Some(expected),
        ..ProjetoPatch::default()
    };

    let changed = db.projetos.update(projeto.id, renamed("B", NOW), later(1)).await.unwrap().unwrap();
    for stale in [renamed("C", NOW), renamed("B", NOW)] {
        let refused = db.projetos.update(projeto.id, stale, later(2)).await.unwrap_err();
        assert!(matches!(refused, Error::VersionMismatch), "{refused:?}");
    }
    let refused = db.projetos.delete(projeto.id, Some(NOW)).await.unwrap_err();
    assert!(matches!(refused, Error::VersionMismatch), "{refused:?}");

    assert_eq!(db.projetos.find(projeto.id).await.unwrap(), Some(changed.clone()));
    assert_eq!(db.projetos.update(ProjetoId(super::id(9)), renamed("C", NOW), later(2)).await.unwrap(), None);
    assert!(db.projetos.delete(projeto.id, Some(changed.atualizado_em)).await.unwrap());
    assert!(!db.projetos.delete(projeto.id, Some(changed.atualizado_em)).await.unwrap());
}
