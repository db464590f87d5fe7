//! Migrating: at once, without rights, after a newer version, beside other tables, and when it fails.

use adapters_postgres::{Config, MigrationFailure, MigrationState, PostgresDatabase};
use domain::{AtividadeQuery, ProjetoQuery};
use e2e::postgres::{Cluster, Database};

use crate::support::{config, connect, migrated, repositories, schema, transaction, until_blocked};

/// Another role of its own for `database`, named after it.
async fn connect_as_role(database: &Database<'_>, rights: &str) -> PostgresDatabase {
    let role = format!("papel_{}", database.name());
    database.execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'senha'; {}", rights.replace("ROLE", &role)));
    let (port, name) = (Cluster::shared().port(), database.name());
    let url = format!("postgres://{role}:senha@{}:{port}/{name}", Cluster::HOST);
    connect(Config::from_url(&url.into(), schema("api_aponta")).unwrap()).await
}

fn tables(database: &Database<'_>) -> String {
    database.query(
        "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relkind = 'r'
                    AND relnamespace = to_regnamespace('api_aponta')",
    )
}

const ALL_TABLES: &str =
    "apontamentos atividade_projetos atividades escritas idempotencia projetos rotinas seaql_migrations work_items";
/// How many steps there are.
const STEPS: usize = 15;

/// How many of them are newer than release 1.0.0.
const AFTER_RELEASE: usize = STEPS - 5;

