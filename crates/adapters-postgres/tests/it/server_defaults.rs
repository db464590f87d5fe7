//! Whatever the defaults of server, database and role are, and whoever else writes.

use adapters_postgres::{Config, MigrationState, PostgresDatabase};
use domain::testing::suite::Repositories;
use domain::testing::{NOW, maria, nova_atividade, novo_projeto};
use domain::{AtividadeQuery, AtividadeRecord, Error, ProjetoId, ProjetoPatch, ProjetoRecord, ProjetoRef};
use e2e::postgres::{Cluster, Database};

use crate::support::{assert_unavailable, config, connect, migrated, repositories, schema};

async fn projeto(db: &Repositories) -> ProjetoId {
    let novo = novo_projeto("Portal");
    let record = ProjetoRecord { id: ProjetoId::new(NOW), nome: novo.nome, descricao: novo.descricao, criado_em: NOW };
    db.projetos.insert(record, None).await.unwrap().id
}

fn record(projeto: ProjetoId) -> AtividadeRecord {
    let record = AtividadeRecord::new(nova_atividade("Revisar"), &maria().usuario, NOW);
    AtividadeRecord { projetos: ProjetoRef(projeto.0).into(), ..record }
}

/// Every kind of write on a new connection.
async fn write_all(config: Config) -> Result<(), Error> {
    let db = repositories(&connect(config).await);
    let projeto = projeto(&db).await;
    let atividade = db.atividades.insert(record(projeto)).await?;
    db.atividades.insert_all(vec![record(projeto)], None).await?;
    let patch = ProjetoPatch { nome: Some(domain::testing::nome_projeto("Outro")), ..ProjetoPatch::default() };
    db.projetos.update(projeto, patch, NOW).await?;
    assert!(db.atividades.delete(atividade.id, None).await?);
    db.projetos.synchronize(vec![domain::testing::remote_projeto(1, "Azure")], vec![], NOW).await.map(drop)
}

#[tokio::test]
async fn publication_of_all_tables_allows_every_write() {
    let database = migrated().await;
    database.execute("CREATE PUBLICATION tudo FOR ALL TABLES");

    write_all(config(&database)).await.unwrap();
}

#[tokio::test]
async fn any_default_isolation_allows_every_write() {
    for isolation in ["repeatable read", "serializable", "read uncommitted"] {
        let database = migrated().await;
        let name = database.name();
        database.execute(&format!("ALTER DATABASE {name} SET default_transaction_isolation = '{isolation}'"));

        write_all(config(&database)).await.unwrap();
    }
}

#[tokio::test]
async fn other_defaults_of_the_database_have_no_effect() {
    let database = migrated().await;
    let name = database.name();
    for setting in [
        "search_path = pg_catalog, outra",
        "statement_timeout = '1s'",
        "\"TimeZone\" = 'America/Fortaleza'",
        "\"DateStyle\" = 'SQL, DMY'",
        "bytea_output = 'escape'",
        "standard_conforming_strings = off",
        "client_encoding = 'LATIN1'",
        "plan_cache_mode = 'force_generic_plan'",
    ] {
        database.execute(&format!("ALTER DATABASE {name} SET {setting}"));
    }

    write_all(config(&database)).await.unwrap();
}

#[tokio::test]
async fn database_of_another_encoding_is_an_error_that_names_it() {
    for (encoding, locale) in [("LATIN1", "C"), ("WIN1252", "C"), ("SQL_ASCII", "C")] {
        let name = format!("codificada_{}", encoding.to_lowercase());
        Cluster::shared()
            .execute(&format!("CREATE DATABASE {name} ENCODING '{encoding}' LOCALE '{locale}' TEMPLATE template0"));
        let url = config_url(&name);

        let refused = PostgresDatabase::connect(Config::from_url(&url.into(), schema("s")).unwrap()).await.unwrap_err();

        assert!(!refused.is_temporary(), "{refused}");
        assert!(refused.to_string().contains(encoding) && refused.to_string().contains("UTF8"), "{refused}");
    }
}

fn config_url(database: &str) -> String {
    let cluster = Cluster::shared();
    let (user, password, port) = (Cluster::SUPERUSER, cluster.password(), cluster.port());
    format!("postgresql://{user}:{password}@{}:{port}/{database}", Cluster::HOST)
}

#[tokio::test]
async fn renamed_schema_is_served() {
    let database = migrated().await;
    database.execute("ALTER SCHEMA api_aponta RENAME TO renomeado");
    let config = Config::from_url(&database.url().into(), schema("renomeado")).unwrap();

    connect(config.clone()).await.check_schema().await.unwrap();
    write_all(config).await.unwrap();
}

