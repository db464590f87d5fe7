//! `aponta import`: from the tables of the old service to a service that serves them, and back.

mod places;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use e2e::fastapi::Form;
use e2e::postgres::{Cluster, Database};
use e2e::server::{Aponta, Directory, Finished, Program};
use serde_json::json;

const OWN: &str = "api_aponta";

fn command(database: &Database<'_>, arguments: &[&str]) -> Program {
    Program::new(&[&["import"], arguments].concat()).env("DATABASE_URL", database.url())
}

fn import(database: &Database<'_>, arguments: &[&str]) -> Finished {
    command(database, arguments).run()
}

#[track_caller]
fn printed(finished: &Finished) -> String {
    assert_eq!(finished.code(), 0, "{}", finished.stderr());
    finished.stdout()
}

fn given(form: Form) -> Database<'static> {
    let database = Cluster::shared().create_database();
    database.execute(&format!("{}{}", form.tables(OWN), form.rows()));
    database
}

/// The procedure of the runbook: dry run, import, the service responds with the same ids, names and hours, and back.
#[tokio::test]
async fn the_move_and_the_way_back() {
    let database = given(Form::Second);
    let old_entries = "SELECT id, duracao, comentario FROM api_aponta.apontamentos ORDER BY id";
    let before = database.query(old_entries);
    let refused = Program::serve(&database).run();
    assert!(refused.code() == 1 && refused.stderr().contains("aponta import"), "{}", refused.stderr());

    let dry = printed(&import(&database, &["--from", OWN]));
    assert!(dry.ends_with("nothing was changed: --yes imports\n"), "{dry}");
    for line in [
        "found         second generation",
        "rows          projetos 3, atividades 4, atividade_projeto 6, apontamentos 6, organization_pats 1",
        "decision      1 organization_pats: the encrypted token is not taken: revoke it",
        "hours         by 3 persons: 42:44 before, 42:44 after, equal",
        "clients       ",
    ] {
        assert!(dry.contains(line), "{line}: {dry}");
    }
    assert_eq!(database.query(old_entries), before);
    let done = printed(&import(&database, &["--from", OWN, "--yes"]));
    assert_eq!(done.strip_suffix("imported\n"), dry.strip_suffix("nothing was changed: --yes imports\n"));
    assert!(printed(&import(&database, &["--from", OWN, "--yes"])).starts_with("imported before, on "));

    let mut server = Program::serve(&database).start();
    let api = server.api();
    let entry = api.get("/api/v1/apontamentos/30000000-0000-4000-8000-000000000002").await.expect(200);
    let fields = ["project_id", "duracao", "comentario", "usuario_id", "data_apontamento", "criado_em"];
    let expected = [
        "a0000000-0000-4000-8000-000000000001",
        "08:00",
        "Correção",
        "ana",
        "2026-11-24",
        "2026-11-26T15:00:00.123456Z",
    ];
    assert_eq!(fields.map(|field| entry[field].clone()), expected.map(|text| json!(text)));
    let atividade = api.get("/api/v1/atividades/20000000-0000-4000-8000-000000000001").await.expect(200);
    let projetos: Vec<_> =
        atividade["projetos"].as_array().unwrap().iter().map(|projeto| projeto["nome"].clone()).collect();
    assert_eq!(projetos, ["Projeto 2", "Projeto 1", "Projeto 3"]);
    let report = api.get("/api/v1/relatorios/horas?agrupar=usuario&de=2024-01-01&ate=2026-12-31").await.expect(200);
    let minutes =
        report["linhas"].as_array().into_iter().flatten().map(|line| line["minutos"].as_u64().unwrap()).sum::<u64>();
    assert_eq!(minutes, 2564, "{report}");
    let new = json!({"work_item_id": 1, "project_id": "a0000000-0000-4000-8000-000000000001", "organization_name": "exemplo",
                     "duracao": "01:00", "data_apontamento": "2026-11-25", "id_atividade": "20000000-0000-4000-8000-000000000001"});
    let _ = api.post("/api/v1/apontamentos", &new).await.expect(201);
    server.terminate();
    server.wait();

    let counted = printed(&import(&database, &["--undo"]));
    assert!(
        counted.contains("newer rows    1 were") && counted.ends_with("nothing was changed: --yes undoes the import\n")
    );
    assert!(printed(&import(&database, &["--undo", "--yes"])).ends_with("undone\n"));
    assert_eq!(database.query(old_entries), before);
    assert_eq!(database.query("SELECT count(*) FROM api_aponta_aponta.apontamentos"), "7");
}

