//! Storing, finding, changing and deleting time entries.

use time::macros::date;

use super::{NOMES, NOW, Repositories, given_atividade, given_projeto, id, join_all, later, nome_projeto, record};
use crate::testing::{apontamento_record, remote_projeto};
use crate::{
    Apontamento, ApontamentoId, ApontamentoPatch, ApontamentoQuery, ApontamentoRecord, Atividade, AtividadeId,
    AtividadePatch, AtividadeRecord, Comentario, Conflict, Error, Escrita, Idempotency, IdempotencyKey, Minutos, Patch,
    ProjetoId, ProjetoPatch, ProjetoRef, Refusal, RefusalReason, Usuario, WorkItemId, WorkItemVisto,
};

pub(super) fn minutos(minutes: u16) -> Minutos {
    Minutos::from_stored(minutes.into()).unwrap()
}

/// Returns the record of entry number `n`: 10 minutes of Maria in `atividade`, a second after the one before.
pub(super) fn entry(n: u128, atividade: &Atividade) -> ApontamentoRecord {
    ApontamentoRecord {
        id: ApontamentoId(id(n)),
        projeto: ProjetoRef(atividade.id_projeto.0),
        atividade: atividade.id,
        criado_em: later(i64::try_from(n).unwrap()),
        ..apontamento_record(10)
    }
}

/// Inserts entries.
pub(super) async fn given(db: &Repositories, records: Vec<ApontamentoRecord>) -> Vec<Apontamento> {
    db.apontamentos.insert_all(records, None).await.unwrap()
}

pub(super) async fn given_one(db: &Repositories) -> Apontamento {
    let atividade = given_atividade(db).await;
    given(db, vec![entry(1, &atividade)]).await.remove(0)
}

pub(super) fn reasons(error: Error) -> Vec<(Option<usize>, RefusalReason)> {
    let Error::Refused(refusals) = error else { panic!("{error:?}") };
    refusals.into_iter().map(|Refusal { item, reason }| (item, reason)).collect()
}

async fn all(db: &Repositories) -> Vec<Apontamento> {
    db.apontamentos.list(ApontamentoQuery::default()).await.unwrap().items
}

fn patch() -> ApontamentoPatch {
    ApontamentoPatch::default()
}

fn comentario(text: &str) -> Comentario {
    Comentario::parse(text.to_owned()).unwrap().unwrap()
}

fn once(request: u8) -> Idempotency {
    Idempotency { usuario: "ana".to_owned(), key: IdempotencyKey::parse("a").unwrap(), request: [request; 32] }
}

/// Every field of the result equals the stored one.
pub async fn apontamento_insert_returns_the_row_that_find_and_list_return(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let outro = given_projeto(db, 9, "Outro").await;
    let visto = WorkItemVisto { titulo: "Tela".to_owned(), tipo: "Bug".to_owned() };
    let record = ApontamentoRecord {
        id: ApontamentoId(id(7)),
        work_item: WorkItemId::new(2_147_483_647).unwrap(),
        work_item_visto: Some(visto.clone()),
        verificado: true,
        projeto: ProjetoRef(outro.id.0),
        organizacao: "Exemplo".to_owned(),
        data: date!(2024 - 02 - 29),
        minutos: minutos(1440),
        atividade: atividade.id,
        comentario: Some(comentario("Com o cliente")),
        usuario: Usuario { id: "rui".to_owned(), display_name: "Rui Sá".to_owned(), email: None },
        criado_em: NOW,
    };

    let stored = given(db, vec![record]).await;

    let expected = Apontamento {
        id: ApontamentoId(id(7)),
        work_item: WorkItemId::new(2_147_483_647).unwrap(),
        work_item_visto: Some(visto),
        escrita: Escrita::Desligada,
        id_projeto: outro.id,
        nome_projeto: outro.nome,
        organizacao: "Exemplo".to_owned(),
        data: date!(2024 - 02 - 29),
        minutos: minutos(1440),
        id_atividade: atividade.id,
        nome_atividade: atividade.nome,
        comentario: Some(comentario("Com o cliente")),
        usuario: Usuario { id: "rui".to_owned(), display_name: "Rui Sá".to_owned(), email: None },
        criado_em: NOW,
        atualizado_em: NOW,
    };
    assert_eq!(stored, std::slice::from_ref(&expected));
    assert_eq!(db.apontamentos.find(expected.id).await.unwrap(), Some(expected.clone()));
    assert_eq!(all(db).await, [expected]);
    assert_eq!(db.apontamentos.find(ApontamentoId(id(8))).await.unwrap(), None);
    assert_eq!(given(db, vec![]).await, []);
}