#[tokio::test]
async fn totals_are_correct_after_a_data_only_restore() {
    let database = migrated().await;
    let db = repositories(&connect(config(&database)).await);
    let projeto = projeto(&db).await;
    db.atividades.insert_all((0..7).map(|_| record(projeto)).collect(), None).await.unwrap();
    let restored = Cluster::shared().create_database();
    let tenant = connect(config(&restored)).await;
    tenant.migrate_up(None).await.unwrap();

    restored.execute(&data_of(&database));

    let page = repositories(&tenant).atividades.list(AtividadeQuery::default()).await.unwrap();
    assert_eq!((page.total, page.items.len()), (7, 7));
    let states = tenant.migration_status().await.unwrap();
    assert!(states.iter().all(|step| step.state == MigrationState::Applied));
}

/// What `pg_dump --data-only` writes of the tables with rows of users.
fn data_of(database: &Database<'_>) -> String {
    let tables = ["-t", "api_aponta.projetos", "-t", "api_aponta.atividades"];
    let dump = std::process::Command::new(Cluster::shared().programs().join("pg_dump"))
        .args(["--data-only", "--inserts"])
        .args(tables)
        .arg(database.url())
        .output()
        .unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let text = String::from_utf8(dump.stdout).unwrap();
    // Newer releases frame the dump with commands of psql, which differ each time.
    text.lines().filter(|line| !line.starts_with('\\')).collect::<Vec<_>>().join("\n")
}

/// The endpoint pointed at a standby for a moment: every open connection has become read-only.
#[tokio::test]
async fn read_only_connection_is_closed_and_the_next_write_succeeds() {
    let database = migrated().await;
    let tenant = connect(config(&database).max_connections(4)).await;
    let db = repositories(&tenant);
    let projeto = projeto(&db).await;
    let reads: Vec<_> = (0..8)
        .map(|_| {
            let projetos = db.projetos.clone();
            tokio::spawn(async move { projetos.find(projeto).await.unwrap() })
        })
        .collect();
    for read in reads {
        read.await.unwrap();
    }
    // As a standby has it: transactions of open sessions and of new ones are read-only.
    let name = database.name().to_owned();
    database.execute(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    database.execute(&format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
    ));
    let readiness = db.readiness.clone();
    assert_unavailable(&db.atividades.insert(record(projeto)).await);
    assert_unavailable(&readiness.check().await);

    database.execute(&format!(
        "SET default_transaction_read_only = off; ALTER DATABASE {name} RESET default_transaction_read_only"
    ));

    for _ in 0..10 {
        db.atividades.insert(record(projeto)).await.unwrap();
    }
    readiness.check().await.unwrap();
}

/// Sessions that are read-only although new ones are not: what a failover leaves in a pool.
#[tokio::test]
async fn write_on_a_read_only_session_is_repeated_on_another() {
    let database = migrated().await;
    let name = database.name().to_owned();
    database.execute(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    let url = format!("{}?target_session_attrs=any", database.url());
    let tenant = connect(Config::from_url(&url.into(), schema("api_aponta")).unwrap().max_connections(4)).await;
    let db = repositories(&tenant);
    let found = db.projetos.find(ProjetoId::new(NOW)).await;
    assert!(found.unwrap().is_none());
    database.execute(&format!(
        "SET default_transaction_read_only = off; ALTER DATABASE {name} RESET default_transaction_read_only"
    ));

    let projeto = projeto(&db).await;

    db.atividades.insert(record(projeto)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_waits_if_the_server_is_at_its_connection_limit() {
    let database = migrated().await;
    let role = format!("limitado_{}", database.name());
    database.execute(&format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'senha' CONNECTION LIMIT 2;
         GRANT USAGE ON SCHEMA api_aponta TO {role};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA api_aponta TO {role}"
    ));
    let url = database
        .url()
        .replace(&format!("{}:{}@", Cluster::SUPERUSER, Cluster::shared().password()), &format!("{role}:senha@"));
    let tenant = connect(Config::from_url(&url.into(), schema("api_aponta")).unwrap().max_connections(10)).await;
    let db = repositories(&tenant);
    let projeto = projeto(&db).await;

    let requests: Vec<_> = (0..120)
        .map(|n| {
            let db = db.clone();
            tokio::spawn(async move {
                match n % 3 {
                    0 => db.atividades.insert(record(projeto)).await.map(drop),
                    1 => db.atividades.list(AtividadeQuery::default()).await.map(drop),
                    _ => db.projetos.find(projeto).await.map(drop),
                }
            })
        })
        .collect();

    for request in requests {
        request.await.unwrap().unwrap();
    }
}
