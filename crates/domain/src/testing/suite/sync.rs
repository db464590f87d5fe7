//! Synchronisation with Azure DevOps.

use time::Duration;

use super::projetos::all;
use super::{NOW, Repositories, join_all, later, nome_projeto, record};
use crate::testing::remote_projeto;
use crate::{Descricao, Projeto, ProjetoId, RemoteProjeto, SyncSummary};

/// Returns the row of `remote`, created at `seconds`.
pub(super) fn created(remote: &RemoteProjeto, seconds: i64) -> Projeto {
    let RemoteProjeto { id, nome, descricao, url, estado } = remote.clone();
    Projeto {
        id: ProjetoId(id.get()),
        nome,
        descricao,
        azure_project_id: Some(id),
        url,
        estado,
        sincronizado_em: Some(later(seconds)),
        criado_em: later(seconds),
        atualizado_em: later(seconds),
    }
}

/// Returns `projeto` after a change at `seconds`.
fn changed(projeto: Projeto, seconds: i64) -> Projeto {
    Projeto { sincronizado_em: Some(later(seconds)), atualizado_em: later(seconds), ..projeto }
}

fn deleted(projeto: Projeto, seconds: i64) -> Projeto {
    Projeto { estado: Some(RemoteProjeto::DELETED.to_owned()), ..changed(projeto, seconds) }
}

fn summary(synced: u64, created: u64, updated: u64, removed: u64) -> SyncSummary {
    SyncSummary { synced, created, updated, removed }
}

/// Synchronises with `remote`; every other project is confirmed deleted.
pub(super) async fn synchronize(db: &Repositories, remote: &[RemoteProjeto], seconds: i64) -> SyncSummary {
    let deleted_ids = all(db).await.into_iter().filter_map(|projeto| projeto.azure_project_id).collect();
    db.projetos.synchronize(remote.to_vec(), deleted_ids, later(seconds)).await.unwrap()
}

/// Two projects of Azure DevOps: one with every field, one with the required fields only.
pub(super) fn two_projects() -> [RemoteProjeto; 2] {
    let full = RemoteProjeto { descricao: Descricao::parse("Com texto".into()).ok(), ..remote_projeto(1, "Alfa") };
    [full, RemoteProjeto { url: None, estado: None, ..remote_projeto(2, "Beta") }]
}

/// A new project is created with all its fields.
pub async fn synchronize_new_projects_creates_them_under_their_guid(db: &Repositories) {
    assert_eq!(synchronize(db, &two_projects(), 0).await, summary(2, 2, 0, 0));

    assert_eq!(all(db).await, two_projects().map(|remote| created(&remote, 0)));
}

/// The times of an unchanged row stay.
pub async fn synchronize_equal_projects_writes_nothing(db: &Repositories) {
    synchronize(db, &two_projects(), 0).await;

    assert_eq!(synchronize(db, &two_projects(), 1).await, summary(2, 0, 0, 0));
    assert_eq!(all(db).await, two_projects().map(|remote| created(&remote, 0)));
}

/// Each of name, description, URL and state is updated, also to NULL and from NULL to an empty text.
pub async fn synchronize_changed_field_updates_it(db: &Repositories) {
    let [mut remote, other] = two_projects();
    synchronize(db, &[remote.clone(), other.clone()], 0).await;
    let mut expected = [created(&remote, 0), created(&other, 0)];
    let changes: [fn(&mut RemoteProjeto); 7] = [
        |remote| remote.nome = nome_projeto("Alfa novo"),
        |remote| remote.descricao = None,
        |remote| remote.descricao = Descricao::parse(String::new()).ok(),
        |remote| remote.url = None,
        |remote| remote.url = Some("https://exemplo.br/".to_owned()),
        |remote| remote.estado = Some("deleting".to_owned()),
        |remote| remote.estado = None,
    ];

    for (seconds, change) in (1..).zip(changes) {
        change(&mut remote);
        let remote = remote.clone();

        assert_eq!(synchronize(db, &[other.clone(), remote.clone()], seconds).await, summary(2, 0, 1, 0));
        let RemoteProjeto { nome, descricao, url, estado, .. } = remote;
        let [first, _] = &mut expected;
        *first = changed(Projeto { nome, descricao, url, estado, ..first.clone() }, seconds);
        assert_eq!(all(db).await, expected);
    }
}

