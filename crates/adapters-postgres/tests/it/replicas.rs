//! Lists and reports from standbys: never stale, and from the primary with any doubt about a standby.

use std::time::{Duration, Instant};

use adapters_postgres::{Config, PostgresDatabase, PostgresProjetoRepository};
use domain::testing::{NOW, novo_projeto};
use domain::{Projeto, ProjetoId, ProjetoQuery, ProjetoRecord, ProjetoRepository as _};
use e2e::pgbouncer::PgBouncer;
use e2e::postgres::{Cluster, Database};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::support::{assert_unavailable, connect, schema, transaction};

/// Longer than the interval of the probes.
const RECOVERY: Duration = Duration::from_secs(20);

/// A primary, a standby, and the service on both.
struct Replicated<'a> {
    served: PostgresDatabase,
    metrics: Registry,
    database: Database<'a>,
}

/// The clusters of one test, because it stops the standby or promotes it.
fn clusters() -> (Cluster, Cluster) {
    let primary = Cluster::start();
    // The cluster is fast and not durable; the service runs with the default.
    primary.execute("ALTER ROLE postgres SET synchronous_commit = on");
    let standby = primary.start_standby();
    (primary, standby)
}

fn config(url: &str) -> Config {
    Config::from_url(&url.to_owned().into(), schema("api_aponta")).unwrap()
}

fn url(cluster: &Cluster, database: &str) -> String {
    format!("postgres://postgres:{}@127.0.0.1:{}/{database}", cluster.password(), cluster.port())
}