/// Another database is followed while its service goes on, and a service that runs has the rows at once.
#[tokio::test]
async fn another_database_is_followed_until_the_switch() {
    let old = Cluster::shared().create_database();
    old.execute(&format!("{}{}", Form::SecondByOrm.tables("aponta_sefaz"), Form::SecondByOrm.rows()));
    let directory = Directory::new();
    let file = directory.path().join("old_database_url");
    fs::write(&file, format!("{}\n", old.url())).unwrap();
    let from = format!("@{}", file.to_str().unwrap());
    let Aponta { api, database, server: _server } = &Aponta::start();
    let hours = async || {
        let report = api.get("/api/v1/relatorios/horas?agrupar=usuario&de=2024-01-01&ate=2026-12-31").await.expect(200);
        report["linhas"].as_array().unwrap().iter().map(|line| line["minutos"].as_u64().unwrap()).sum::<u64>()
    };

    let first = printed(&import(database, &["--from", &from, "--yes"]));
    assert!(first.contains("in the schema \"aponta_sefaz\"") && first.ends_with("imported\n"), "{first}");
    assert_eq!(hours().await, 2564);
    old.execute(
        "SET search_path = aponta_sefaz;
         UPDATE apontamentos SET duracao = '07:00' WHERE id::text LIKE '%2'; DELETE FROM apontamentos WHERE id::text LIKE '%1'",
    );
    assert!(printed(&import(database, &["--from", &from, "--yes"])).starts_with("imported before"));
    assert_eq!(hours().await, 2564);
    let again = printed(&import(database, &["--from", &from, "--again", "--yes"]));

    assert!(again.contains("changes       apontamentos: 0 new, 1 changed, 1 deleted\n"), "{again}");
    assert_eq!(hours().await, 2564 - 60 - 15);
    assert_eq!(old.query("SELECT count(*) FROM aponta_sefaz.apontamentos"), "5");
}

#[test]
fn report_is_a_private_file_and_no_formula() {
    let database = given(Form::Second);
    database.execute(&format!(
        "UPDATE {OWN}.apontamentos SET comentario = '', project_id = '=cmd|x' WHERE id::text LIKE '%1';
         UPDATE {OWN}.apontamentos SET project_id = E'a,\"b\"\\nc' WHERE id::text LIKE '%2'"
    ));
    let directory = Directory::new();
    let file = directory.path().join("report.csv");
    let path = file.to_str().unwrap();

    let _ = printed(&import(&database, &["--from", OWN, "--report", path]));

    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(text.starts_with("table,id,decision,before,after,cannot_be_taken\n"), "{text}");
    assert!(text.contains(",'=cmd|x,") && text.contains(",\"a,\"\"b\"\"\nc\","), "{text}");
    let again = import(&database, &["--from", OWN, "--report", path]);
    assert!(again.code() == 1 && again.stderr().contains("File exists"), "{}", again.stderr());
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    let failed = directory.path().join("failed.csv");
    let missing = import(&database, &["--from", "nowhere", "--report", failed.to_str().unwrap()]);
    assert!(missing.code() == 1 && !failed.exists(), "{}", missing.stderr());
}

#[test]
fn rows_that_cannot_be_taken_are_named_and_the_exit_code_says_so() {
    let database = given(Form::Second);
    database.execute(&format!("UPDATE {OWN}.apontamentos SET duracao = '00:00' WHERE id::text LIKE '%3'"));

    let finished = import(&database, &["--from", OWN, "--yes"]);

    assert_eq!(finished.code(), 1);
    let line = "CANNOT TAKE   1 apontamentos: the duration is not between 00:01 and 24:59\n";
    assert!(finished.stdout().contains(line), "{}", finished.stdout());
    assert!(finished.stderr().contains("nothing was changed"), "{}", finished.stderr());
    assert_eq!(database.query("SELECT to_regnamespace('api_aponta_fastapi') IS NULL"), "t");
}

