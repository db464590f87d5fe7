//! A database that is slow, silent, gone and back.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use adapters_postgres::{Config, PostgresDatabase, PostgresReadiness};
use domain::testing::suite::Repositories;
use domain::testing::{NOW, projeto, projeto_id};
use domain::{
    AtividadeFiltro, AtividadeQuery, Busca, Idempotency, IdempotencyKey, ProjetoPatch, ProjetoQuery, ProjetoRecord,
    Readiness,
};
use e2e::postgres::{Cluster, Database};

use crate::support::{
    OtherClient, assert_unavailable, config, connect, migrated, repositories, schema, transaction, until_blocked,
};

const SHORT: Duration = Duration::from_millis(300);
/// What a busy machine may add; less than the limits that hold without those set here.
const BUSY: Duration = Duration::from_secs(4);

fn record() -> ProjetoRecord {
    let projeto = projeto("Portal");
    ProjetoRecord { id: projeto.id, nome: projeto.nome, descricao: None, criado_em: NOW }
}

/// Holds every statement on `projetos` up until it is dropped.
async fn block(database: &Database<'_>) -> OtherClient {
    transaction(database, "LOCK TABLE api_aponta.projetos").await
}

/// A cluster of one's own with a migrated database in it.
async fn private() -> (&'static Cluster, Database<'static>) {
    // Leaked so that the database can point to it; the server ends with this process.
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start()));
    let database = cluster.create_database();
    connect(config(&database)).await.migrate_up(None).await.unwrap();
    (cluster, database)
}

/// So many reads at once, so that so many connections are used.
async fn read_at_once(db: &Repositories, n: usize) -> Vec<Result<bool, domain::Error>> {
    let reads: Vec<_> = (0..n)
        .map(|_| {
            let projetos = db.projetos.clone();
            tokio::spawn(async move { projetos.find(projeto_id()).await.map(|found| found.is_some()) })
        })
        .collect();
    let mut results = vec![];
    for read in reads {
        results.push(read.await.unwrap());
    }
    results
}