/// Texts are returned exactly as they were stored.
pub async fn apontamento_of_any_text_is_returned_unchanged(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let crabs = "🦀".repeat(500);
    for (n, text) in (1..).zip(NOMES.iter().copied().chain([crabs.as_str(), "  \n\t "])) {
        let usuario = Usuario { id: text.to_owned(), display_name: text.to_owned(), email: Some(text.to_owned()) };
        let visto = WorkItemVisto { titulo: text.to_owned(), tipo: text.to_owned() };
        let record = ApontamentoRecord {
            comentario: Some(comentario(text)),
            work_item_visto: Some(visto.clone()),
            usuario: usuario.clone(),
            ..entry(n, &atividade)
        };

        let stored = given(db, vec![record]).await.remove(0);

        assert_eq!(stored.comentario, Some(comentario(text)));
        assert_eq!((&stored.usuario, stored.work_item_visto.as_ref()), (&usuario, Some(&visto)));
        assert_eq!(db.apontamentos.find(stored.id).await.unwrap(), Some(stored));
    }
}

/// A thousand rows are returned in order, and listed newest first.
pub async fn apontamento_insert_all_returns_the_rows_in_order(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let person = |n: u128| Usuario { id: format!("p{n}"), display_name: "P".to_owned(), email: None };
    let records: Vec<_> =
        (1..=1000).map(|n| ApontamentoRecord { usuario: person(n), ..entry(n, &atividade) }).collect();

    let stored = given(db, records.clone()).await;

    assert!(stored.iter().map(|row| row.id).eq(records.iter().map(|record| record.id)));
    assert!(all(db).await.iter().map(|row| row.id).eq(records.iter().rev().take(100).map(|record| record.id)));
}

/// One refused item refuses all of them; each is named with its reason.
pub async fn apontamento_insert_with_unknown_or_inactive_refuses_all(db: &Repositories) {
    let ativa = given_atividade(db).await;
    let inativa = AtividadeRecord { ativo: false, ..record(2, ativa.id_projeto) };
    let inativa = db.atividades.insert(inativa).await.unwrap();
    let records = vec![
        entry(1, &ativa),
        ApontamentoRecord { atividade: AtividadeId(id(98)), ..entry(2, &ativa) },
        entry(3, &inativa),
        ApontamentoRecord { projeto: ProjetoRef(id(99)), ..entry(4, &ativa) },
    ];

    for idempotency in [None, Some(once(1))] {
        let error = db.apontamentos.insert_all(records.clone(), idempotency).await.unwrap_err();
        let expected = [
            (Some(1), RefusalReason::UnknownAtividade(AtividadeId(id(98)))),
            (Some(2), RefusalReason::InactiveAtividade),
            (Some(3), RefusalReason::UnknownProjeto(id(99).to_string())),
        ];
        assert_eq!(reasons(error), expected);
    }
    assert_eq!(all(db).await, []);
    // A refused request does not use up its key.
    let stored = db.apontamentos.insert_all(vec![entry(1, &ativa)], Some(once(2))).await.unwrap();
    assert_eq!(all(db).await, stored);
}

/// The first result is returned, also after the entry was deleted. Another request cannot use the key.
pub async fn apontamento_insert_with_repeated_key_returns_the_first_result(db: &Repositories) {
    let atividade = given_atividade(db).await;
    assert_eq!(db.apontamentos.replay(once(1), NOW).await.unwrap(), None);
    let first = db.apontamentos.insert_all(vec![entry(1, &atividade)], Some(once(1))).await.unwrap();
    db.apontamentos.delete(first[0].id, &first[0].usuario.id, None, NOW).await.unwrap();

    let again = db.apontamentos.insert_all(vec![entry(2, &atividade)], Some(once(1))).await.unwrap();

    assert_eq!(again, first);
    assert_eq!(db.apontamentos.replay(once(1), NOW).await.unwrap(), Some(first));
    for reused in [
        db.apontamentos.insert_all(vec![entry(3, &atividade)], Some(once(2))).await.map(drop),
        db.apontamentos.replay(once(2), NOW).await.map(drop),
    ] {
        assert!(matches!(reused, Err(Error::IdempotencyKeyReused)), "{reused:?}");
    }
    assert_eq!(db.apontamentos.replay(once(1), later(1) + Idempotency::LIFETIME).await.unwrap(), None);
    assert_eq!(all(db).await, []);
}

/// Concurrent calls with one key make one entry.
pub async fn concurrent_apontamento_inserts_with_one_key_insert_once(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let calls = (1..=8).map(|n| db.apontamentos.insert_all(vec![entry(n, &atividade)], Some(once(1))));

    let results: Vec<_> = join_all(calls.collect()).await.into_iter().map(Result::unwrap).collect();

    assert!(results.iter().all(|result| *result == results[0]), "{results:?}");
    assert_eq!(all(db).await, results[0]);
}

