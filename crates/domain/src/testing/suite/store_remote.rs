//! Storing one project of Azure DevOps.

use super::projetos::all;
use super::sync::{created, synchronize, two_projects};
use super::{NOW, Repositories, given_atividade, id, join_all, later, nome_projeto};
use crate::testing::remote_projeto;
use crate::{Projeto, ProjetoId, RemoteProjeto};

/// One project is created, updated, and restored from `deleted`, as `synchronize` does.
pub async fn store_remote_creates_then_updates(db: &Repositories) {
    for remote in two_projects() {
        let stored = db.projetos.store_remote(remote.clone(), NOW).await.unwrap();

        assert_eq!(stored, created(&remote, 0));
        assert_eq!(db.projetos.find(stored.id).await.unwrap(), Some(stored));
    }

    let [alfa, beta] = two_projects();
    let new = RemoteProjeto { nome: nome_projeto("Novo"), descricao: None, url: None, estado: None, ..alfa.clone() };
    let stored = db.projetos.store_remote(new.clone(), later(1)).await.unwrap();
    assert_eq!(stored, Projeto { criado_em: NOW, ..created(&new, 1) });
    synchronize(db, std::slice::from_ref(&beta), 2).await;
    let stored = db.projetos.store_remote(alfa.clone(), later(3)).await.unwrap();
    assert_eq!(stored, Projeto { criado_em: NOW, ..created(&alfa, 3) });
    assert_eq!(all(db).await, [stored, created(&beta, 0)]);
}

/// An unchanged project is returned without a write.
pub async fn store_remote_equal_project_writes_nothing(db: &Repositories) {
    for remote in two_projects() {
        db.projetos.store_remote(remote.clone(), NOW).await.unwrap();

        assert_eq!(db.projetos.store_remote(remote.clone(), later(1)).await.unwrap(), created(&remote, 0));
    }
    assert_eq!(all(db).await, two_projects().map(|remote| created(&remote, 0)));
}

/// No other projeto and no atividade changes.
pub async fn store_remote_keeps_other_rows(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let [alfa, beta] = two_projects();
    db.projetos.store_remote(alfa, NOW).await.unwrap();
    let before = all(db).await;

    let stored = db.projetos.store_remote(beta, later(1)).await.unwrap();

    assert_eq!(all(db).await.into_iter().filter(|p| p.id != stored.id).collect::<Vec<_>>(), before);
    assert_eq!(db.projetos.find(ProjetoId(id(1))).await.unwrap().map(|p| p.id), Some(atividade.id_projeto));
    assert_eq!(db.atividades.find(atividade.id).await.unwrap(), Some(atividade));
}

/// Concurrent calls for one new project all return the same row.
pub async fn concurrent_store_remote_creates_one(db: &Repositories) {
    let remote = remote_projeto(1, "Alfa");

    let calls = (0..6).map(|n| db.projetos.store_remote(remote.clone(), later(n))).collect();
    let stored: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();

    let one = all(db).await;
    assert_eq!(one.len(), 1);
    assert!(stored.iter().all(|projeto| *projeto == one[0]), "{stored:?}");
}