/// A deleted project keeps its row with the state `deleted` and counts once.
pub async fn synchronize_deleted_project_marks_it_once(db: &Repositories) {
    let [alfa, beta] = two_projects();
    synchronize(db, &two_projects(), 0).await;

    assert_eq!(synchronize(db, std::slice::from_ref(&alfa), 1).await, summary(1, 0, 0, 1));
    assert_eq!(synchronize(db, std::slice::from_ref(&alfa), 2).await, summary(1, 0, 0, 0));
    assert_eq!(all(db).await, [created(&alfa, 0), deleted(created(&beta, 0), 1)]);
}

/// A project that is neither listed nor confirmed deleted does not change.
pub async fn synchronize_unlisted_unconfirmed_project_keeps_it(db: &Repositories) {
    synchronize(db, &two_projects(), 0).await;
    let [alfa, beta] = two_projects();

    let result = db.projetos.synchronize(vec![alfa.clone()], vec![alfa.id], later(1)).await.unwrap();
    assert_eq!(result, summary(1, 0, 0, 0));
    let unknown = remote_projeto(3, "Nunca visto").id;
    let result = db.projetos.synchronize(vec![], vec![beta.id, unknown, beta.id], later(2)).await.unwrap();

    assert_eq!(result, summary(0, 0, 0, 1));
    assert_eq!(all(db).await, [created(&alfa, 0), deleted(created(&beta, 0), 2)]);
}

/// Rows stored after the list was requested are newer than it. They are neither changed nor marked, unlike rows of the
/// same time.
pub async fn synchronize_older_list_keeps_newer_rows(db: &Repositories) {
    let [alfa, beta] = two_projects();
    let imported = remote_projeto(3, "Importado");
    synchronize(db, &[alfa.clone(), beta.clone()], 0).await;
    let renamed = RemoteProjeto { nome: nome_projeto("Alfa novo"), ..alfa.clone() };
    synchronize(db, &[renamed.clone(), beta.clone()], 5).await;
    db.projetos.store_remote(imported.clone(), later(5)).await.unwrap();

    assert_eq!(synchronize(db, std::slice::from_ref(&alfa), 4).await, summary(1, 0, 0, 1));
    let newer = Projeto { criado_em: NOW, ..created(&renamed, 5) };
    assert_eq!(all(db).await, [newer, deleted(created(&beta, 0), 4), created(&imported, 5)]);
    assert_eq!(synchronize(db, std::slice::from_ref(&alfa), 5).await, summary(1, 0, 1, 1));
}

/// A clock that ran ahead by a day does not keep rows from following Azure DevOps: renames, deletions and the stamp of
/// an equal row are taken from the next list. Rows ahead by seconds are newer than the list.
pub async fn synchronize_row_stamped_by_a_clock_far_ahead_is_corrected(db: &Repositories) {
    const DAY: i64 = 24 * 60 * 60;
    let [alfa, beta] = two_projects();
    let gama = remote_projeto(3, "Gama");
    synchronize(db, &[alfa.clone(), beta.clone(), gama.clone()], DAY).await;
    let renamed = RemoteProjeto { nome: nome_projeto("Alfa novo"), ..alfa };

    let next = synchronize(db, &[renamed.clone(), gama.clone()], 10).await;

    assert_eq!(next, summary(2, 0, 2, 1));
    let stored = all(db).await;
    assert_eq!(stored.iter().map(|projeto| projeto.sincronizado_em).collect::<Vec<_>>(), [Some(later(10)); 3]);
    let fields: Vec<_> = stored.iter().map(|projeto| (projeto.nome.as_str(), projeto.estado.as_deref())).collect();
    let gama_estado = gama.estado.as_deref();
    assert_eq!(
        fields,
        [("Alfa novo", renamed.estado.as_deref()), ("Beta", Some(RemoteProjeto::DELETED)), ("Gama", gama_estado)]
    );
    assert_eq!(synchronize(db, &[beta, gama], 9).await, summary(2, 0, 0, 0), "an older list");
}

