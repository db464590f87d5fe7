//! Atividades that come one at a time, many at once.

use std::time::{Duration, Instant};

use domain::testing::suite::Repositories;
use domain::testing::{NOW, maria, nova_atividade, novo_projeto, projeto_id};
use domain::{Atividade, AtividadeRecord, Error, NomeAtividade, ProjetoId, ProjetoRecord, ProjetoRef, Violation};
use e2e::postgres::Database;
use tokio::task::JoinHandle;

use crate::support::{
    OtherClient, assert_unavailable, config, connect, fresh, migrated, repositories, transaction, until_blocked,
};

const COUNT: &str = "SELECT count(*) FROM api_aponta.atividades";
const SHORT: Duration = Duration::from_secs(1);

async fn projeto(db: &Repositories, nome: &str) -> ProjetoId {
    let novo = novo_projeto(nome);
    let record = ProjetoRecord { id: ProjetoId::new(NOW), nome: novo.nome, descricao: novo.descricao, criado_em: NOW };
    db.projetos.insert(record, None).await.unwrap().id
}

fn record(nome: &str, projeto: ProjetoId) -> AtividadeRecord {
    let nome = NomeAtividade::parse(nome.to_owned()).unwrap();
    let record = AtividadeRecord::new(nova_atividade("Revisar"), &maria().usuario, NOW);
    AtividadeRecord { nome, projetos: ProjetoRef(projeto.0).into(), ..record }
}

fn insert(db: &Repositories, record: AtividadeRecord) -> JoinHandle<Result<Atividade, Error>> {
    let atividades = db.atividades.clone();
    tokio::spawn(async move { atividades.insert(record).await })
}

/// Holds every insertion up until it is dropped.
async fn block(database: &Database<'_>) -> OtherClient {
    transaction(database, "LOCK TABLE api_aponta.atividades").await
}

/// Lets all that has been spawned on this thread go as far as it can without the database.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Insertions that are sent and blocked, so that nothing more is sent until they are done.
async fn occupy(db: &Repositories, database: &Database<'_>, turns: u32) -> Vec<JoinHandle<Result<Atividade, Error>>> {
    let mut sent = vec![];
    for turn in 1..=turns {
        sent.push(loop {
            let mut insertion = insert(db, record("Primeira", projeto_id()));
            tokio::select! {
                () = until_blocked(database, turn, "0") => break insertion,
                // Opening a connection may take longer than the acquire timeout.
                timed_out = &mut insertion => assert_unavailable(&timed_out.unwrap()),
            }
        });
    }
    sent
}

#[tokio::test]
async fn queued_inserts_are_batched_and_each_gets_its_row() {
    let (db, database) = fresh().await;
    let projetos = [projeto(&db, "Um").await, projeto(&db, "Dois").await];
    let records: Vec<_> = (0..50).map(|n| record(&format!("Atividade {n}"), projetos[n % 2])).collect();

    let insertions: Vec<_> = records.iter().map(|record| insert(&db, record.clone())).collect();

    for (n, (record, insertion)) in records.into_iter().zip(insertions).enumerate() {
        let stored = insertion.await.unwrap().unwrap();
        assert_eq!(db.atividades.find(record.id).await.unwrap().as_ref(), Some(&stored));
        assert_eq!(
            (stored.id, &stored.nome, stored.id_projeto),
            (record.id, &record.nome, ProjetoId(record.projetos.first().0))
        );
        assert_eq!(stored.nome_projeto.as_str(), ["Um", "Dois"][n % 2]);
        assert_eq!((stored.criado_por.as_deref(), stored.criado_em), (Some(&*record.criado_por), record.criado_em));
    }
    let transactions: u32 =
        database.query("SELECT count(DISTINCT xmin::text) FROM api_aponta.atividades").parse().unwrap();
    assert!(transactions < 10, "{transactions} transactions");
}

#[tokio::test]
async fn rejected_insert_does_not_fail_its_batch() {
    let (db, database) = fresh().await;
    let known = projeto(&db, "Um").await;
    let taken = db.atividades.insert(record("Já está", known)).await.unwrap();
    let names = ["A", "B", "C", "D", "E", "F", "G", "H"];

    // No projeto: no row of the statement. An id that is taken: no statement.
    let mut records: Vec<_> = names.iter().map(|nome| record(nome, known)).collect();
    records[3].projetos = ProjetoRef(projeto_id().0).into();
    let unknown = records.iter().map(|record| insert(&db, record.clone())).collect::<Vec<_>>();
    let mut records: Vec<_> = names.iter().map(|nome| record(nome, known)).collect();
    records[5].id = taken.id;
    let twin = records.iter().map(|record| insert(&db, record.clone())).collect::<Vec<_>>();

    for (n, insertion) in unknown.into_iter().enumerate() {
        match insertion.await.unwrap() {
            Ok(stored) => assert!(n != 3 && stored.nome.as_str() == names[n]),
            Err(Error::Invalid(fields)) => assert!(n == 3 && fields[0].violation == Violation::UnknownProjeto),
            Err(error) => panic!("{n}: {error:?}"),
        }
    }
    for (n, insertion) in twin.into_iter().enumerate() {
        match insertion.await.unwrap() {
            Ok(stored) => assert!(n != 5 && stored.nome.as_str() == names[n]),
            Err(error) => assert!(n == 5 && matches!(error, Error::Internal(_)), "{n}: {error:?}"),
        }
    }
    assert_eq!(database.query(COUNT), "15");
    assert_eq!(db.atividades.find(taken.id).await.unwrap(), Some(taken));
}

