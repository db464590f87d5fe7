//! Schemas, passwords, and a database that is not there.

use e2e::postgres::Cluster;
use e2e::server::Program;
use serde_json::json;

#[tokio::test]
async fn password_with_any_character_connects() {
    let cluster = Cluster::shared();
    let database = cluster.create_database();
    let password = "p%40 %a/b:c@d?e#f'g\"h\\&ç";
    cluster.execute(&format!("CREATE ROLE \"ana\" LOGIN PASSWORD '{}'", password.replace('\'', "''")));
    database.execute(&format!("GRANT CREATE ON DATABASE {} TO ana", database.name()));
    let encoded = password.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();

    let url = format!("postgresql://ana:{encoded}@{}:{}/{}", Cluster::HOST, cluster.port(), database.name());
    let by_url = Program::new(&["serve"]).development().env("DATABASE_URL", url).start();
    let by_parts = Program::new(&["serve"])
        .development()
        .env("DATABASE_HOST", Cluster::HOST)
        .env("DATABASE_PORT", cluster.port().to_string())
        .env("DATABASE_NAME", database.name())
        .env("DATABASE_USER", "ana")
        .env("DATABASE_PASSWORD", password)
        .start();

    for server in [by_url, by_parts] {
        assert_eq!(server.api().get("/health").await.status, 200);
    }
}

#[tokio::test]
async fn schema_with_any_valid_name_is_used() {
    let database = Cluster::shared().create_database();
    for schema in
        ["com\"aspas", "com%porcento", "Maiúscula", "com espaço", "select", "a.b", "x'); DROP SCHEMA public; --"]
    {
        let server = Program::serve(&database).env("DATABASE_SCHEMA", schema).start();
        let projeto = server.api().projeto("Portal").await;
        server.api().atividade("A", &projeto).await;

        let literal = schema.replace('\'', "''");
        let tables = format!("SELECT count(*) FROM information_schema.tables WHERE table_schema = '{literal}'");
        assert!(database.query(&tables).parse::<u32>().unwrap() >= 3, "{schema}");
    }
    assert_eq!(database.query("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"), "0");

    let long = Program::serve(&database).env("DATABASE_SCHEMA", "a".repeat(64)).run();
    assert_eq!(long.code(), 1);
    assert!(long.stderr().contains("DATABASE_SCHEMA"), "{}", long.stderr());
}

#[tokio::test]
async fn tenants_of_one_database_are_isolated() {
    let database = Cluster::shared().create_database();
    let tenant = |schema: &str| Program::serve(&database).env("DATABASE_SCHEMA", schema).start();
    let (first, second) = (tenant("primeiro"), tenant("segundo"));

    let projeto = first.api().projeto("Portal").await;
    first.api().atividade("A", &projeto).await;

    assert_eq!(second.api().get("/api/v1/projetos").await.expect(200), json!([]));
    assert_eq!(second.api().get("/api/v1/atividades").await.expect(200)["total"], 0);
    let body = json!({"nome": "B", "id_projeto": projeto});
    assert_eq!(second.api().post("/api/v1/atividades", &body).await.status, 400);
}

#[test]
fn unreachable_database_is_named_without_its_password() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let cluster = Cluster::shared();
    let urls = [
        format!("postgresql://ana:segredo@{free}/aponta"),
        format!("postgresql://postgres:segredo@{}:{}/postgres", Cluster::HOST, cluster.port()),
        format!("postgresql://postgres:{}@{}:{}/nenhum", cluster.password(), Cluster::HOST, cluster.port()),
    ];
    for url in urls {
        let finished = Program::new(&["migrate", "status"]).env("DATABASE_URL", url).run();

        let said = finished.stderr();
        assert_eq!((finished.code(), said.lines().count()), (1, 1), "{said}");
        assert!(said.contains("cannot connect to PostgreSQL at 127.0.0.1:"), "{said}");
        assert!(!said.contains("segredo") && !said.contains(cluster.password()), "{said}");
    }
}