/// All projects are marked if all are confirmed deleted.
pub async fn synchronize_empty_list_marks_all_confirmed(db: &Repositories) {
    assert_eq!(synchronize(db, &[], 0).await, summary(0, 0, 0, 0));
    synchronize(db, &two_projects(), 1).await;

    assert_eq!(synchronize(db, &[], 2).await, summary(0, 0, 0, 2));
    assert_eq!(synchronize(db, &[], 3).await, summary(0, 0, 0, 0));
    assert_eq!(all(db).await, two_projects().map(|remote| deleted(created(&remote, 1), 2)));
}

/// A marked project is restored with its id and counts as updated.
pub async fn synchronize_relisted_project_restores_it(db: &Repositories) {
    synchronize(db, &two_projects(), 0).await;
    synchronize(db, &[], 1).await;

    assert_eq!(synchronize(db, &two_projects(), 2).await, summary(2, 0, 2, 0));
    assert_eq!(all(db).await, two_projects().map(|remote| changed(created(&remote, 0), 2)));
}

/// The last occurrence counts, for new and for stored projects.
pub async fn synchronize_duplicate_id_counts_once_and_keeps_the_last(db: &Repositories) {
    let versions = ["Primeiro", "Segundo", "Terceiro"].map(|nome| remote_projeto(1, nome));
    let [first, second, third] = versions.clone();
    let other = remote_projeto(2, "Outro");

    let list = [first.clone(), other.clone(), second.clone()];
    assert_eq!(synchronize(db, &list, 0).await, summary(2, 2, 0, 0));
    assert_eq!(all(db).await, [created(&second, 0), created(&other, 0)]);
    let list = [second.clone(), third.clone(), other.clone(), other.clone()];
    assert_eq!(synchronize(db, &list, 1).await, summary(2, 0, 1, 0));
    let expected = [Projeto { nome: third.nome.clone(), ..changed(created(&second, 0), 1) }, created(&other, 0)];
    assert_eq!(all(db).await, expected);
    let list = [first, third, other];
    assert_eq!(synchronize(db, &list, 2).await, summary(2, 0, 0, 0));
    assert_eq!(all(db).await, expected);
}

/// Local projetos are neither changed nor marked nor counted, also with the name of a project of Azure DevOps.
pub async fn synchronize_keeps_local_projetos(db: &Repositories) {
    let local = super::given_projeto(db, 1, "Alfa").await;

    assert_eq!(synchronize(db, &two_projects(), 1).await, summary(2, 2, 0, 0));
    assert_eq!(synchronize(db, &[], 2).await, summary(0, 0, 0, 2));
    assert_eq!(db.projetos.find(local.id).await.unwrap(), Some(local));
}

/// Atividades stay with their projeto when it is renamed, marked and restored.
pub async fn synchronize_keeps_atividades(db: &Repositories) {
    let [alfa, beta] = two_projects();
    synchronize(db, &[alfa.clone(), beta], 0).await;
    let stored = db.atividades.insert(record(1, ProjetoId(alfa.id.get()))).await.unwrap();
    let renamed = RemoteProjeto { nome: nome_projeto("Alfa novo"), ..alfa };

    for remote in [vec![renamed.clone()], vec![], vec![renamed]] {
        synchronize(db, &remote, 1).await;

        let found = db.atividades.find(stored.id).await.unwrap().unwrap();
        assert_eq!((found.id_projeto, found.atualizado_em), (stored.id_projeto, stored.atualizado_em));
        assert_eq!(found.nome_projeto, nome_projeto("Alfa novo"));
    }
}

