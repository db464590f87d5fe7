//! Where the old tables are: in our own schema, in another one, in another database.

use adapters_postgres::{Config, FastApiImport, ImportError, ImportOutcome, ImportRequest, PostgresDatabase};
use e2e::fastapi::Form;
use e2e::postgres::Cluster;

use super::{OLD, applied, given, import, old_rows, request};
use crate::support::{config, schema};

const OWN: &str = "api_aponta";

#[tokio::test]
async fn tables_in_our_own_schema_move_aside_and_back() {
    for form in Form::ALL {
        let database = given(form, OWN);
        database.execute(&format!("CREATE VIEW {OWN}.relatorio AS SELECT count(*) FROM {OWN}.atividades"));
        let before = old_rows(&database, OWN);
        let service = PostgresDatabase::connect(config(&database)).await.unwrap();
        assert!(service.check_schema().await.is_err());

        let _ = applied(import(&database, request(OWN)).await.unwrap().0);

        service.check_schema().await.unwrap();
        assert_eq!(old_rows(&database, "api_aponta_fastapi"), before, "{form:?}");
        assert_eq!(
            database.query("SELECT * FROM api_aponta_fastapi.relatorio"),
            "4",
            "{form:?}: other objects move along"
        );
        let again = import(&database, request(OWN)).await.unwrap().0;
        assert!(matches!(again, ImportOutcome::DoneBefore(_)), "{again:?}");
        let changes =
            applied(import(&database, ImportRequest { again: true, ..request(OWN) }).await.unwrap().0).changes;
        assert_eq!(changes, []);

        let counted = FastApiImport::new(config(&database)).undo(false).await.unwrap();
        service.check_schema().await.unwrap();
        let undone = FastApiImport::new(config(&database)).undo(true).await.unwrap();
        assert_eq!((&counted, undone.newer, undone.is_moved_back), (&undone, 0, true));
        assert_eq!(old_rows(&database, OWN), before, "{form:?}");
        let kept = database.query("SELECT count(*) FROM api_aponta_aponta.atividades");
        assert_eq!(
            (kept.as_str(), database.query("SELECT to_regnamespace('api_aponta_fastapi') IS NULL").as_str()),
            ("4", "t")
        );
        // The way back is open only once: the next one would overwrite what is kept.
        let _ = applied(import(&database, request(OWN)).await.unwrap().0);
        let error = FastApiImport::new(config(&database)).undo(true).await.unwrap_err();
        assert!(matches!(&error, ImportError::Refused(reason) if reason.contains("api_aponta_aponta")), "{error}");
    }
}

#[tokio::test]
async fn undo_tells_how_many_rows_are_newer_and_keeps_them() {
    let database = given(Form::Second, OLD);
    let _ = applied(import(&database, request(OLD)).await.unwrap().0);
    database.execute(
        "UPDATE api_aponta.apontamentos SET minutos = 1 WHERE id::text LIKE '%1';
         DELETE FROM api_aponta.apontamentos WHERE id::text LIKE '%2';
         UPDATE api_aponta.atividades SET nome = 'Nova' WHERE id::text LIKE '%1';
         INSERT INTO api_aponta.atividade_projetos VALUES
             ('20000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000003', 1)",
    );

    let undone = FastApiImport::new(config(&database)).undo(true).await.unwrap();

    assert_eq!((undone.newer, undone.is_moved_back, undone.kept_in), (4, false, schema("api_aponta_aponta")));
    assert_eq!(database.query("SELECT minutos FROM api_aponta_aponta.apontamentos WHERE id::text LIKE '%1'"), "1");
    assert_eq!(database.query("SELECT to_regnamespace('api_aponta') IS NULL"), "t");
}