/// Names are joined, not copied; the person and the work item are as they were last seen.
pub async fn apontamento_shows_current_names_and_the_last_seen_work_item(db: &Repositories) {
    let before = given_one(db).await;
    assert_eq!(before.work_item_visto, None);
    let atividade = db.atividades.find(before.id_atividade).await.unwrap().unwrap();
    let renamed = AtividadePatch { nome: Some(super::nome_atividade("Nova")), ..AtividadePatch::default() };
    db.atividades.update(before.id_atividade, renamed, later(1)).await.unwrap();
    let renamed = ProjetoPatch { nome: Some(nome_projeto("Novo")), ..ProjetoPatch::default() };
    db.projetos.update(before.id_projeto, renamed, later(1)).await.unwrap();
    let visto = |titulo: &str| Some(WorkItemVisto { titulo: titulo.to_owned(), tipo: "Task".to_owned() });
    for (n, titulo) in [(2, "Um"), (3, "Dois"), (4, "Dois")] {
        given(db, vec![ApontamentoRecord { work_item_visto: visto(titulo), ..entry(n, &atividade) }]).await;
    }

    let found = db.apontamentos.find(before.id).await.unwrap().unwrap();

    let expected = Apontamento {
        nome_atividade: super::nome_atividade("Nova"),
        nome_projeto: nome_projeto("Novo"),
        work_item_visto: visto("Dois"),
        ..before
    };
    assert_eq!(found, expected);
}

/// Asserts that `update` returns `expected`, and that `find` returns it too.
async fn assert_update(db: &Repositories, patch: ApontamentoPatch, seconds: i64, expected: &Apontamento) {
    let usuario = expected.usuario.id.as_str();
    let updated = db.apontamentos.update(expected.id, usuario, patch.clone(), later(seconds)).await.unwrap();

    assert_eq!(updated.as_ref(), Some(expected), "{patch:?}");
    assert_eq!(db.apontamentos.find(expected.id).await.unwrap().as_ref(), Some(expected), "{patch:?}");
}

/// A patch with one field changes that field and `atualizado_em`. Equal values change nothing.
pub async fn apontamento_update_changes_only_what_differs(db: &Repositories) {
    let mut expected = given_one(db).await;
    let other = record(2, expected.id_projeto);
    let other = db.atividades.insert(other).await.unwrap();

    assert_update(db, patch(), 10, &expected).await;
    (expected.minutos, expected.atualizado_em) = (minutos(90), later(11));
    assert_update(db, ApontamentoPatch { minutos: Some(minutos(90)), ..patch() }, 11, &expected).await;
    assert_update(db, ApontamentoPatch { minutos: Some(minutos(90)), ..patch() }, 12, &expected).await;
    (expected.data, expected.atualizado_em) = (date!(2026 - 02 - 28), later(13));
    assert_update(db, ApontamentoPatch { data: Some(expected.data), ..patch() }, 13, &expected).await;
    (expected.comentario, expected.atualizado_em) = (Some(comentario("Mais")), later(14));
    let mais = Patch::Value(comentario("Mais"));
    assert_update(db, ApontamentoPatch { comentario: mais.clone(), ..patch() }, 14, &expected).await;
    assert_update(db, ApontamentoPatch { comentario: mais, ..patch() }, 15, &expected).await;
    (expected.comentario, expected.atualizado_em) = (None, later(16));
    assert_update(db, ApontamentoPatch { comentario: Patch::Null, ..patch() }, 16, &expected).await;
    (expected.id_atividade, expected.nome_atividade) = (other.id, other.nome);
    // The clock has not advanced.
    expected.atualizado_em += time::Duration::MICROSECOND;
    assert_update(db, ApontamentoPatch { atividade: Some(other.id), ..patch() }, 0, &expected).await;
    assert_eq!(db.apontamentos.update(ApontamentoId(id(9)), "x", patch(), NOW).await.unwrap(), None);
}

