//! Taking over the projetos of Azure DevOps.

use time::Duration;

use super::projetos::all;
use super::{NOW, Repositories, given_atividade, id, later, nome_projeto, record, side_by_side};
use crate::testing::remote_projeto;
use crate::{Descricao, Projeto, ProjetoId, RemoteProjeto, SyncSummary};

/// `remote` as it is kept when it was new at `seconds`.
fn kept(remote: &RemoteProjeto, seconds: i64) -> Projeto {
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

/// `projeto` after it changed at `seconds`.
fn changed(projeto: Projeto, seconds: i64) -> Projeto {
    Projeto { sincronizado_em: Some(later(seconds)), atualizado_em: later(seconds), ..projeto }
}

fn deleted(projeto: Projeto, seconds: i64) -> Projeto {
    Projeto { estado: Some(RemoteProjeto::DELETED.to_owned()), ..changed(projeto, seconds) }
}

fn summary(synced: u64, created: u64, updated: u64, removed: u64) -> SyncSummary {
    SyncSummary { synced, created, updated, removed }
}

/// Takes over `remote`, where everything else is gone.
async fn synchronize(db: &Repositories, remote: &[RemoteProjeto], seconds: i64) -> SyncSummary {
    let gone = all(db).await.into_iter().filter_map(|projeto| projeto.azure_project_id).collect();
    db.projetos.synchronize(remote.to_vec(), gone, later(seconds)).await.unwrap()
}

/// Two projects of Azure DevOps, one with everything and one with as little as there can be.
fn two() -> [RemoteProjeto; 2] {
    let full = RemoteProjeto { descricao: Descricao::parse("Com texto".into()).ok(), ..remote_projeto(1, "Alfa") };
    [full, RemoteProjeto { url: None, estado: None, ..remote_projeto(2, "Beta") }]
}

/// What is new is created with all that Azure DevOps says of it.
pub async fn synchronize_creates_under_azures_guid(db: &Repositories) {
    assert_eq!(synchronize(db, &two(), 0).await, summary(2, 2, 0, 0));

    assert_eq!(all(db).await, two().map(|remote| kept(&remote, 0)));
}

/// What does not differ is not written, so its times stay.
pub async fn synchronize_again_writes_nothing(db: &Repositories) {
    synchronize(db, &two(), 0).await;

    assert_eq!(synchronize(db, &two(), 1).await, summary(2, 0, 0, 0));
    assert_eq!(all(db).await, two().map(|remote| kept(&remote, 0)));
}

/// Name, description, address and state follow Azure DevOps, one by one, also to none and from none to "".
pub async fn synchronize_follows_each_field_of_azure(db: &Repositories) {
    let [mut remote, other] = two();
    synchronize(db, &[remote.clone(), other.clone()], 0).await;
    let mut expected = [kept(&remote, 0), kept(&other, 0)];
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

/// What is gone from Azure DevOps is kept in the state `deleted`, and counted when that is news.
pub async fn synchronize_marks_what_is_gone_once(db: &Repositories) {
    let [alfa, beta] = two();
    synchronize(db, &two(), 0).await;

    assert_eq!(synchronize(db, std::slice::from_ref(&alfa), 1).await, summary(1, 0, 0, 1));
    assert_eq!(synchronize(db, std::slice::from_ref(&alfa), 2).await, summary(1, 0, 0, 0));
    assert_eq!(all(db).await, [kept(&alfa, 0), deleted(kept(&beta, 0), 1)]);
}

/// What is neither listed nor gone stays as it is: nobody knows.
pub async fn synchronize_leaves_alone_what_is_not_said_to_be_gone(db: &Repositories) {
    synchronize(db, &two(), 0).await;
    let [alfa, beta] = two();

    let done = db.projetos.synchronize(vec![alfa.clone()], vec![alfa.id], later(1)).await.unwrap();
    assert_eq!(done, summary(1, 0, 0, 0));
    let unknown = remote_projeto(3, "Nunca visto").id;
    let done = db.projetos.synchronize(vec![], vec![beta.id, unknown, beta.id], later(2)).await.unwrap();

    assert_eq!(done, summary(0, 0, 0, 1));
    assert_eq!(all(db).await, [kept(&alfa, 0), deleted(kept(&beta, 0), 2)]);
}

/// What was taken over from Azure DevOps after a list was asked for is newer than the list, whether it was one project
/// or another list: it is neither changed nor marked. What is as old is.
pub async fn synchronize_leaves_alone_what_is_newer(db: &Repositories) {
    let [alfa, beta] = two();
    let adopted = remote_projeto(3, "Adotado");
    synchronize(db, &[alfa.clone(), beta.clone()], 0).await;
    let renamed = RemoteProjeto { nome: nome_projeto("Alfa novo"), ..alfa.clone() };
    synchronize(db, &[renamed.clone(), beta.clone()], 5).await;
    db.projetos.store_remote(adopted.clone(), later(5)).await.unwrap();

    assert_eq!(synchronize(db, std::slice::from_ref(&alfa), 4).await, summary(1, 0, 0, 1));
    let newer = Projeto { criado_em: NOW, ..kept(&renamed, 5) };
    assert_eq!(all(db).await, [newer, deleted(kept(&beta, 0), 4), kept(&adopted, 5)]);
    assert_eq!(synchronize(db, std::slice::from_ref(&alfa), 5).await, summary(1, 0, 1, 1));
}

/// When all are gone, all are marked.
pub async fn synchronize_of_nothing_marks_all_of_azures(db: &Repositories) {
    assert_eq!(synchronize(db, &[], 0).await, summary(0, 0, 0, 0));
    synchronize(db, &two(), 1).await;

    assert_eq!(synchronize(db, &[], 2).await, summary(0, 0, 0, 2));
    assert_eq!(synchronize(db, &[], 3).await, summary(0, 0, 0, 0));
    assert_eq!(all(db).await, two().map(|remote| deleted(kept(&remote, 1), 2)));
}

/// What was marked comes back as the same projeto and counts as updated.
pub async fn synchronize_brings_back_what_is_listed_again(db: &Repositories) {
    synchronize(db, &two(), 0).await;
    synchronize(db, &[], 1).await;

    assert_eq!(synchronize(db, &two(), 2).await, summary(2, 0, 2, 0));
    assert_eq!(all(db).await, two().map(|remote| changed(kept(&remote, 0), 2)));
}

/// The last occurrence holds, for what is new as for what is kept.
pub async fn synchronize_counts_an_id_that_comes_twice_once(db: &Repositories) {
    let versions = ["Primeiro", "Segundo", "Terceiro"].map(|nome| remote_projeto(1, nome));
    let [first, second, third] = versions.clone();
    let other = remote_projeto(2, "Outro");

    let list = [first.clone(), other.clone(), second.clone()];
    assert_eq!(synchronize(db, &list, 0).await, summary(2, 2, 0, 0));
    assert_eq!(all(db).await, [kept(&second, 0), kept(&other, 0)]);
    let list = [second.clone(), third.clone(), other.clone(), other.clone()];
    assert_eq!(synchronize(db, &list, 1).await, summary(2, 0, 1, 0));
    let expected = [Projeto { nome: third.nome.clone(), ..changed(kept(&second, 0), 1) }, kept(&other, 0)];
    assert_eq!(all(db).await, expected);
    let list = [first, third, other];
    assert_eq!(synchronize(db, &list, 2).await, summary(2, 0, 0, 0));
    assert_eq!(all(db).await, expected);
}

/// Local projetos are neither changed nor marked nor counted, also those with the name of one of Azure's.
pub async fn synchronize_leaves_local_projetos_alone(db: &Repositories) {
    let local = super::given_projeto(db, 1, "Alfa").await;

    assert_eq!(synchronize(db, &two(), 1).await, summary(2, 2, 0, 0));
    assert_eq!(synchronize(db, &[], 2).await, summary(0, 0, 0, 2));
    assert_eq!(db.projetos.find(local.id).await.unwrap(), Some(local));
}

/// Atividades stay with their projeto when it is renamed, marked and brought back.
pub async fn synchronize_keeps_atividades(db: &Repositories) {
    let [alfa, beta] = two();
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

/// A large organisation comes in one call: created, changed in part, marked in part.
pub async fn synchronize_takes_a_thousand_projetos(db: &Repositories) {
    let mut remote: Vec<_> = (1..=1000).map(|n| remote_projeto(n, &format!("Projeto {n}"))).collect();
    assert_eq!(synchronize(db, &remote, 0).await, summary(1000, 1000, 0, 0));
    assert!(all(db).await.into_iter().eq(remote.iter().map(|remote| kept(remote, 0))));

    for projeto in &mut remote[..400] {
        projeto.estado = Some("deleting".to_owned());
    }
    remote.truncate(900);
    remote.extend((1001..=1050).map(|n| remote_projeto(n, "Novo")));
    assert_eq!(synchronize(db, &remote, 1).await, summary(950, 50, 400, 100));
    assert_eq!(synchronize(db, &remote, 2).await, summary(950, 0, 0, 0));
    assert_eq!(all(db).await.len(), 1050);
}

/// `sincronizado_em` is when the question was asked; `atualizado_em` moves on as with every change, also where two
/// happen at one time.
pub async fn synchronize_moves_atualizado_em_on_when_the_clock_stands(db: &Repositories) {
    let [alfa, beta] = two();
    synchronize(db, &[alfa.clone(), beta.clone()], 0).await;
    let renamed = RemoteProjeto { nome: nome_projeto("Alfa novo"), ..alfa.clone() };

    assert_eq!(synchronize(db, std::slice::from_ref(&renamed), 0).await, summary(1, 0, 1, 1));
    let stored = db.projetos.store_remote(alfa.clone(), later(-30)).await.unwrap();

    let tick = Duration::microseconds(1);
    let after = |projeto, seconds, ticks| Projeto { atualizado_em: NOW + tick * ticks, ..changed(projeto, seconds) };
    let marked = deleted(kept(&beta, 0), 0);
    assert_eq!(stored, after(kept(&alfa, 0), -30, 2));
    assert_eq!(all(db).await, [stored, Projeto { atualizado_em: NOW + tick, ..marked }]);
}

/// Calls that run at once come to the same end as one after the other: each project is created once.
pub async fn synchronize_side_by_side_takes_turns(db: &Repositories) {
    let forwards: Vec<_> = (1..=200).map(|n| remote_projeto(n, "Projeto")).collect();
    let backwards: Vec<_> = forwards.iter().rev().cloned().collect();

    let calls = (0..6).map(|n| if n % 2 == 0 { &forwards } else { &backwards });
    let calls = calls.map(|remote| db.projetos.synchronize(remote.clone(), vec![], NOW)).collect();
    let summaries: Vec<_> = side_by_side(calls).await.into_iter().map(Result::unwrap).collect();

    assert_eq!(summaries.iter().filter(|s| **s == summary(200, 200, 0, 0)).count(), 1, "{summaries:?}");
    assert_eq!(summaries.iter().filter(|s| **s == summary(200, 0, 0, 0)).count(), 5, "{summaries:?}");
    assert!(all(db).await.into_iter().eq(forwards.iter().map(|remote| kept(remote, 0))));
}

/// Calls with lists that exclude each other end as the last one wants it, and not as a mixture of them.
pub async fn synchronize_side_by_side_ends_as_one_of_them(db: &Repositories) {
    let low = |nome: &str| (1..=150).map(|n| remote_projeto(n, nome)).collect::<Vec<_>>();
    let high = |nome: &str| (151..=300).map(|n| remote_projeto(n, nome)).collect::<Vec<_>>();
    synchronize(db, &[low("Projeto"), high("Projeto")].concat(), 0).await;

    for round in 1..=3 {
        let ids = |remote: &[RemoteProjeto]| remote.iter().map(|remote| remote.id).collect::<Vec<_>>();
        let lists = [low("A"), high("B"), low("C"), high("D")];
        let calls = lists.map(|remote| {
            let gone = ids(&[low("Projeto"), high("Projeto")].concat());
            db.projetos.synchronize(remote, gone, later(round))
        });
        for summary in side_by_side(calls.into()).await {
            assert_eq!(summary.unwrap().synced, 150);
        }

        let end = all(db).await;
        let mut listed: Vec<_> = end.iter().filter(|p| p.estado.as_deref() != Some(RemoteProjeto::DELETED)).collect();
        assert_eq!((end.len(), listed.len()), (300, 150), "round {round}");
        listed.dedup_by_key(|p| &p.nome);
        assert_eq!(listed.len(), 1, "round {round} ends as a mixture");
    }
}

/// One project is taken over as `synchronize` does it: created, then changed, also back from `deleted`.
pub async fn store_remote_creates_and_follows(db: &Repositories) {
    for remote in two() {
        let stored = db.projetos.store_remote(remote.clone(), NOW).await.unwrap();

        assert_eq!(stored, kept(&remote, 0));
        assert_eq!(db.projetos.find(stored.id).await.unwrap(), Some(stored));
    }

    let [alfa, beta] = two();
    let new = RemoteProjeto { nome: nome_projeto("Novo"), descricao: None, url: None, estado: None, ..alfa.clone() };
    let stored = db.projetos.store_remote(new.clone(), later(1)).await.unwrap();
    assert_eq!(stored, Projeto { criado_em: NOW, ..kept(&new, 1) });
    synchronize(db, std::slice::from_ref(&beta), 2).await;
    let stored = db.projetos.store_remote(alfa.clone(), later(3)).await.unwrap();
    assert_eq!(stored, Projeto { criado_em: NOW, ..kept(&alfa, 3) });
    assert_eq!(all(db).await, [stored, kept(&beta, 0)]);
}

/// Taking over what is already kept answers it as it is.
pub async fn store_remote_writes_nothing_when_nothing_differs(db: &Repositories) {
    for remote in two() {
        db.projetos.store_remote(remote.clone(), NOW).await.unwrap();

        assert_eq!(db.projetos.store_remote(remote.clone(), later(1)).await.unwrap(), kept(&remote, 0));
    }
    assert_eq!(all(db).await, two().map(|remote| kept(&remote, 0)));
}

/// Neither another project of Azure DevOps nor a local one nor an atividade changes.
pub async fn store_remote_leaves_the_others_alone(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let [alfa, beta] = two();
    db.projetos.store_remote(alfa, NOW).await.unwrap();
    let before = all(db).await;

    let stored = db.projetos.store_remote(beta, later(1)).await.unwrap();

    assert_eq!(all(db).await.into_iter().filter(|p| p.id != stored.id).collect::<Vec<_>>(), before);
    assert_eq!(db.projetos.find(ProjetoId(id(1))).await.unwrap().map(|p| p.id), Some(atividade.id_projeto));
    assert_eq!(db.atividades.find(atividade.id).await.unwrap(), Some(atividade));
}

/// Many who meet an unknown project at once all get the one that is then there.
pub async fn store_remote_side_by_side_creates_one(db: &Repositories) {
    let remote = remote_projeto(1, "Alfa");

    let calls = (0..6).map(|n| db.projetos.store_remote(remote.clone(), later(n))).collect();
    let stored: Vec<_> = side_by_side(calls).await.into_iter().map(Result::unwrap).collect();

    let one = all(db).await;
    assert_eq!(one.len(), 1);
    assert!(stored.iter().all(|projeto| *projeto == one[0]), "{stored:?}");
}
