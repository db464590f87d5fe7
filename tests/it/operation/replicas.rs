//! Several replicas at once, and a schema of another release.

use e2e::postgres::Cluster;
use e2e::server::{Program, Server};

#[tokio::test]
async fn concurrent_replicas_migrate_once() {
    let database = Cluster::shared().create_database();

    let replicas: Vec<Server> = (0..8).map(|_| Program::serve(&database).spawn()).collect();
    let mut migrated = 0;
    for replica in &replicas {
        assert_eq!(replica.api().get("/health").await.status, 200);
        migrated += usize::from(replica.log().contains("create_atividades"));
    }

    assert_eq!(migrated, 1);
    let projeto = replicas[0].api().projeto("Portal").await;
    let id = replicas[1].api().atividade("A", &projeto).await;
    let _ = replicas[7].api().get(&format!("/api/v1/atividades/{id}")).await.expect(200);
}

#[test]
fn newer_schema_is_rejected() {
    let database = Cluster::shared().create_database();
    assert_eq!(Program::new(&["migrate", "up"]).env("DATABASE_URL", database.url()).run().code(), 0);
    database.execute("INSERT INTO api_aponta.seaql_migrations VALUES ('m29991231_000001_do_futuro', 1)");

    let finished = Program::serve(&database).run();

    assert_eq!(finished.code(), 1);
    assert!(finished.stderr().contains("m29991231_000001_do_futuro"), "{}", finished.stderr());
    let status = Program::new(&["migrate", "status"]).env("DATABASE_URL", database.url()).run();
    assert!(status.stdout().contains("do_futuro  unknown to this version"), "{}", status.stdout());
}
