//! Updates of atividades.

use time::Duration;

use super::atividades::assert_unknown_projeto;
use super::{NOW, Repositories, given_atividade, given_projeto, id, join_all, later, nome_atividade, nome_projeto};
use crate::{Atividade, AtividadeId, AtividadePatch, Descricao, Patch, ProjetoId, ProjetoRef};

fn descricao(text: &str) -> Descricao {
    Descricao::parse(text.to_owned()).unwrap()
}

fn patch() -> AtividadePatch {
    AtividadePatch::default()
}

/// Asserts that `update` returns `expected`, and that `find` returns it too.
async fn assert_update(db: &Repositories, patch: AtividadePatch, seconds: i64, expected: &Atividade) {
    let updated = db.atividades.update(expected.id, patch.clone(), later(seconds)).await.unwrap();

    assert_eq!(updated.as_ref(), Some(expected), "{patch:?}");
    assert_eq!(db.atividades.find(expected.id).await.unwrap().as_ref(), Some(expected), "{patch:?}");
}

/// A patch with one field changes that field, `atualizado_em`, and no other atividade.
pub async fn update_of_one_field_changes_only_that_field(db: &Repositories) {
    let mut expected = given_atividade(db).await;
    let other = db.atividades.insert(super::record(2, expected.id_projeto)).await.unwrap();
    let outro = given_projeto(db, 2, "Outro").await;
    let azure = db.projetos.store_remote(crate::testing::remote_projeto(1, "Azure"), NOW).await.unwrap();

    (expected.nome, expected.atualizado_em) = (nome_atividade("Novo nome"), later(1));
    assert_update(db, AtividadePatch { nome: Some(expected.nome.clone()), ..patch() }, 1, &expected).await;
    (expected.descricao, expected.atualizado_em) = (Some(descricao("Mais")), later(2));
    assert_update(db, AtividadePatch { descricao: Patch::Value(descricao("Mais")), ..patch() }, 2, &expected).await;
    (expected.descricao, expected.atualizado_em) = (None, later(3));
    assert_update(db, AtividadePatch { descricao: Patch::Null, ..patch() }, 3, &expected).await;
    (expected.ativo, expected.atualizado_em) = (false, later(4));
    assert_update(db, AtividadePatch { ativo: Some(false), ..patch() }, 4, &expected).await;
    for (projeto, seconds) in [(outro, 5), (azure, 6)] {
        (expected.id_projeto, expected.nome_projeto) = (projeto.id, projeto.nome);
        expected.atualizado_em = later(seconds);
        let patch = AtividadePatch { projetos: Some(ProjetoRef(projeto.id.0).into()), ..patch() };
        assert_update(db, patch, seconds, &expected).await;
    }
    assert_eq!(db.atividades.find(other.id).await.unwrap(), Some(other));
}

/// Author and `criado_em` do not change.
pub async fn update_of_all_fields_changes_them_all(db: &Repositories) {
    let before = given_atividade(db).await;
    let outro = given_projeto(db, 2, "Outro").await;
    let patch = AtividadePatch {
        nome: Some(nome_atividade("Tudo novo")),
        descricao: Patch::Value(descricao("Texto")),
        ativo: Some(false),
        projetos: Some(ProjetoRef(outro.id.0).into()),
        expected: None,
    };

    let expected = Atividade {
        nome: nome_atividade("Tudo novo"),
        descricao: Some(descricao("Texto")),
        ativo: false,
        id_projeto: outro.id,
        nome_projeto: nome_projeto("Outro"),
        atualizado_em: later(1),
        ..before
    };
    assert_update(db, patch, 1, &expected).await;
}

/// NULL to an empty text and back are both changes.
pub async fn update_to_empty_descricao_differs_from_null(db: &Repositories) {
    let mut expected = given_atividade(db).await;

    (expected.descricao, expected.atualizado_em) = (Some(descricao("")), later(1));
    assert_update(db, AtividadePatch { descricao: Patch::Value(descricao("")), ..patch() }, 1, &expected).await;
    (expected.descricao, expected.atualizado_em) = (None, later(2));
    assert_update(db, AtividadePatch { descricao: Patch::Null, ..patch() }, 2, &expected).await;
}

