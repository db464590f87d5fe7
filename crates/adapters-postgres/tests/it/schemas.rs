//! Tenants: one schema each, whatever its name.

use adapters_postgres::Config;
use domain::testing::{NOW, remote_projeto};
use domain::{AtividadeQuery, ProjetoId, ProjetoQuery};
use e2e::postgres::Cluster;

use crate::support::{config, connect, repositories, schema};

const NAMES: [&str; 14] = [
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
];

#[tokio::test]
async fn a_schema_may_have_every_name_and_sees_only_itself() {
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
async fn a_schema_that_is_not_there_yet_is_no_reason_not_to_connect() {
    let database = Cluster::shared().create_database();
    let tenant = connect(config(&database)).await;

    repositories(&tenant).readiness.check().await.unwrap();
    tenant.migrate_up(None).await.unwrap();

    assert!(repositories(&tenant).projetos.list(ProjetoQuery::default()).await.unwrap().items.is_empty());
    let elsewhere = database.query("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace");
    assert_eq!(elsewhere, "0", "something was made in public");
}