#[test]
fn arguments_that_do_not_fit_are_refused() {
    let database = given(Form::First);
    let url = database.url();
    for (arguments, code, reason) in [
        (&[][..], 2, "--from"),
        (&["--from", ""], 1, "must not be empty"),
        (&["--from", "pg_catalog"], 1, "PostgreSQL's own"),
        (&["--from", "a\u{301}'; DROP SCHEMA api_aponta; --"], 1, "does not have the tables"),
        (&["--from", "mysql://u:segredo@h/d"], 1, "--from"),
        (&["--from", "postgres://u:segredo@127.0.0.1:1/d"], 1, "cannot be read"),
        (&["--from", &url, "--schema", "pg_x"], 1, "PostgreSQL's own"),
        (&["--from", "@/no/such/file"], 1, "cannot read /no/such/file"),
        (&["--from", OWN, "--schema", OWN], 1, "--schema is for --from with a URL"),
        (&["--from", OWN, "--timezone", "Fortaleza"], 1, "is no time zone"),
        (&["--from", OWN, "--undo"], 2, "cannot be used with"),
        (&["--undo", "--again"], 2, "cannot be used with"),
        (&["--undo", "--yes"], 1, "nothing was imported"),
    ] {
        let finished = import(&database, arguments);
        assert_eq!(finished.code(), code, "{arguments:?}: {}", finished.stderr());
        assert!(
            finished.stderr().contains(reason) && !finished.stderr().contains("segredo"),
            "{arguments:?}: {}",
            finished.stderr()
        );
    }
    assert_eq!(database.query("SELECT count(*) FROM api_aponta.atividades"), "4");
}

/// Killed at 20 moments of its run, it has imported everything or nothing.
#[test]
fn killed_at_any_moment_imports_all_or_nothing() {
    let more = format!(
        "INSERT INTO {OWN}.apontamentos SELECT gen_random_uuid(), n, project_id, organization_name, data_apontamento + n, id_atividade,
             comentario, usuario_id, usuario_nome, usuario_email, criado_em, atualizado_em, duracao
         FROM {OWN}.apontamentos, generate_series(1, 3000) n"
    );
    let fresh = || {
        let database = given(Form::Second);
        database.execute(&more);
        database
    };
    let timed = fresh();
    let started = Instant::now();
    let _ = printed(&import(&timed, &["--from", OWN, "--yes"]));
    let duration = started.elapsed();
    let (mut whole, mut none) = (0, 0);
    let mut database = fresh();
    for moment in 1..=20_u32 {
        let process = command(&database, &["--from", OWN, "--yes"]).spawn();
        std::thread::sleep(duration * moment / 18);
        // SIGKILL, unless it has ended.
        drop(process);
        // The server notices a killed client when it writes to it or reads from it.
        wait_until_idle(&database);
        let state = database.query(
            "SELECT to_regclass('api_aponta.alembic_version') IS NOT NULL, to_regnamespace('api_aponta_fastapi') IS NOT NULL,
                    (SELECT count(*) FROM pg_class WHERE relname = 'importados')",
        );
        match state.as_str() {
            "t|f|0" => none += 1,
            "f|t|1" => {
                assert_eq!(database.query("SELECT count(*) FROM api_aponta.apontamentos"), "18006");
                whole += 1;
                database = fresh();
            }
            other => panic!("after {moment}/18 of {duration:?}: {other}"),
        }
    }
    assert!(0 < none, "{whole} of 20 had ended before the kill");
    let _ = printed(&import(&database, &["--from", OWN, "--yes"]));
}

fn wait_until_idle(database: &Database<'_>) {
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let give_up = Instant::now() + Duration::from_mins(1);
    while database.query(others) != "0" {
        assert!(Instant::now() < give_up, "connections of a killed import stay");
        std::thread::sleep(Duration::from_millis(20));
    }
}