#[tokio::test]
async fn another_database_is_read_and_left_as_it_is() {
    let old = given(Form::Second, OLD);
    old.execute(&format!("ALTER DATABASE {} SET timezone = 'America/Fortaleza'", old.name()));
    let before = old_rows(&old, OLD);
    let database = Cluster::shared().create_database();
    let from = Some(Config::from_url(&old.url().into(), schema("public")).unwrap());

    let (outcome, _) =
        import(&database, ImportRequest { from: from.clone(), schema: None, ..request(OLD) }).await.unwrap();

    assert_eq!(applied(outcome).time_zone, "America/Fortaleza");
    assert_eq!(database.query("SELECT count(*), sum(minutos) FROM api_aponta.apontamentos"), "6|2564");
    assert_eq!(old_rows(&old, OLD), before);
    // The same schema by URL is recognised as our own.
    let own = given(Form::First, OWN);
    let from = Some(Config::from_url(&own.url().into(), schema("public")).unwrap());
    let _ = applied(import(&own, ImportRequest { from, schema: None, ..request(OWN) }).await.unwrap().0);
    assert_eq!(own.query("SELECT count(*) FROM api_aponta_fastapi.atividades"), "4");
}

#[tokio::test]
async fn import_into_a_schema_in_use_keeps_its_rows() {
    let database = given(Form::Second, OLD);
    let service = PostgresDatabase::connect(config(&database)).await.unwrap();
    service.migrate_up(None).await.unwrap();
    // A project that was synchronised before, an activity of our own, and one with an id of the old service.
    database.execute(
        "INSERT INTO api_aponta.projetos (id, azure_project_id, nome, sincronizado_em, criado_em, atualizado_em)
         VALUES ('a0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'Mais novo', now(), now(), now());
         INSERT INTO api_aponta.atividades (id, nome, id_projeto, criado_em, atualizado_em)
         SELECT id::uuid, 'Daqui', 'a0000000-0000-4000-8000-000000000001', now(), now()
         FROM (VALUES ('20000000-0000-4000-8000-000000000004'), ('20000000-0000-4000-8000-00000000000f')) a (id)",
    );

    let (outcome, decisions) = import(&database, request(OLD)).await.unwrap();

    let _ = applied(outcome);
    assert_eq!(database.query("SELECT nome FROM api_aponta.projetos WHERE id::text LIKE 'a%1'"), "Mais novo");
    assert_eq!(
        database.query("SELECT count(*), count(*) FILTER (WHERE nome = 'Daqui') FROM api_aponta.atividades"),
        "5|2"
    );
    let stays = decisions.iter().find(|decision| decision.decision.contains("its row stays")).unwrap();
    assert!(stays.id.as_ref().unwrap().ends_with('4'), "{stays:?}");
    assert_eq!(database.query("SELECT count(*) FROM api_aponta.apontamentos"), "6");
}

#[tokio::test]
async fn two_imports_at_the_same_time_import_once() {
    let database = given(Form::Second, OWN);
    let imports = [1, 2, 3].map(|_| {
        let import = FastApiImport::new(config(&database));
        tokio::spawn(async move { import.run(request(OWN), |_| Ok(())).await })
    });

    let mut done = Vec::new();
    for import in imports {
        done.push(import.await.unwrap());
    }

    let count = |is: fn(&ImportOutcome) -> bool| {
        done.iter().filter_map(|outcome| outcome.as_ref().ok()).filter(|o| is(o)).count()
    };
    let counts =
        (count(|o| matches!(o, ImportOutcome::Applied(_))), count(|o| matches!(o, ImportOutcome::DoneBefore(_))));
    assert_eq!(counts, (1, 2), "{done:?}");
    assert_eq!(database.query("SELECT count(*) FROM api_aponta.apontamentos"), "6");
}

#[tokio::test]
async fn error_while_the_report_is_written_changes_nothing() {
    let database = given(Form::Second, OWN);
    let before = old_rows(&database, OWN);

    let failed =
        FastApiImport::new(config(&database)).run(request(OWN), |_| Err(std::io::Error::other("disk full"))).await;

    assert!(matches!(failed, Err(ImportError::Output(_))), "{failed:?}");
    assert_eq!(old_rows(&database, OWN), before);
}
