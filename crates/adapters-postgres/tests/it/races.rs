//! What only shows when two do something at once, and that nothing is written for nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::testing::{NOW, maria, nova_atividade, novo_projeto, remote_projeto};
use domain::{
    AtividadePatch, AtividadeRecord, Conflict, Error, Idempotency, IdempotencyKey, ProjetoId, ProjetoPatch,
    ProjetoRecord, ProjetoRef, Violation,
};
use time::Duration;

use crate::support::{config, connect, fresh, migrated, repositories, transaction};

fn local(n: i64) -> ProjetoRecord {
    let criado_em = NOW + Duration::seconds(n);
    let novo = novo_projeto("Local");
    ProjetoRecord { id: ProjetoId::new(criado_em), nome: novo.nome, descricao: novo.descricao, criado_em }
}

fn record(projeto: ProjetoId) -> AtividadeRecord {
    let record = AtividadeRecord::new(nova_atividade("Revisar"), &maria().usuario, NOW);
    AtividadeRecord { projetos: ProjetoRef(projeto.0).into(), ..record }
}

/// Whoever comes first wins, and the other is told so: neither an orphan nor an internal error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn projeto_deleted_during_an_insert_is_in_use_or_unknown() {
    let (db, _database) = fresh().await;
    let elsewhere = db.projetos.insert(local(-1), None).await.unwrap();

    for n in 0..40 {
        let projeto = db.projetos.insert(local(n), None).await.unwrap();
        let atividade = db.atividades.insert(record(elsewhere.id)).await.unwrap();
        let (projetos, atividades, id) = (db.projetos.clone(), db.atividades.clone(), projeto.id);

        let deletion = tokio::spawn(async move { projetos.delete(id, None).await });
        let arrival = tokio::spawn(async move {
            if n % 2 == 0 {
                return atividades.insert(record(id)).await.map(Some);
            }
            let patch = AtividadePatch { projetos: Some(ProjetoRef(id.0).into()), ..AtividadePatch::default() };
            atividades.update(atividade.id, patch, NOW).await
        });
        let (deletion, arrival) = (deletion.await.unwrap(), arrival.await.unwrap());

        match (deletion, arrival) {
            (Ok(true), Err(Error::Invalid(fields))) => assert_eq!(fields[0].violation, Violation::UnknownProjeto),
            (Err(Error::Conflict(Conflict::ProjetoComAtividades)), Ok(Some(arrived))) => {
                assert_eq!(arrived.id_projeto, id);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A projeto that was kept as a local one under Azure's GUID is Azure's from the moment on in which Azure lists it.
#[tokio::test]
async fn local_projeto_with_the_guid_of_azure_becomes_synchronised() {
    let (db, _database) = fresh().await;
    for n in [1, 2] {
        let id = ProjetoId(remote_projeto(n, "Azure").id.get());
        db.projetos.insert(ProjetoRecord { id, ..local(0) }, None).await.unwrap();
    }

    let summary = db.projetos.synchronize(vec![remote_projeto(1, "Azure")], vec![], NOW).await.unwrap();
    let stored = db.projetos.store_remote(remote_projeto(2, "Azure"), NOW).await.unwrap();

    assert_eq!((summary.created, summary.updated, summary.removed), (0, 1, 0));
    assert_eq!(stored.azure_project_id, Some(remote_projeto(2, "Azure").id));
    let refused = db.projetos.delete(ProjetoId(remote_projeto(1, "Azure").id.get()), None).await.unwrap_err();
    assert!(matches!(refused, Error::Conflict(Conflict::ProjetoDoAzure)));
}

#[tokio::test]
async fn unchanged_row_is_not_rewritten() {
    let database = migrated().await;
    let db = repositories(&connect(config(&database)).await);
    let remote: Vec<_> = (1..=3).map(|n| remote_projeto(n, "Azure")).collect();
    db.projetos.synchronize(remote[..2].to_vec(), vec![], NOW).await.unwrap();
    db.projetos.store_remote(remote[2].clone(), NOW).await.unwrap();
    db.projetos.synchronize(remote[..2].to_vec(), vec![remote[2].id], NOW).await.unwrap();
    let projeto = db.projetos.insert(local(0), None).await.unwrap();
    let atividade = db.atividades.insert(record(projeto.id)).await.unwrap();
    let versions = "SELECT id, xmin FROM api_aponta.projetos UNION ALL SELECT id, xmin FROM api_aponta.atividades";
    let before = database.query(versions);

    db.projetos.synchronize(remote[..2].to_vec(), vec![remote[2].id], NOW).await.unwrap();
    db.projetos.store_remote(remote[0].clone(), NOW).await.unwrap();
    let patch = ProjetoPatch { nome: Some(projeto.nome), ..ProjetoPatch::default() };
    db.projetos.update(projeto.id, patch, NOW).await.unwrap();
    let patch = AtividadePatch { nome: Some(atividade.nome), ativo: Some(true), ..AtividadePatch::default() };
    db.atividades.update(atividade.id, patch, NOW).await.unwrap();

    assert_eq!(before.lines().count(), 5);
    assert_eq!(database.query(versions), before);
}

/// Somebody books on a projeto while Azure's list is taken over: neither waits for the other.
#[tokio::test]
async fn synchronisation_does_not_block_inserts() {
    let database = migrated().await;
    let db = repositories(&connect(config(&database)).await);
    let projeto = db.projetos.store_remote(remote_projeto(1, "Azure"), NOW).await.unwrap();
    let insert = format!(
        "INSERT INTO api_aponta.atividades (id, nome, id_projeto, criado_em, atualizado_em)
         VALUES (gen_random_uuid(), 'Revisar', '{}', now(), now())",
        projeto.id.0
    );
    let booking = transaction(&database, &insert).await;

    let summary = db.projetos.synchronize(vec![remote_projeto(1, "Azure novo")], vec![], NOW).await.unwrap();

    assert_eq!(summary.updated, 1);
    booking.end("COMMIT").await;
}

/// Reads that share a connection and follow each other without end keep nobody from having it alone, nor the other way
/// round.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_and_writers_share_the_pool_fairly() {
    for connections in [1, 3] {
        let database = migrated().await;
        let db = repositories(&connect(config(&database).max_connections(connections)).await);
        let projeto = db.projetos.insert(local(0), None).await.unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..24)
            .map(|_| {
                let (db, done) = (db.clone(), done.clone());
                tokio::spawn(async move {
                    let mut reads = 0;
                    while !done.load(Ordering::Relaxed) {
                        assert!(db.projetos.find(projeto.id).await.unwrap().is_some());
                        reads += 1;
                    }
                    reads
                })
            })
            .collect();

        for _ in 0..50 {
            db.atividades.insert(record(projeto.id)).await.unwrap();
        }
        done.store(true, Ordering::Relaxed);

        for reader in readers {
            assert!(0 < reader.await.unwrap(), "a reader had no turn");
        }
    }
}

/// Whoever gives up in the middle leaves nothing half done, and a connection that the next one can use.
#[tokio::test]
async fn cancelled_request_leaves_nothing_behind() {
    let database = migrated().await;
    let db = repositories(&connect(config(&database).max_connections(1)).await);
    let projeto = db.projetos.insert(local(0), None).await.unwrap();
    let once =
        Idempotency { usuario: "maria".to_owned(), key: IdempotencyKey::parse("chave").unwrap(), request: [0; 32] };
    let blocker = transaction(&database, "LOCK TABLE api_aponta.atividades").await;

    let writes = db.atividades.insert_all(vec![record(projeto.id)], Some(once));
    assert!(tokio::time::timeout(std::time::Duration::from_millis(300), writes).await.is_err());
    blocker.end("ROLLBACK").await;

    assert!(db.projetos.find(projeto.id).await.unwrap().is_some());
    let left = "SELECT (SELECT count(*) FROM api_aponta.atividades) + (SELECT count(*) FROM api_aponta.idempotencia)";
    assert_eq!(database.query(left), "0");
}

/// Expired keys are deleted by a job, not by the next request.
#[tokio::test]
async fn expired_keys_are_deleted_and_others_kept() {
    let database = migrated().await;
    let tenant = connect(config(&database)).await;
    database.execute(
        "INSERT INTO api_aponta.idempotencia (usuario, chave, pedido, criado_em)
         SELECT 'maria', n::text, decode(repeat('00', 32), 'hex'), timestamptz '2026-01-12 16:00:00Z' + n * interval '1 s'
         FROM generate_series(1, 2500) n",
    );
    let last_expired = time::macros::datetime!(2026-01-12 16:00 UTC) + Duration::seconds(2400);

    assert_eq!(tenant.delete_expired_keys(last_expired + Idempotency::LIFETIME).await.unwrap(), 2400);

    assert_eq!(database.query("SELECT min(chave::int), count(*) FROM api_aponta.idempotencia"), "2401|100");
    assert_eq!(tenant.delete_expired_keys(last_expired).await.unwrap(), 0);
}

#[tokio::test]
async fn user_over_the_key_quota_is_rejected_until_keys_expire() {
    let database = migrated().await;
    let db = repositories(&connect(config(&database)).await);
    let projeto = db.projetos.insert(local(0), None).await.unwrap();
    let keyed = |key: &str, usuario: &str| Idempotency {
        usuario: usuario.to_owned(),
        key: IdempotencyKey::parse(key).unwrap(),
        request: [0; 32],
    };
    let fill = |usuario: &str, keys: i64, response: &str| {
        database.execute(&format!(
            "INSERT INTO api_aponta.idempotencia (usuario, chave, pedido, resposta, criado_em)
             SELECT '{usuario}', 'k' || n, decode(repeat('00', 32), 'hex'), {response}, timestamptz '{NOW}'
             FROM generate_series(1, {keys}) n"
        ));
    };
    fill("ana", Idempotency::MAX_KEYS, "'[]'");
    // Random text, so that it stays large when it is stored.
    fill(
        "bia",
        70,
        "(SELECT to_jsonb(string_agg(md5(random()::text), '')) FROM generate_series(1, 33000) WHERE n > 0)",
    );

    for usuario in ["ana", "bia"] {
        let refused = db.atividades.insert_all(vec![record(projeto.id)], Some(keyed("nova", usuario))).await;
        assert!(matches!(refused, Err(Error::TooManyIdempotencyKeys)), "{usuario}: {refused:?}");
        let refused = db.projetos.insert(local(1), Some(keyed("nova", usuario))).await;
        assert!(matches!(refused, Err(Error::TooManyIdempotencyKeys)), "{usuario}: {refused:?}");
    }
    db.atividades.insert_all(vec![record(projeto.id)], Some(keyed("nova", "caio"))).await.unwrap();
    let tomorrow = AtividadeRecord { criado_em: NOW + Idempotency::LIFETIME, ..record(projeto.id) };
    db.atividades.insert_all(vec![tomorrow], Some(keyed("nova", "ana"))).await.unwrap();
    let counts = "SELECT (SELECT count(*) FROM api_aponta.atividades), (SELECT count(*) FROM api_aponta.projetos)";
    assert_eq!(database.query(counts), "2|1");
}
