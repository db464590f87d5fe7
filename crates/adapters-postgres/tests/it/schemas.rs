//! Schemas of tenants.

use adapters_postgres::{Config, InvalidSchemaName, SchemaName};
use domain::testing::{NOW, remote_projeto};
use domain::{AtividadeQuery, ProjetoId, ProjetoQuery};
use e2e::postgres::Cluster;

use crate::support::{config, connect, repositories, schema};

const NAMES: [&str; 15] = [
    "api_aponta",
    "API_Aponta",
    "a\"b",
    "\"",
    "a'b",
    "a b",
    "50%",
    "%s",
    "ação 🦀",
    "a.b",
    "a\\b",
    "a, public",
    "a\tb\nc",
    "select",
    "a$body$b",
];

#[tokio::test]
async fn schema_with_any_name_sees_only_itself() {
    let database = Cluster::shared().create_database();
    let url = database.url().into();

    for (n, name) in (1..).zip(NAMES) {
        let tenant = connect(Config::from_url(&url, schema(name)).unwrap()).await;
        tenant.migrate_up(None).await.unwrap();
        let db = repositories(&tenant);

        let projeto = db.projetos.store_remote(remote_projeto(n, "Portal"), NOW).await.unwrap();
        db.projetos.synchronize(vec![remote_projeto(n, "Portal novo")], vec![], NOW).await.unwrap();

        let listed = db.projetos.list(ProjetoQuery::default()).await.unwrap().items;
        assert_eq!(listed.iter().map(|p| p.id).collect::<Vec<_>>(), [projeto.id], "{name:?}");
        assert_eq!(db.atividades.list(AtividadeQuery::default()).await.unwrap().total, 0);
        assert_eq!(db.projetos.find(ProjetoId(remote_projeto(n - 1, "Portal").id.get())).await.unwrap(), None);
        tenant.close().await;
    }
    let mut expected = NAMES;
    expected.sort_unstable();
    let schemas = database.query(
        "SELECT to_json(n.nspname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE relname = 'projetos' ORDER BY n.nspname COLLATE \"C\"",
    );
    let schemas: Vec<String> = schemas.lines().map(|name| serde_json::from_str(name).unwrap()).collect();
    assert_eq!(schemas, expected);
}

#[tokio::test]
async fn connect_succeeds_before_the_schema_exists() {
    let database = Cluster::shared().create_database();
    let tenant = connect(config(&database)).await;

    repositories(&tenant).readiness.check().await.unwrap();
    tenant.migrate_up(None).await.unwrap();

    assert!(repositories(&tenant).projetos.list(ProjetoQuery::default()).await.unwrap().items.is_empty());
    let elsewhere = database.query("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace");
    assert_eq!(elsewhere, "0", "something was made in public");
}

#[test]
fn schema_name_that_postgresql_accepts_is_valid() {
    for name in
        ["api_aponta", "Tenant 1", "a\"b", "a'b", "50%", "ação", "a.b", "a\\b", "public", " ", "a\tb\n", "a$body$b"]
    {
        assert_eq!(SchemaName::parse(name).map(|schema| schema.as_str().to_owned()), Ok(name.to_owned()));
    }
    assert!(SchemaName::parse(&"a".repeat(63)).is_ok());
}

#[test]
fn schema_name_that_postgresql_would_read_differently_is_an_error() {
    let cases = [
        ("", InvalidSchemaName::Empty),
        ("a\0b", InvalidSchemaName::ContainsNul),
        (&"a".repeat(64), InvalidSchemaName::TooLong),
        (&"ç".repeat(32), InvalidSchemaName::TooLong),
        ("pg_tenant", InvalidSchemaName::Reserved),
        ("information_schema", InvalidSchemaName::Reserved),
        ("$user", InvalidSchemaName::Reserved),
    ];
    for (name, expected) in cases {
        assert_eq!(SchemaName::parse(name), Err(expected), "{name:?}");
    }
}
