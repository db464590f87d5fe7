//! The schemas in which the old tables may be: another one by its name, `public`, and that of the service.

use e2e::fastapi::Form;
use e2e::postgres::{Cluster, Database};
use e2e::server::Program;

use super::{OWN, command, import, printed};

const PROJETO: &str = "a0000000-0000-4000-8000-000000000001";

/// Asks a server on `database` for what every form has: the ids and names of projects and activities, and their references.
async fn assert_serves(database: &Database<'_>, form: Form) {
    let server = Program::serve(database).start();
    let api = server.api();
    let projeto = api.get(&format!("/api/v1/projetos/{PROJETO}")).await.expect(200);
    assert_eq!((projeto["nome"].as_str(), projeto["external_id"].as_str()), (Some("Projeto 1"), Some(PROJETO)));
    let atividade = api.get("/api/v1/atividades/20000000-0000-4000-8000-000000000002").await.expect(200);
    let found = (atividade["nome"].as_str(), atividade["id_projeto"].as_str(), atividade["nome_projeto"].as_str());
    assert_eq!(found, (Some("Atividade 2"), Some(PROJETO), Some("Projeto 1")), "{form:?}");
    let entries = api.get("/api/v1/apontamentos?total=true").await.expect(200);
    let expected = if form == Form::First { (0, 0) } else { (6, 2564) };
    let found = (entries["total"].as_i64(), entries["total_minutos"].as_i64());
    assert_eq!(found, (Some(expected.0), Some(expected.1)), "{form:?}");
}

fn rows(database: &Database<'_>, schema: &str) -> String {
    database.query(&format!(
        "SELECT p FROM {schema}.projetos p ORDER BY id; SELECT a FROM {schema}.atividades a ORDER BY id"
    ))
}

#[tokio::test]
async fn schema_by_its_name_is_imported_and_stays_whatever_the_name() {
    for (form, old) in [(Form::SecondByOrm, "aponta_sefaz_staging"), (Form::First, "Serviço antigo; --")] {
        let database = Cluster::shared().create_database();
        let quoted = format!("\"{old}\"");
        database.execute(&format!("{}{}", form.tables(&quoted), form.rows()));
        // Tables of the same names elsewhere do not count.
        database.execute(&Form::Second.tables("outro"));
        let before = rows(&database, &quoted);

        let done = printed(&import(&database, &["--from", old, "--yes"]));

        assert!(done.contains(&format!("in the schema {old:?}\n")) && done.ends_with("imported\n"), "{done}");
        assert_serves(&database, form).await;
        assert_eq!(rows(&database, &quoted), before, "{form:?}");
        assert!(printed(&import(&database, &["--undo", "--yes"])).ends_with("undone\n"));
        assert_eq!(rows(&database, &quoted), before, "{form:?}");
    }
}

#[tokio::test]
async fn schema_public_is_imported_and_keeps_all_that_is_in_it() {
    for form in [Form::First, Form::SecondRepaired] {
        let database = Cluster::shared().create_database();
        database.execute(&format!("DROP SCHEMA public; {}{}", form.tables("public"), form.rows()));
        database.execute("CREATE TABLE public.clientes AS SELECT 1 AS id; CREATE EXTENSION pg_trgm SCHEMA public");
        let before = rows(&database, "public");

        let dry = printed(&import(&database, &["--from", "public"]));
        let done = printed(&import(&database, &["--from", "public", "--yes"]));

        assert!(dry.contains("in the schema \"public\"\n"), "{dry}");
        assert_eq!(done.strip_suffix("imported\n"), dry.strip_suffix("nothing was changed: --yes imports\n"));
        assert_serves(&database, form).await;
        assert_eq!(rows(&database, "public"), before, "{form:?}");
        let again = printed(&import(&database, &["--from", "public", "--again", "--yes"]));
        assert!(again.contains("changes       none\n"), "{again}");
        assert!(printed(&import(&database, &["--undo", "--yes"])).ends_with("undone\n"));
        assert_eq!(rows(&database, "public"), before, "{form:?}");
        assert_eq!(database.query("SELECT id, public.similarity('a', 'a') FROM public.clientes"), "1|1");
    }
}

#[tokio::test]
async fn schema_of_the_service_is_imported_in_each_form_and_comes_back() {
    for form in Form::ALL {
        let database = Cluster::shared().create_database();
        database.execute(&format!("{}{}", form.tables(OWN), form.rows()));
        let before = rows(&database, OWN);

        let done = printed(&import(&database, &["--from", OWN, "--yes"]));

        assert!(done.contains(&format!("in the schema {OWN:?}\n")) && done.ends_with("imported\n"), "{done}");
        assert_serves(&database, form).await;
        assert_eq!(rows(&database, "api_aponta_fastapi"), before, "{form:?}");
        assert!(printed(&import(&database, &["--undo", "--yes"])).ends_with("undone\n"));
        assert_eq!(rows(&database, OWN), before, "{form:?}");
        assert_eq!(database.query("SELECT to_regnamespace('api_aponta_fastapi') IS NULL"), "t");
    }
}

/// Extensions would move with `public`, so the service takes another schema.
#[test]
fn schema_public_of_the_service_itself_is_refused_with_the_way_out() {
    let database = Cluster::shared().create_database();
    database.execute(&format!("DROP SCHEMA public; {}{}", Form::Second.tables("public"), Form::Second.rows()));
    let before = rows(&database, "public");

    let refused = command(&database, &["--from", "public", "--yes"]).env("DATABASE_SCHEMA", "public").run();

    assert_eq!((refused.code(), refused.stdout().as_str()), (1, ""), "{}", refused.stderr());
    assert!(
        refused.stderr().contains("name another schema in DATABASE_SCHEMA and use --from public"),
        "{}",
        refused.stderr()
    );
    assert_eq!(rows(&database, "public"), before);
}
