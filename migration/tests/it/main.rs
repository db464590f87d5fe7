//! Every step on a real PostgreSQL: up, down and up again, and what the database itself refuses.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic, and so does what it shares with others")]

use e2e::postgres::{Cluster, Database};
use migration::Migrator;
use sea_orm_migration::MigratorTrait;
use sea_orm_migration::sea_orm::{self, DatabaseConnection};

mod checks;

async fn connect(database: &Database<'_>) -> DatabaseConnection {
    sea_orm::Database::connect(database.url()).await.unwrap()
}

/// Everything in the schema: tables with their columns, constraints and indexes.
fn schema(database: &Database<'_>) -> String {
    database.query(
        "SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)
         FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid
         LEFT JOIN pg_attrdef d ON (adrelid, adnum) = (attrelid, attnum)
         WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped ORDER BY relname, attnum;
         SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
         WHERE connamespace = 'public'::regnamespace ORDER BY conname;
         SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY proname;
         SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace ORDER BY typname;",
    )
}

/// Steps that do nothing any more: they stand for what databases of release 1.0.0 have, which `plain_schema` removes. The
/// tests of the adapter begin with such a database.
const RETIRED: [&str; 3] =
    ["m20261123_000004_count_atividades", "m20261124_000005_count_one_quickly", "m20261126_000006_plain_schema"];

#[tokio::test]
async fn step_up_down_and_up_restores_the_schema() {
    let database = Cluster::shared().create_database();
    let db = connect(&database).await;
    Migrator::install(&db).await.unwrap();

    for migration in Migrator::migrations() {
        let before = schema(&database);
        Migrator::up(&db, Some(1)).await.unwrap();
        let after = schema(&database);
        if RETIRED.contains(&migration.name()) {
            assert_eq!(after, before, "{} does something", migration.name());
            continue;
        }
        assert_ne!(after, before, "{} does nothing", migration.name());

        Migrator::down(&db, Some(1)).await.unwrap();
        assert_eq!(schema(&database), before, "down of {} leaves something behind", migration.name());
        Migrator::up(&db, Some(1)).await.unwrap();
        assert_eq!(schema(&database), after, "{} differs the second time", migration.name());
    }
    assert!(Migrator::get_pending_migrations(&db).await.unwrap().is_empty());
}

/// Returns the number of the steps from `name` on.
fn steps_from(name: &str) -> u32 {
    let steps = Migrator::migrations();
    u32::try_from(steps.iter().rev().take_while(|step| step.name() != name).count()).unwrap() + 1
}

/// Versions that know one projeto of an atividade find the first one, and nothing else is lost.
#[tokio::test]
async fn atividades_keep_their_first_projeto_down_and_up() {
    let database = Cluster::shared().create_database();
    let db = connect(&database).await;
    let steps = steps_from("m20261127_000013_create_atividade_projetos");
    Migrator::up(&db, None).await.unwrap();
    Migrator::down(&db, Some(steps)).await.unwrap();
    database.execute(
        "INSERT INTO projetos (id, nome, criado_em, atualizado_em)
         SELECT gen_random_uuid(), nome, now(), now() FROM unnest(ARRAY['A', 'B']) AS nome;
         INSERT INTO atividades (id, nome, id_projeto, criado_em, atualizado_em)
         SELECT gen_random_uuid(), 'Revisar', id, now(), now() FROM projetos WHERE nome = 'B'",
    );
    let atividades = || {
        database
            .query("SELECT a.nome, p.nome, a.atualizado_em FROM atividades a JOIN projetos p ON p.id = a.id_projeto")
    };
    let before = atividades();
    assert!(before.starts_with("Revisar|B|"), "{before}");

    Migrator::up(&db, None).await.unwrap();
    assert_eq!(
        (atividades(), database.query("SELECT count(*) FROM atividade_projetos")),
        (before.clone(), "0".to_owned())
    );
    database.execute(
        "INSERT INTO atividade_projetos (id_atividade, id_projeto, lugar)
         SELECT a.id, p.id, 1 FROM atividades a, projetos p WHERE p.nome = 'A'",
    );
    Migrator::down(&db, Some(steps)).await.unwrap();
    assert_eq!(atividades(), before);
    Migrator::up(&db, None).await.unwrap();
    assert_eq!((atividades(), database.query("SELECT count(*) FROM atividade_projetos")), (before, "0".to_owned()));
}

/// A stored column keeps the value of the function that computed it, so the step computes it again.
#[tokio::test]
async fn folding_the_final_sigma_changes_the_rows_that_have_one() {
    let database = Cluster::shared().create_database();
    let db = connect(&database).await;
    Migrator::up(&db, None).await.unwrap();
    let one_further = steps_from("m20261127_000014_fold_final_sigma");
    Migrator::down(&db, Some(one_further)).await.unwrap();
    database.execute(
        "INSERT INTO projetos (id, nome, criado_em, atualizado_em)
         SELECT gen_random_uuid(), nome, now(), now() FROM unnest(ARRAY['ΟΔΟΣ', 'Ação']) AS nome",
    );
    let keys = || database.query("SELECT nome_busca FROM projetos ORDER BY nome_busca");
    assert_eq!(keys(), "acao\nοδος");

    Migrator::up(&db, None).await.unwrap();
    assert_eq!(keys(), "acao\nοδοσ");
    Migrator::down(&db, Some(one_further)).await.unwrap();
    assert_eq!(keys(), "acao\nοδος");
}

#[tokio::test]
async fn all_steps_down_leave_an_empty_schema() {
    let database = Cluster::shared().create_database();
    let db = connect(&database).await;
    let empty = schema(&database);

    Migrator::up(&db, None).await.unwrap();
    assert_ne!(schema(&database), empty);
    Migrator::reset(&db).await.unwrap();

    assert_eq!(schema(&database), empty);
}

#[tokio::test]
async fn step_names_are_unique_and_sorted() {
    let names: Vec<_> = Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();

    assert!(names.is_sorted_by(|earlier, later| earlier < later), "{names:?}");
}