#[tokio::test]
async fn statement_over_its_timeout_is_unavailable() {
    let database = migrated().await;
    let db = repositories(&connect(config(&database).statement_timeout(SHORT)).await);
    db.projetos.insert(record(), None).await.unwrap();
    let blocker = block(&database).await;

    let started = Instant::now();
    assert_unavailable(&db.projetos.list(ProjetoQuery::default()).await);
    assert_unavailable(&db.atividades.list(AtividadeQuery::default()).await);
    assert_unavailable(&db.projetos.update(projeto_id(), ProjetoPatch::default(), NOW).await);
    assert_unavailable(&db.projetos.synchronize(vec![], vec![], NOW).await);

    assert!(started.elapsed() < SHORT * 4 + BUSY);
    drop(blocker);
    assert_eq!(db.projetos.list(ProjetoQuery::default()).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn exhausted_pool_is_unavailable_after_the_acquire_timeout() {
    let database = migrated().await;
    let db = repositories(&connect(config(&database).max_connections(1).acquire_timeout(SHORT)).await);
    let blocker = block(&database).await;
    let projetos = db.projetos.clone();
    let first = tokio::spawn(async move { projetos.insert(record(), None).await });
    until_blocked(&database, 1, "0").await;

    let started = Instant::now();
    assert_unavailable(&db.atividades.list(AtividadeQuery::default()).await);
    assert!(SHORT <= started.elapsed() && started.elapsed() < SHORT + BUSY, "{:?}", started.elapsed());

    drop(blocker);
    first.await.unwrap().unwrap();
    assert_eq!(db.atividades.list(AtividadeQuery::default()).await.unwrap().total, 0);
}

#[tokio::test]
async fn database_is_used_again_after_a_restart() {
    let (cluster, database) = private().await;
    let db = repositories(&connect(config(&database).acquire_timeout(Duration::from_secs(1))).await);
    db.projetos.insert(record(), None).await.unwrap();

    for end in [Cluster::stop, Cluster::kill] {
        read_at_once(&db, 4).await.into_iter().for_each(|result| assert!(result.unwrap()));
        end(cluster);
        for result in read_at_once(&db, 4).await {
            assert_unavailable(&result);
        }
        assert_unavailable(&db.projetos.update(projeto_id(), ProjetoPatch::default(), NOW).await);
        assert_unavailable(&db.projetos.synchronize(vec![], vec![], NOW).await);
        assert_unavailable(&db.readiness.check().await);

        cluster.restart();
        db.readiness.check().await.unwrap();
        read_at_once(&db, 4).await.into_iter().for_each(|result| assert!(result.unwrap()));
        db.projetos.synchronize(vec![], vec![], NOW).await.unwrap();
    }
}

/// The pool is full of connections that broke while nobody looked.
#[tokio::test]
async fn restart_while_idle_fails_no_read_and_at_most_one_write() {
    let (cluster, database) = private().await;
    let db = repositories(&connect(config(&database)).await);
    db.projetos.insert(record(), None).await.unwrap();
    for end in [Cluster::stop, Cluster::kill] {
        read_at_once(&db, 10).await.into_iter().for_each(|result| assert!(result.unwrap()));
        end(cluster);
        cluster.restart();

        read_at_once(&db, 10).await.into_iter().for_each(|result| assert!(result.unwrap()));
    }

    cluster.stop();
    cluster.restart();
    let mut refused = 0;
    for nome in ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K"] {
        let patch = ProjetoPatch { nome: Some(domain::testing::nome_projeto(nome)), ..ProjetoPatch::default() };
        let result = db.projetos.update(projeto_id(), patch, NOW).await;
        if result.is_err() {
            assert_unavailable(&result);
            refused += 1;
        }
    }
    assert!(refused <= 1, "{refused} writes met a broken connection");
}

/// The client receives neither a response nor the end of the connection, as when a network drops every packet.
#[tokio::test]
async fn silent_server_is_unavailable_and_its_connection_is_closed() {
    let (_cluster, database) = private().await;
    let tenant = connect(config(&database).max_connections(1).acquire_timeout(SHORT).statement_timeout(SHORT)).await;
    let db = repositories(&tenant);
    let backend = database.query(&format!(
        "SELECT pid FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()",
        database.name()
    ));
    let signal = |signal: &str| assert!(Command::new("kill").args([signal, &backend]).status().unwrap().success());
    signal("-STOP");

    let started = Instant::now();
    assert_unavailable(&db.projetos.insert(record(), None).await);
    assert!(started.elapsed() < SHORT * 2 + BUSY * 2, "{:?}", started.elapsed());
    // The only place in the pool is free again as soon as the silent connection has been given up.
    while db.projetos.list(ProjetoQuery::default()).await.is_err() {
        assert!(started.elapsed() < SHORT * 2 + BUSY * 4, "the silent connection is still in the pool");
    }

    signal("-CONT");
}

/// The deadline of a transaction grows with its statements. The first one without a response ends it.
#[tokio::test]
async fn silent_server_is_unavailable_to_a_transaction_after_one_statement() {
    const STATEMENT: Duration = Duration::from_secs(4);
    let (_cluster, database) = private().await;
    let config = config(&database).max_connections(1).acquire_timeout(SHORT).statement_timeout(STATEMENT);
    let db = repositories(&connect(config).await);
    let backend = database.query(&format!(
        "SELECT pid FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()",
        database.name()
    ));
    let signal = |signal: &str| assert!(Command::new("kill").args([signal, &backend]).status().unwrap().success());
    signal("-STOP");
    let once =
        Idempotency { usuario: "maria".to_owned(), key: IdempotencyKey::parse("chave").unwrap(), request: [1; 32] };

    let started = Instant::now();
    assert_unavailable(&db.projetos.insert(record(), Some(once)).await);

    assert!(started.elapsed() < STATEMENT + BUSY * 2, "{:?}", started.elapsed());
    signal("-CONT");
}

/// A host without a network accepts nothing and refuses nothing. The kernel accepts these connections, and no program does.
#[tokio::test]
async fn silent_first_host_delays_neither_requests_nor_readiness() {
    let database = migrated().await;
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let hosts = format!("@127.0.0.1:{},", silent.local_addr().unwrap().port());
    let url = database.url().replace('@', &hosts);
    let tenant = connect(Config::from_url(&url.into(), schema("api_aponta")).unwrap()).await;
    let db = repositories(&tenant);

    let started = Instant::now();
    db.readiness.check().await.unwrap();
    assert!(read_at_once(&db, 10).await.iter().all(Result::is_ok));

    assert!(started.elapsed() < BUSY, "{:?}", started.elapsed());
}

fn search() -> AtividadeQuery {
    let filtro = AtividadeFiltro { texto: Some(Busca::parse("revisar").unwrap()), ..AtividadeFiltro::default() };
    AtividadeQuery { filtro, ..AtividadeQuery::default() }
}

/// Searches use a quarter of the connections, so that others find one.
#[tokio::test]
async fn searches_leave_connections_to_other_requests() {
    let database = migrated().await;
    let db = repositories(&connect(config(&database).max_connections(4)).await);
    let blocker = transaction(&database, "LOCK TABLE api_aponta.atividades").await;
    let searches: Vec<_> = (0..20)
        .map(|_| {
            let atividades = db.atividades.clone();
            tokio::spawn(async move { atividades.list(search()).await })
        })
        .collect();
    until_blocked(&database, 1, "0").await;

    read_at_once(&db, 20).await.into_iter().for_each(|read| assert!(!read.unwrap()));

    until_blocked(&database, 1, "0").await;
    drop(blocker);
    for search in searches {
        search.await.unwrap().unwrap();
    }
}

/// The server looks for the client of a running statement twice a second.
#[tokio::test]
async fn cancelled_statement_ends_on_the_server() {
    let database = migrated().await;
    let db = repositories(&connect(config(&database)).await);
    let blocker = transaction(&database, "LOCK TABLE api_aponta.atividades").await;
    let atividades = db.atividades.clone();
    let abandoned = tokio::spawn(async move { atividades.list(search()).await });
    until_blocked(&database, 1, "0").await;

    abandoned.abort();

    until_blocked(&database, 0, "0").await;
    drop(blocker);
    db.atividades.list(search()).await.unwrap();
}

#[tokio::test]
async fn readiness_does_not_wait_for_the_pool() {
    let database = migrated().await;
    let tenant = connect(config(&database).max_connections(1)).await;
    let blocker = block(&database).await;
    let busy = tenant.clone();
    let first = tokio::spawn(async move { repositories(&busy).projetos.list(ProjetoQuery::default()).await });
    until_blocked(&database, 1, "0").await;

    PostgresReadiness::new(&tenant).check().await.unwrap();

    drop(blocker);
    assert!(first.await.unwrap().unwrap().items.is_empty());
}

#[tokio::test]
async fn readiness_of_a_silent_server_fails_within_two_seconds() {
    let (_cluster, database) = private().await;
    let readiness = PostgresReadiness::new(&connect(config(&database)).await);
    readiness.check().await.unwrap();
    // With the server itself, which would otherwise accept new connections.
    let processes = database.query(&format!(
        "SELECT string_agg(pid::text, ' ') || ' ' || split_part(pg_read_file('postmaster.pid'), E'\\n', 1)
         FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()",
        database.name()
    ));
    let signal = |signal: &str| {
        assert!(Command::new("kill").arg(signal).args(processes.split(' ')).status().unwrap().success());
    };
    signal("-STOP");

    let started = Instant::now();
    assert_unavailable(&readiness.check().await);
    assert!(started.elapsed() < Duration::from_secs(2) + BUSY, "{:?}", started.elapsed());

    signal("-CONT");
}

#[tokio::test]
async fn closed_pool_and_changed_password_are_unavailable() {
    let (_cluster, database) = private().await;
    let closed = connect(config(&database)).await;
    closed.close().await;
    assert_unavailable(&repositories(&closed).projetos.list(ProjetoQuery::default()).await);

    let tenant: PostgresDatabase = connect(config(&database).acquire_timeout(SHORT)).await;
    database.execute(&format!(
        "ALTER ROLE postgres PASSWORD 'outra';
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()",
        database.name()
    ));
    assert_unavailable(&repositories(&tenant).projetos.list(ProjetoQuery::default()).await);
}