/// One invalid field prevents the update of the others.
pub async fn update_with_unknown_projeto_changes_nothing(db: &Repositories) {
    let before = given_atividade(db).await;
    let alone = AtividadePatch { projetos: Some(ProjetoRef(id(99)).into()), ..patch() };
    let with_others = AtividadePatch {
        nome: Some(nome_atividade("Novo")),
        descricao: Patch::Value(descricao("Nova")),
        ativo: Some(false),
        ..alone.clone()
    };

    for patch in [alone, with_others] {
        let error = db.atividades.update(before.id, patch, later(1)).await.unwrap_err();

        assert_unknown_projeto(&error);
        assert_eq!(db.atividades.find(before.id).await.unwrap().as_ref(), Some(&before));
    }
}

/// A missing row takes precedence over an unknown projeto in the patch.
pub async fn update_unknown_id_returns_none(db: &Repositories) {
    let before = given_atividade(db).await;
    let unknown = AtividadeId(id(2));
    let patches = [
        patch(),
        AtividadePatch { nome: Some(nome_atividade("Novo")), ..patch() },
        AtividadePatch { projetos: Some(ProjetoRef(before.id_projeto.0).into()), ..patch() },
        AtividadePatch { projetos: Some(ProjetoRef(id(99)).into()), ..patch() },
    ];

    for patch in patches {
        assert_eq!(db.atividades.update(unknown, patch.clone(), later(1)).await.unwrap(), None, "{patch:?}");
    }
    assert_eq!(db.atividades.find(unknown).await.unwrap(), None);
    assert_eq!(db.atividades.find(before.id).await.unwrap(), Some(before));
}

/// An empty patch and a patch of equal values do not modify `atualizado_em`.
pub async fn update_with_equal_values_keeps_atualizado_em(db: &Repositories) {
    let mut expected = given_atividade(db).await;
    let same = |a: &Atividade| AtividadePatch {
        nome: Some(a.nome.clone()),
        descricao: a.descricao.clone().map_or(Patch::Null, Patch::Value),
        ativo: Some(a.ativo),
        projetos: Some(ProjetoRef(a.id_projeto.0).into()),
        expected: None,
    };

    assert_update(db, patch(), 1, &expected).await;
    assert_update(db, same(&expected), 2, &expected).await;
    (expected.descricao, expected.ativo, expected.atualizado_em) = (Some(descricao("Texto")), false, later(3));
    assert_update(db, same(&expected), 3, &expected).await;
    assert_update(db, same(&expected), 4, &expected).await;
    assert_update(db, patch(), 5, &expected).await;
}

/// If the clock does not advance, a change adds 1 µs.
pub async fn update_with_earlier_clock_increments_atualizado_em(db: &Repositories) {
    let mut expected = given_atividade(db).await;

    for (seconds, nome) in [(0, "Parado"), (-60, "Atrasado"), (-3600, "Muito atrasado")] {
        expected.nome = nome_atividade(nome);
        expected.atualizado_em += Duration::microseconds(1);
        assert_update(db, AtividadePatch { nome: Some(nome_atividade(nome)), ..patch() }, seconds, &expected).await;
    }
    assert_eq!(expected.atualizado_em, NOW + Duration::microseconds(3));
}

/// Each concurrent update advances `atualizado_em`.
pub async fn concurrent_updates_of_different_fields_are_all_applied(db: &Repositories) {
    let before = given_atividade(db).await;
    let outro = given_projeto(db, 2, "Outro").await;
    let patches = [
        AtividadePatch { nome: Some(nome_atividade("Novo")), ..patch() },
        AtividadePatch { descricao: Patch::Value(descricao("Nova")), ..patch() },
        AtividadePatch { ativo: Some(false), ..patch() },
        AtividadePatch { projetos: Some(ProjetoRef(outro.id.0).into()), ..patch() },
    ];

    let updates = patches.map(|patch| db.atividades.update(before.id, patch, NOW)).into();
    let mut times: Vec<_> =
        join_all(updates).await.into_iter().map(|result| result.unwrap().unwrap().atualizado_em).collect();

    times.sort_unstable();
    assert!(times.into_iter().eq((1..=4).map(|n| NOW + Duration::microseconds(n))));
    let expected = Atividade {
        nome: nome_atividade("Novo"),
        descricao: Some(descricao("Nova")),
        ativo: false,
        id_projeto: ProjetoId(outro.id.0),
        nome_projeto: outro.nome,
        atualizado_em: NOW + Duration::microseconds(4),
        ..before
    };
    assert_eq!(db.atividades.find(expected.id).await.unwrap(), Some(expected));
}