/// Serves a new database of `primary` with the replica that `replica` names.
async fn serve(primary: &Cluster, replica: impl Fn(&Database<'_>) -> String) -> Replicated<'_> {
    let database = primary.create_database();
    let config = config(&database.url()).with_replicas(vec![config(&replica(&database))]).unwrap();
    let served = connect(config).await;
    served.migrate_up(None).await.unwrap();
    let served = served.with_read_replicas();
    let mut metrics = Registry::default();
    served.register(&mut metrics);
    Replicated { served, metrics, database }
}

impl Replicated<'_> {
    /// Inserts a projeto, and returns whether the list has it.
    async fn list_has_new(&self, nome: &str) -> bool {
        let novo = novo_projeto(nome);
        let record = ProjetoRecord { id: ProjetoId::new(NOW), nome: novo.nome, descricao: None, criado_em: NOW };
        PostgresProjetoRepository::new(&self.served).insert(record, None).await.unwrap();
        self.list().await.iter().any(|projeto| projeto.nome.as_str() == nome)
    }

    async fn list(&self) -> Vec<Projeto> {
        PostgresProjetoRepository::new(&self.served).list(ProjetoQuery::default()).await.unwrap().items
    }

    fn metric(&self, series: &str) -> f64 {
        let mut text = String::new();
        encode(&mut text, &self.metrics).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        assert!(line.is_some(), "no {series} in {text}");
        line.unwrap().parse().unwrap()
    }

    fn reads(&self, target: &str) -> f64 {
        self.metric(&format!("aponta_database_reads_total{{target=\"{target}\"}}"))
    }

    fn fallbacks(&self, reason: &str) -> f64 {
        self.metric(&format!("aponta_database_replica_fallbacks_total{{reason=\"{reason}\"}}"))
    }

    /// Waits until the replica serves a read.
    async fn until_replica_serves(&self) {
        let (started, before) = (Instant::now(), self.reads("replica"));
        loop {
            self.list().await;
            if before < self.reads("replica") {
                return;
            }
            assert!(started.elapsed() < RECOVERY, "the replica serves no read");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn list_after_a_write_comes_from_the_replica_and_has_it() {
    let (primary, standby) = clusters();
    let db = serve(&primary, |database| url(&standby, database.name())).await;
    db.until_replica_serves().await;
    let before = db.reads("replica");

    for n in 0..40 {
        assert!(db.list_has_new(&format!("Portal {n}")).await, "{n}");
    }

    assert!(before + 10.0 < db.reads("replica"), "{} of 40", db.reads("replica") - before);
    let address = format!("127.0.0.1:{}", standby.port());
    let lag = db.metric(&format!("aponta_database_replica_lag_seconds{{server=\"{address}\"}}"));
    assert!(0.0 < lag && lag < 2.0, "{lag}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn list_with_asynchronous_commits_is_not_stale() {
    let primary = Cluster::start();
    let standby = primary.start_standby();
    let db = serve(&primary, |database| url(&standby, database.name())).await;
    assert_eq!(db.database.query("SHOW synchronous_commit"), "off");
    db.until_replica_serves().await;

    // A page has 100.
    for n in 0..60 {
        assert!(db.list_has_new(&format!("Portal {n}")).await, "{n}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paused_replay_costs_one_wait_until_it_resumes() {
    let (primary, standby) = clusters();
    let db = serve(&primary, |database| url(&standby, database.name())).await;
    db.until_replica_serves().await;

    standby.execute("SELECT pg_wal_replay_pause()");
    while standby.query("SELECT pg_get_wal_replay_pause_state()") != "paused" {}
    let (behind, from_replica) = (db.fallbacks("behind"), db.reads("replica"));
    for n in 0..20 {
        assert!(db.list_has_new(&format!("Portal {n}")).await, "{n}");
    }

    assert!(db.reads("replica") - from_replica < 1.0, "a replica that lags has served");
    assert!(db.fallbacks("behind") - behind <= 1.0, "the circuit breaker is open after the first wait");
    standby.execute("SELECT pg_wal_replay_resume()");
    db.until_replica_serves().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_replica_costs_no_error_and_serves_again_after_its_start() {
    let (primary, standby) = clusters();
    let db = serve(&primary, |database| url(&standby, database.name())).await;
    for stop in [Cluster::kill, Cluster::stop] {
        db.until_replica_serves().await;

        stop(&standby);
        for n in 0..20 {
            assert!(db.list_has_new(&format!("Portal {n} {}", db.reads("primary"))).await, "{n}");
        }

        assert!(db.fallbacks("connection") + db.fallbacks("statement") + db.fallbacks("no_replica") > 0.0);
        standby.restart();
    }
    db.until_replica_serves().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_starts_without_its_replica() {
    let (primary, standby) = clusters();
    standby.kill();
    let db = serve(&primary, |database| url(&standby, database.name())).await;

    assert!(db.list_has_new("Portal").await);

    assert!(db.fallbacks("no_replica") > 0.0 && db.reads("replica") < 1.0);
    standby.restart();
    db.until_replica_serves().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promoted_replica_serves_no_more() {
    let (primary, standby) = clusters();
    let db = serve(&primary, |database| url(&standby, database.name())).await;
    db.until_replica_serves().await;

    // Its connections stay open.
    standby.execute("SELECT pg_promote()");
    let from_replica = db.reads("replica");
    for n in 0..20 {
        assert!(db.list_has_new(&format!("Portal {n}")).await, "{n}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    assert!(db.reads("replica") - from_replica < 1.0, "a server that accepts writes has served as a replica");
    let diagnoses = db.served.diagnose_replicas().await.unwrap();
    let reason = diagnoses[0].delay.clone().unwrap_err();
    assert!(reason.contains("no standby"), "{reason}");
}

/// Each member of a cluster with failover is named, and one of them is the primary.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn primary_among_the_replicas_serves_no_read_and_has_no_lag() {
    let (primary, _standby) = clusters();
    let db = serve(&primary, |database| url(&primary, database.name())).await;

    tokio::time::sleep(Duration::from_secs(4)).await;

    assert!(db.list_has_new("Portal").await);
    assert!(db.reads("replica") < 1.0);
    let lag = db.metric(&format!("aponta_database_replica_lag_seconds{{server=\"127.0.0.1:{}\"}}", primary.port()));
    assert!(lag < 2.0, "{lag}");
    assert_eq!(db.served.diagnose_replicas().await.unwrap()[0].delay, Ok(None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standby_of_another_cluster_or_database_is_refused() {
    let (primary, standby) = clusters();
    let (_other, other_standby) = clusters();
    for url in [url(&other_standby, "postgres"), url(&standby, "postgres")] {
        let db = serve(&primary, |_| url.clone()).await;

        let reason = db.served.diagnose_replicas().await.unwrap()[0].delay.clone().unwrap_err();
        tokio::time::sleep(Duration::from_secs(2)).await;

        assert!(reason.contains("another database than the primary"), "{reason}");
        assert!(db.list_has_new("Portal").await);
        assert!(db.reads("replica") < 1.0, "{url}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica_behind_a_transaction_pooler_serves() {
    let (primary, standby) = clusters();
    let pooler = PgBouncer::start(&standby, 2);
    let db = serve(&primary, |database| pooler.url(&primary, database)).await;
    db.until_replica_serves().await;

    for n in 0..40 {
        assert!(db.list_has_new(&format!("Portal {n}")).await, "{n}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statement_that_takes_too_long_on_a_replica_is_not_repeated() {
    let (primary, standby) = clusters();
    let database = primary.create_database();
    let timeout = Duration::from_millis(700);
    let replica = config(&url(&standby, database.name()));
    let served =
        connect(config(&database.url()).statement_timeout(timeout).with_replicas(vec![replica]).unwrap()).await;
    served.migrate_up(None).await.unwrap();
    let served = served.with_read_replicas();
    let mut metrics = Registry::default();
    served.register(&mut metrics);
    let db = Replicated { served, metrics, database };
    db.until_replica_serves().await;

    // Replay takes the lock as well.
    let lock = transaction(&db.database, "LOCK TABLE api_aponta.projetos IN ACCESS EXCLUSIVE MODE").await;
    db.database.execute("SELECT txid_current()");
    let locks =
        "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND locktype = 'relation'";
    while standby.query(locks) == "0" {}
    let (started, from_primary) = (Instant::now(), db.reads("primary"));
    let listed = PostgresProjetoRepository::new(&db.served).list(ProjetoQuery::default()).await;

    assert_unavailable(&listed);
    assert!(started.elapsed() < timeout * 2, "{:?}", started.elapsed());
    assert!(db.reads("primary") - from_primary < 1.0, "the primary has repeated it");
    lock.end("ROLLBACK").await;
    db.until_replica_serves().await;
}

#[tokio::test]
async fn replica_named_twice_or_with_two_hosts_is_refused() {
    let main = config("postgres://u:p@db/d");
    let cases = [
        (vec!["postgres://u@r1/d", "postgres://u@r2:5432/d", "postgres://u@r1:5432/x"], "r1:5432 is named twice"),
        (vec!["postgres://u@r1,r2/d"], "r1:5432,r2:5432 are several hosts: write a URL for each"),
    ];
    for (urls, reason) in cases {
        let replicas = urls.iter().map(|url| config(url)).collect();

        assert_eq!(main.clone().with_replicas(replicas).unwrap_err().to_string(), reason);
    }
}