/// Refused updates change nothing.
pub async fn apontamento_update_is_refused_for_each_reason(db: &Repositories) {
    let before = given_one(db).await;
    let inativa = AtividadeRecord { ativo: false, ..record(2, before.id_projeto) };
    let inativa = db.atividades.insert(inativa).await.unwrap();
    let maria = before.usuario.id.as_str();
    let to = |atividade| ApontamentoPatch { atividade: Some(atividade), ..patch() };
    let unknown = AtividadeId(id(98));
    let cases = [
        ("rui", patch(), RefusalReason::NotOwner),
        (maria, to(unknown), RefusalReason::UnknownAtividade(unknown)),
        (maria, to(inativa.id), RefusalReason::InactiveAtividade),
    ];

    for (usuario, patch, reason) in cases {
        let error = db.apontamentos.update(before.id, usuario, patch, later(9)).await.unwrap_err();
        assert_eq!(reasons(error), [(None, reason)]);
    }
    let expected = Some(later(99));
    let stale = ApontamentoPatch { minutos: Some(minutos(20)), expected, ..patch() };
    let error = db.apontamentos.update(before.id, maria, stale, later(9)).await.unwrap_err();
    assert!(matches!(error, Error::VersionMismatch), "{error:?}");
    assert_eq!(db.apontamentos.find(before.id).await.unwrap().as_ref(), Some(&before));
    let fresh = ApontamentoPatch { minutos: Some(minutos(20)), expected: Some(before.atualizado_em), ..patch() };
    assert!(db.apontamentos.update(before.id, maria, fresh, later(9)).await.unwrap().is_some());
}

/// An entry of an atividade that became inactive can still be changed and keeps it.
pub async fn apontamento_of_inactive_atividade_can_be_changed(db: &Repositories) {
    let mut expected = given_one(db).await;
    let inactive = AtividadePatch { ativo: Some(false), ..AtividadePatch::default() };
    db.atividades.update(expected.id_atividade, inactive, later(2)).await.unwrap();

    (expected.minutos, expected.atualizado_em) = (minutos(20), later(11));
    let same = Some(expected.id_atividade);
    let patch = ApontamentoPatch { minutos: Some(minutos(20)), atividade: same, ..patch() };
    assert_update(db, patch, 11, &expected).await;
}

/// Only the owner deletes, once, the version that they saw.
pub async fn apontamento_delete_is_for_the_owner_and_once(db: &Repositories) {
    let before = given_one(db).await;
    let maria = before.usuario.id.as_str();

    let error = db.apontamentos.delete(before.id, "rui", None, NOW).await.unwrap_err();
    assert_eq!(reasons(error), [(None, RefusalReason::NotOwner)]);
    let error = db.apontamentos.delete(before.id, maria, Some(later(99)), NOW).await.unwrap_err();
    assert!(matches!(error, Error::VersionMismatch), "{error:?}");
    assert_eq!(all(db).await, std::slice::from_ref(&before));
    assert!(db.apontamentos.delete(before.id, maria, Some(before.atualizado_em), NOW).await.unwrap());
    assert!(!db.apontamentos.delete(before.id, maria, None, NOW).await.unwrap());
    assert_eq!(all(db).await, []);
}

/// Atividades and projetos with entries stay. A synchronised projeto that disappears keeps its entries.
pub async fn apontamentos_keep_their_atividade_and_projeto(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let local = given_projeto(db, 2, "Só com apontamentos").await;
    let azure = db.projetos.store_remote(remote_projeto(1, "Azure"), NOW).await.unwrap();
    let in_projeto =
        |n, projeto: ProjetoId| ApontamentoRecord { projeto: ProjetoRef(projeto.0), ..entry(n, &atividade) };
    given(db, vec![in_projeto(1, local.id), in_projeto(2, azure.id)]).await;

    let error = db.atividades.delete(atividade.id, None).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(Conflict::AtividadeComApontamentos)), "{error:?}");
    let error = db.projetos.delete(local.id, None).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(Conflict::ProjetoComApontamentos)), "{error:?}");
    let gone = vec![remote_projeto(1, "Azure").id];
    assert_eq!(db.projetos.synchronize(vec![], gone, later(9)).await.unwrap().removed, 1);
    assert_eq!(all(db).await.len(), 2);
    for row in all(db).await {
        assert!(db.apontamentos.delete(row.id, &row.usuario.id, None, NOW).await.unwrap());
    }
    assert!(db.projetos.delete(local.id, None).await.unwrap());
    assert!(db.atividades.delete(atividade.id, None).await.unwrap());
}

/// A name is found in any case; a project of Azure DevOps comes first.
pub async fn find_projeto_prefers_azure_and_ignores_case(db: &Repositories) {
    let local = given_projeto(db, 1, "Ação").await;
    let find = async |nome: &str| db.apontamentos.find_projeto(nome_projeto(nome)).await.unwrap();

    assert_eq!(find("AÇÃO").await, Some(ProjetoRef(local.id.0)));
    let azure = db.projetos.store_remote(remote_projeto(1, "AÇÃO"), later(1)).await.unwrap();
    assert_eq!(find("ação").await, Some(ProjetoRef(azure.id.0)));
    assert_eq!(find("Acao").await, None);
    assert_eq!(find("%").await, None);
}