/// Those whose clients have gone are not stored, unless they were sent already.
#[tokio::test]
async fn insert_cancelled_in_the_queue_is_not_stored() {
    let database = migrated().await;
    let db = repositories(&connect(config(&database)).await);
    let known = projeto(&db, "Um").await;
    let blocker = block(&database).await;
    let sent = occupy(&db, &database, 2).await;

    let patient = insert(&db, record("Paciente", known));
    let impatient = insert(&db, record("Impaciente", known));
    settle().await;
    impatient.abort();
    assert!(impatient.await.unwrap_err().is_cancelled());
    drop(blocker);

    assert_eq!(patient.await.unwrap().unwrap().nome.as_str(), "Paciente");
    for unknown in sent {
        assert!(unknown.await.unwrap().unwrap_err().is_unknown_projeto());
    }
    assert_eq!(database.query("SELECT nome FROM api_aponta.atividades"), "Paciente");
}

#[tokio::test]
async fn queued_insert_times_out_after_the_acquire_timeout() {
    let database = migrated().await;
    let db = repositories(&connect(config(&database).acquire_timeout(SHORT)).await);
    let known = projeto(&db, "Um").await;
    let blocker = block(&database).await;
    let sent = occupy(&db, &database, 2).await;

    let started = Instant::now();
    assert_unavailable(&db.atividades.insert(record("Tarde", known)).await);
    assert!(SHORT <= started.elapsed() && started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());

    drop(blocker);
    for unknown in sent {
        assert!(unknown.await.unwrap().unwrap_err().is_unknown_projeto());
    }
    db.atividades.insert(record("De novo", known)).await.unwrap();
    assert_eq!(database.query("SELECT nome FROM api_aponta.atividades"), "De novo");
}

/// An unbounded queue would keep requests in memory that the pool cannot serve in time.
#[tokio::test]
async fn insert_is_unavailable_if_the_queue_is_full() {
    let database = migrated().await;
    let db = repositories(&connect(config(&database).max_connections(2)).await);
    let known = projeto(&db, "Um").await;
    let blocker = block(&database).await;
    let sent = occupy(&db, &database, 2).await;

    let waiting: Vec<_> = (0..200).map(|_| insert(&db, record("Na fila", known))).collect();
    settle().await;
    let started = Instant::now();
    assert_unavailable(&db.atividades.insert(record("Demais", known)).await);
    assert!(started.elapsed() < SHORT, "{:?}", started.elapsed());

    // Whoever gives up makes room.
    waiting[7].abort();
    settle().await;
    let last = insert(&db, record("Por último", known));
    settle().await;
    drop(blocker);
    last.await.unwrap().unwrap();
    for (n, insertion) in waiting.into_iter().enumerate() {
        assert_eq!(insertion.await.is_ok_and(|stored| stored.is_ok()), n != 7);
    }
    for unknown in sent {
        assert!(unknown.await.unwrap().unwrap_err().is_unknown_projeto());
    }
    assert_eq!(database.query(COUNT), "200");
}

/// All of them are told when their connection breaks, and those who come later are stored.
#[tokio::test]
async fn broken_connection_fails_its_batch_and_not_the_next_one() {
    let database = migrated().await;
    let db = repositories(&connect(config(&database).max_connections(1)).await);
    let known = projeto(&db, "Um").await;
    let blocker = block(&database).await;
    let first = insert(&db, record("Primeira", known));
    until_blocked(&database, 1, "0").await;
    // The second turn waits for the only connection with as many as have come.
    let second: Vec<_> = (0..5).map(|_| insert(&db, record("Segunda", known))).collect();
    settle().await;

    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND wait_event_type = 'Lock'";
    database.execute(end);
    assert_unavailable(&first.await.unwrap());
    until_blocked(&database, 1, "0").await;
    database.execute(end);
    for insertion in second {
        assert_unavailable(&insertion.await.unwrap());
    }

    drop(blocker);
    db.atividades.insert(record("Depois", known)).await.unwrap();
    assert_eq!(database.query("SELECT nome FROM api_aponta.atividades"), "Depois");
}