/// A large organisation in one call: created, partly changed, partly marked.
pub async fn synchronize_thousand_projects_counts_each(db: &Repositories) {
    let mut remote: Vec<_> = (1..=1000).map(|n| remote_projeto(n, &format!("Projeto {n}"))).collect();
    assert_eq!(synchronize(db, &remote, 0).await, summary(1000, 1000, 0, 0));
    assert!(all(db).await.into_iter().eq(remote.iter().map(|remote| created(remote, 0))));

    for projeto in &mut remote[..400] {
        projeto.estado = Some("deleting".to_owned());
    }
    remote.truncate(900);
    remote.extend((1001..=1050).map(|n| remote_projeto(n, "Novo")));
    assert_eq!(synchronize(db, &remote, 1).await, summary(950, 50, 400, 100));
    assert_eq!(synchronize(db, &remote, 2).await, summary(950, 0, 0, 0));
    assert_eq!(all(db).await.len(), 1050);
}

/// `sincronizado_em` is the time of the request. `atualizado_em` grows with every change, also for two changes at one
/// time.
pub async fn synchronize_with_stopped_clock_increments_atualizado_em(db: &Repositories) {
    let [alfa, beta] = two_projects();
    synchronize(db, &[alfa.clone(), beta.clone()], 0).await;
    let renamed = RemoteProjeto { nome: nome_projeto("Alfa novo"), ..alfa.clone() };

    assert_eq!(synchronize(db, std::slice::from_ref(&renamed), 0).await, summary(1, 0, 1, 1));
    let stored = db.projetos.store_remote(alfa.clone(), later(-30)).await.unwrap();

    let tick = Duration::microseconds(1);
    let after = |projeto, seconds, ticks| Projeto { atualizado_em: NOW + tick * ticks, ..changed(projeto, seconds) };
    let marked = deleted(created(&beta, 0), 0);
    assert_eq!(stored, after(created(&alfa, 0), -30, 2));
    assert_eq!(all(db).await, [stored, Projeto { atualizado_em: NOW + tick, ..marked }]);
}

/// Concurrent calls have the same result as sequential ones.
pub async fn concurrent_synchronize_of_one_list_creates_each_project_once(db: &Repositories) {
    let forwards: Vec<_> = (1..=200).map(|n| remote_projeto(n, "Projeto")).collect();
    let backwards: Vec<_> = forwards.iter().rev().cloned().collect();

    let calls = (0..6).map(|n| if n % 2 == 0 { &forwards } else { &backwards });
    let calls = calls.map(|remote| db.projetos.synchronize(remote.clone(), vec![], NOW)).collect();
    let summaries: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();

    assert_eq!(summaries.iter().filter(|s| **s == summary(200, 200, 0, 0)).count(), 1, "{summaries:?}");
    assert_eq!(summaries.iter().filter(|s| **s == summary(200, 0, 0, 0)).count(), 5, "{summaries:?}");
    assert!(all(db).await.into_iter().eq(forwards.iter().map(|remote| created(remote, 0))));
}

/// The result is that of one list and never a mixture.
pub async fn concurrent_synchronize_of_different_lists_ends_as_one_of_them(db: &Repositories) {
    let low = |nome: &str| (1..=150).map(|n| remote_projeto(n, nome)).collect::<Vec<_>>();
    let high = |nome: &str| (151..=300).map(|n| remote_projeto(n, nome)).collect::<Vec<_>>();
    synchronize(db, &[low("Projeto"), high("Projeto")].concat(), 0).await;

    for round in 1..=3 {
        let ids = |remote: &[RemoteProjeto]| remote.iter().map(|remote| remote.id).collect::<Vec<_>>();
        let lists = [low("A"), high("B"), low("C"), high("D")];
        let calls = lists.map(|remote| {
            let deleted_ids = ids(&[low("Projeto"), high("Projeto")].concat());
            db.projetos.synchronize(remote, deleted_ids, later(round))
        });
        for summary in join_all(calls.into()).await {
            assert_eq!(summary.unwrap().synced, 150);
        }

        let end = all(db).await;
        let mut listed: Vec<_> = end.iter().filter(|p| p.estado.as_deref() != Some(RemoteProjeto::DELETED)).collect();
        assert_eq!((end.len(), listed.len()), (300, 150), "round {round}");
        listed.dedup_by_key(|p| &p.nome);
        assert_eq!(listed.len(), 1, "round {round} ends as a mixture");
    }
}
