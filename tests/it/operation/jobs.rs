//! Background jobs: one run per interval among replicas, a stop during a run, and a database that goes away.

use std::time::{Duration, Instant};

use e2e::azure::{Endpoint, Organisation};
use e2e::client::Api;
use e2e::postgres::{Cluster, Database};
use e2e::server::Program;
use wiremock::ResponseTemplate;

const PAT: &str = "pat-do-servico";
/// The shortest interval that the service accepts.
const INTERVAL: Duration = Duration::from_secs(10);

/// A server that synchronises `organisation` every [`INTERVAL`].
fn synchronizing(database: &Database<'_>, organisation: &Organisation) -> Program {
    Program::serve(database)
        .env("AZURE_DEVOPS_ORG_URL", organisation.url())
        .env("AZURE_DEVOPS_PAT", PAT)
        .env("SYNC_INTERVAL", INTERVAL.as_secs().to_string())
        .env("METRICS_PORT", "0")
}

async fn organisation_with_a_project() -> Organisation {
    let organisation = Organisation::start().await;
    organisation.add_user(PAT, Some("servico@exemplo.br"));
    let _ = organisation.add_project("Portal");
    organisation
}

async fn until(what: &str, limit: Duration, mut is_so: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < limit, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The value of a series of the job `synchronize_projects`.
async fn metric(metrics: &Api, name: &str) -> f64 {
    let text = metrics.get("/metrics").await.text;
    let series = format!("{name}{{job_name=\"synchronize_projects\"}} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&series));
    value.unwrap_or_else(|| panic!("no {series}: {text}")).parse().unwrap()
}

#[tokio::test]
async fn sync_on_two_replicas_runs_once_per_interval() {
    let organisation = organisation_with_a_project().await;
    let database = Cluster::shared().create_database();
    let started = Instant::now();
    let replicas = [synchronizing(&database, &organisation).start(), synchronizing(&database, &organisation).start()];

    until("three runs", Duration::from_mins(2), async || organisation.calls("/_apis/projects?").await == 3).await;

    assert!(INTERVAL * 2 <= started.elapsed(), "three runs within {:?}", started.elapsed());
    until("the end of a run", Duration::from_secs(30), async || {
        database.query("SELECT concluida_em IS NOT NULL FROM api_aponta.rotinas WHERE nome = 'synchronize_projects'")
            == "t"
    })
    .await;
    for replica in &replicas {
        let projetos = replica.api().get("/api/v1/projetos").await.expect(200);
        assert_eq!(projetos[0]["nome"], "Portal");
        let metrics = replica.wait_for_metrics();
        assert_eq!(metric(&metrics, "aponta_job_interval_seconds").await.to_string(), "10");
        assert_eq!(metric(&metrics, "aponta_job_failures_total").await.to_string(), "0");
    }
}

#[tokio::test]
async fn stop_during_a_sync_ends_in_time_and_leaves_it_to_the_next_replica() {
    let organisation = organisation_with_a_project().await;
    let database = Cluster::shared().create_database();
    organisation.respond_with(Endpoint::Projects, ResponseTemplate::new(200).set_delay(Duration::from_mins(5)));
    let mut server = synchronizing(&database, &organisation).start();
    until("a call", Duration::from_secs(30), async || organisation.calls("/_apis/projects?").await == 1).await;

    server.terminate();

    assert!(server.wait_for(Duration::from_secs(25)).success());
    let lease = "SELECT iniciada_em IS NULL AND reservada_ate IS NULL FROM api_aponta.rotinas WHERE nome = 'synchronize_projects'";
    assert_eq!(database.query(lease), "t");
    organisation.recover();
    let server = synchronizing(&database, &organisation).start();
    server.wait_for_log("projects synchronized");
}

#[tokio::test]
async fn sync_without_its_database_is_counted_and_succeeds_later() {
    let organisation = organisation_with_a_project().await;
    let cluster = Cluster::start();
    let database = cluster.create_database();
    let server = synchronizing(&database, &organisation).start();
    server.wait_for_log("projects synchronized");
    let metrics = server.wait_for_metrics();

    cluster.stop();
    let failures = async || 0.0 < metric(&metrics, "aponta_job_failures_total").await;
    until("a failure", Duration::from_mins(1), failures).await;
    let last_success = metric(&metrics, "aponta_job_last_success_timestamp_seconds").await;
    cluster.restart();

    let success = async || last_success < metric(&metrics, "aponta_job_last_success_timestamp_seconds").await;
    until("a success", Duration::from_mins(1), success).await;
}

/// Nothing of a request outlives its key for long, whether or not another request comes.
#[tokio::test]
async fn expired_idempotency_keys_are_deleted_without_a_request() {
    let database = Cluster::shared().create_database();
    let migrated = Program::new(&["migrate", "up"]).development().env("DATABASE_URL", database.url()).run();
    assert_eq!(migrated.code(), 0, "{}", migrated.stderr());
    database.execute(
        "INSERT INTO api_aponta.idempotencia (usuario, chave, pedido, resposta, criado_em)
         SELECT 'ana', age::text, decode(repeat('00', 32), 'hex'), '{}', now() - age
         FROM (VALUES (interval '25 hours'), (interval '1 hour')) keys (age)",
    );

    let _server = Program::serve(&database).start();

    until("the expiry", Duration::from_secs(30), async || {
        database.query("SELECT string_agg(chave, ' ') FROM api_aponta.idempotencia") == "01:00:00"
    })
    .await;
}