#[tokio::test]
async fn migrate_up_and_down_return_the_names_of_their_steps() {
    let database = Cluster::shared().create_database();
    let tenant = connect(config(&database)).await;
    let refused = tenant.check_schema().await.unwrap_err().reason;
    assert!(matches!(&refused, MigrationFailure::Pending(names) if names.len() == STEPS), "{refused:?}");
    assert_eq!(tables(&database), "", "a look changes nothing");

    let first = tenant.migrate_up(Some(1)).await.unwrap();
    assert_eq!(first, ["m20260112_000001_create_projetos"]);
    let states: Vec<_> = tenant.migration_status().await.unwrap().into_iter().map(|step| step.state).collect();
    assert_eq!(states[0], MigrationState::Applied);
    assert!(states[1..].iter().all(|state| *state == MigrationState::Pending), "{states:?}");
    let mut rest = tenant.migrate_up(None).await.unwrap();
    assert_eq!((rest.len(), &*rest[0]), (STEPS - 1, "m20260112_000002_create_atividades"));
    assert!(tenant.migrate_up(None).await.unwrap().is_empty());
    tenant.check_schema().await.unwrap();
    assert_eq!(tables(&database), ALL_TABLES);

    rest.reverse();
    assert_eq!(tenant.migrate_down(Some(u32::try_from(STEPS - 1).unwrap())).await.unwrap(), rest);
    assert_eq!(tables(&database), "projetos seaql_migrations");
    assert_eq!(tenant.migrate_down(None).await.unwrap(), first);
    assert_eq!(tables(&database), "");
    assert!(tenant.migrate_down(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn concurrent_migrations_apply_each_step_once() {
    let database = Cluster::shared().create_database();
    let mut replicas = vec![];
    for _ in 0..8 {
        replicas.push(connect(config(&database)).await);
    }

    let starts: Vec<_> = replicas
        .into_iter()
        .map(|replica| {
            tokio::spawn(async move {
                let taken = replica.migrate_up(None).await.unwrap();
                replica.check_schema().await.unwrap();
                repositories(&replica).projetos.list(ProjetoQuery::default()).await.unwrap();
                taken.len()
            })
        })
        .collect();
    let mut taken = vec![];
    for start in starts {
        taken.push(start.await.unwrap());
    }

    taken.sort_unstable();
    assert_eq!(taken, [0, 0, 0, 0, 0, 0, 0, STEPS]);
    assert_eq!(tables(&database), ALL_TABLES);
}

#[tokio::test]
async fn newer_schema_is_an_error_that_names_the_steps() {
    let database = migrated().await;
    let tenant = connect(config(&database)).await;
    database.execute("INSERT INTO api_aponta.seaql_migrations VALUES ('m20990101_000001_futuro', 0)");

    let refusals = [
        tenant.check_schema().await.unwrap_err(),
        tenant.migrate_up(None).await.unwrap_err(),
        tenant.migrate_down(None).await.unwrap_err(),
    ];

    for refusal in refusals {
        assert!(matches!(&refusal.reason, MigrationFailure::Newer(names) if *names == ["m20990101_000001_futuro"]));
        assert!(refusal.to_string().contains("m20990101_000001_futuro"), "{refusal}");
    }
    let last = tenant.migration_status().await.unwrap().pop().unwrap();
    assert_eq!((last.name.as_str(), last.state), ("m20990101_000001_futuro", MigrationState::Unknown));
    assert_eq!(tables(&database), ALL_TABLES);
}

#[tokio::test]
async fn role_without_create_on_database_migrates_an_existing_schema() {
    let database = Cluster::shared().create_database();
    let tenant = connect_as_role(&database, "CREATE SCHEMA api_aponta; GRANT ALL ON SCHEMA api_aponta TO ROLE").await;

    assert_eq!(tenant.migrate_up(None).await.unwrap().len(), STEPS);
    tenant.check_schema().await.unwrap();
}

#[tokio::test]
async fn role_with_table_privileges_starts_on_a_complete_schema() {
    let database = migrated().await;
    let rights = "GRANT USAGE ON SCHEMA api_aponta TO ROLE;
                  GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA api_aponta TO ROLE";
    let tenant = connect_as_role(&database, rights).await;

    assert!(tenant.migrate_up(None).await.unwrap().is_empty());
    let db = repositories(&tenant);
    db.projetos.synchronize(vec![domain::testing::remote_projeto(1, "A")], vec![], domain::testing::NOW).await.unwrap();
    assert_eq!(db.projetos.list(ProjetoQuery::default()).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn role_without_privileges_gets_an_error_that_names_them() {
    let cases = ["", "CREATE SCHEMA api_aponta", "CREATE SCHEMA api_aponta; GRANT USAGE ON SCHEMA api_aponta TO ROLE"];

    for rights in cases {
        let database = Cluster::shared().create_database();
        let refused = connect_as_role(&database, rights).await.migrate_up(None).await.unwrap_err();

        assert!(matches!(refused.reason, MigrationFailure::Forbidden(_)), "{rights:?}: {refused:?}");
        assert!(refused.to_string().contains("USAGE and CREATE"), "{refused}");
    }
}

#[tokio::test]
async fn failed_step_changes_nothing() {
    let database = Cluster::shared().create_database();
    // The second step finds its index taken, long after the first one has made its table.
    database.execute(
        "CREATE SCHEMA api_aponta; CREATE TABLE api_aponta.outra (id int);
         CREATE INDEX atividades_criado_em_idx ON api_aponta.outra (id);",
    );
    let tenant = connect(config(&database)).await;

    let failed = tenant.migrate_up(None).await.unwrap_err();

    assert!(matches!(failed.reason, MigrationFailure::Failed(_)), "{failed:?}");
    assert!(failed.to_string().contains("42P07") && !failed.to_string().contains('\n'), "{failed}");
    assert_eq!(tables(&database), "outra");
    database.execute("DROP TABLE api_aponta.outra");
    assert_eq!(tenant.migrate_up(None).await.unwrap().len(), STEPS, "the lock is free again");
}

#[tokio::test]
async fn foreign_tables_are_an_error_that_names_them() {
    let database = Cluster::shared().create_database();
    database.execute("CREATE SCHEMA api_aponta; CREATE TABLE api_aponta.projetos (id int, external_id text)");
    let tenant = connect(config(&database)).await;

    let refused = tenant.migrate_up(None).await.unwrap_err();

    assert!(matches!(&refused.reason, MigrationFailure::Foreign(names) if *names == ["projetos"]), "{refused:?}");
    assert!(refused.to_string().contains("DATABASE_SCHEMA"), "{refused}");
    assert_eq!(tables(&database), "projetos");
}

#[tokio::test]
async fn migration_ignores_the_statement_timeout() {
    let database = Cluster::shared().create_database();
    let bound = std::time::Duration::from_millis(50);
    let (first, second) = (
        connect(config(&database).statement_timeout(bound)).await,
        connect(config(&database).statement_timeout(bound)).await,
    );
    first.migrate_up(Some(1)).await.unwrap();
    let blocker = transaction(&database, "LOCK TABLE api_aponta.projetos").await;

    let first = tokio::spawn(async move { first.migrate_up(None).await });
    let second = tokio::spawn(async move { second.migrate_up(None).await });
    // Both have waited for longer than their statements may take, one for the table and one for the other.
    until_blocked(&database, 2, "200 ms").await;
    blocker.end("ROLLBACK").await;

    assert_eq!(first.await.unwrap().unwrap().len() + second.await.unwrap().unwrap().len(), STEPS - 1);
}

/// What the release before left behind, with rows in it: its triggers, functions and kept totals.
const RELEASE_1_0_0: &str = include_str!("../fixtures/release_1_0_0.sql");

/// What the release before reads for `total`.
const KEPT_TOTAL: &str = "SELECT sum(total) FROM api_aponta.atividades_contagem WHERE id_projeto IS NULL";

fn routines(database: &Database<'_>) -> String {
    database.query(
        "SELECT proname || ' ' || lanname FROM pg_proc JOIN pg_language l ON l.oid = prolang
         WHERE pronamespace = to_regnamespace('api_aponta') ORDER BY 1;
         SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
    )
}

#[tokio::test]
async fn database_of_release_1_0_0_migrates_up_and_down_with_its_rows() {
    let database = Cluster::shared().create_database();
    database.execute(RELEASE_1_0_0);
    assert_eq!(database.query(KEPT_TOTAL), "30");
    let tenant = connect(config(&database)).await;
    let total = async || repositories(&tenant).atividades.list(AtividadeQuery::default()).await.unwrap().total;

    assert_eq!(tenant.migrate_up(None).await.unwrap()[0], "m20261126_000006_plain_schema");
    assert_eq!((tables(&database).as_str(), total().await), (ALL_TABLES, 30));
    assert_eq!(routines(&database), "sem_acentos sql");

    // The release before can go on, from its own schema, with numbers that are right.
    tenant.migrate_down(Some(u32::try_from(AFTER_RELEASE).unwrap())).await.unwrap();
    assert_eq!(database.query(KEPT_TOTAL), "30");
    database.execute(
        "INSERT INTO api_aponta.atividades (id, nome, id_projeto, criado_em, atualizado_em)
         SELECT gen_random_uuid(), 'Nova', id, now(), now() FROM api_aponta.projetos LIMIT 1",
    );
    assert_eq!(database.query(KEPT_TOTAL), "31");
    let ranges =
        "SELECT count(*) FROM api_aponta.atividades_faixas JOIN api_aponta.atividades_faixas_contagem USING (faixa)";
    assert_eq!((database.query(ranges).as_str(), &*database.query("SELECT api_aponta.fechar_faixa(5000)")), ("0", "f"));

    assert_eq!(tenant.migrate_up(None).await.unwrap().len(), AFTER_RELEASE);
    assert_eq!((routines(&database).as_str(), total().await), ("sem_acentos sql", 31));
    assert_eq!(tenant.migrate_down(None).await.unwrap().len(), STEPS);
    assert_eq!((tables(&database).as_str(), routines(&database).as_str()), ("", ""));
}

#[tokio::test]
async fn database_of_release_1_0_0_migrates_down_from_every_state() {
    for down in 1..=STEPS {
        let database = Cluster::shared().create_database();
        database.execute(RELEASE_1_0_0);
        let tenant = connect(config(&database)).await;
        tenant.migrate_up(None).await.unwrap();

        let steps = u32::try_from(down).unwrap();
        assert_eq!(tenant.migrate_down(Some(steps)).await.unwrap().len(), down);
        assert_eq!(tenant.migrate_up(None).await.unwrap().len(), down, "{down} steps up again");

        tenant.check_schema().await.unwrap();
        assert_eq!((tables(&database).as_str(), routines(&database).as_str()), (ALL_TABLES, "sem_acentos sql"));
    }
}

#[tokio::test]
async fn every_table_has_a_primary_key() {
    let database = migrated().await;

    let without = database.query(
        "SELECT relname FROM pg_class c WHERE relkind IN ('r', 'p') AND relnamespace = 'api_aponta'::regnamespace
         AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary)",
    );

    assert_eq!(without, "");
}
