//! `aponta privacidade`: an export to a file, and a person replaced by a pseudonym.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use e2e::postgres::{Cluster, Database};
use e2e::server::{Aponta, Directory, Finished, Program};
use serde_json::{Value, json};

/// The user of the development mode.
const USUARIO: &str = "dev-user-001";

fn privacidade(database: &Database<'_>, arguments: &[&str]) -> Finished {
    Program::new(&[&["privacidade"], arguments].concat()).env("DATABASE_URL", database.url()).run()
}

fn export(database: &Database<'_>, usuario: &str, file: &Path) -> Finished {
    privacidade(database, &["exportar", "--usuario", usuario, "--arquivo", file.to_str().unwrap()])
}

/// A server with an entry on each of two days, 90 minutes long.
async fn given() -> Aponta {
    let aponta = Aponta::start();
    let projeto = aponta.api.projeto("Portal").await;
    let atividade = aponta.api.atividade("Revisar", &projeto).await;
    for data in ["2026-01-12", "2026-01-13"] {
        let entry = json!({"work_item_id": 41, "project_id": projeto, "organization_name": "exemplo", "duracao": "01:30",
                           "data_apontamento": data, "id_atividade": atividade});
        aponta.api.post("/api/v1/apontamentos", &entry).await.expect(201);
    }
    aponta
}

#[track_caller]
fn assert_fails(finished: &Finished, reason: &str) {
    let is_one_line = finished.stderr().trim_end().lines().count() == 1;
    assert!(finished.code() == 1 && is_one_line, "{}", finished.stderr());
    assert!(finished.stderr().contains(reason), "{reason}: {}", finished.stderr());
}

#[tokio::test]
async fn export_is_a_private_file_of_the_entries_as_the_api_shows_them() {
    let Aponta { api, database, server: _server } = &given().await;
    let directory = Directory::new();
    let file = directory.path().join("pessoa.jsonl");

    let finished = export(database, "DEV@localhost", &file);

    assert_eq!(finished.code(), 0, "{}", finished.stderr());
    assert!(finished.stdout().contains("time entries 2, 03:00 hours\n"), "{}", finished.stdout());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&file).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let titular = json!({"tipo": "titular", "id": USUARIO, "nomes": ["Dev User"], "emails": ["dev@localhost"],
                         "apontamentos": 2, "minutos": 180, "atividades": 1, "chaves_de_idempotencia": 0});
    assert_eq!(lines.next(), Some(titular));
    let mut listed = api.get("/api/v1/apontamentos").await.expect(200)["items"].as_array().unwrap().clone();
    listed.reverse();
    for mut item in listed {
        item.as_object_mut().unwrap().insert("tipo".to_owned(), json!("apontamento"));
        assert_eq!(lines.next(), Some(item));
    }
    let atividade = lines.next().unwrap();
    assert_eq!((&atividade["tipo"], &atividade["criado_por"]), (&json!("atividade"), &json!("dev@localhost")));
    assert_eq!(lines.next(), None);
    let printed = export(database, USUARIO, Path::new("-"));
    assert_eq!((printed.code(), printed.stdout()), (0, text));
}

#[tokio::test]
async fn export_overwrites_nothing_and_leaves_nothing_after_an_error() {
    let Aponta { database, server: _server, .. } = &given().await;
    let directory = Directory::new();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("kept"), "kept").unwrap();
    symlink(path("nowhere"), path("link")).unwrap();

    assert_fails(&export(database, USUARIO, &path("kept")), "File exists");
    assert_fails(&export(database, USUARIO, &path("link")), "File exists");
    assert_fails(&export(database, USUARIO, &path("no/such/directory")), "No such file or directory");
    assert_fails(&export(database, USUARIO, Path::new("/dev/full")), "File exists");
    assert_fails(&export(database, "", &path("new")), "no row names this person");
    assert_fails(&export(database, "'; DROP TABLE api_aponta.apontamentos; --", &path("new")), "no row names");
    assert_fails(&export(database, &"x".repeat(100_000), &path("new")), "no row names this person");

    assert_eq!(fs::read_to_string(path("kept")).unwrap(), "kept");
    assert!(!path("nowhere").exists() && !path("new").exists());
}

#[tokio::test]
async fn anonymise_changes_nothing_without_yes_and_once_with_it() {
    let Aponta { api, database, server: _server } = &given().await;
    let before = api.get("/api/v1/apontamentos").await.expect(200);

    let counted = privacidade(database, &["anonimizar", "--usuario", "dev@localhost"]);
    assert!(counted.code() == 0 && counted.stdout().contains("nothing was changed: --yes"), "{}", counted.stderr());
    assert_eq!(api.get("/api/v1/apontamentos").await.expect(200), before);
    let done = privacidade(database, &["anonimizar", "--usuario", "dev@localhost", "--yes"]);
    assert_eq!(done.code(), 0, "{}", done.stderr());
    assert_fails(&privacidade(database, &["anonimizar", "--usuario", "dev@localhost", "--yes"]), "no row names");

    let pseudonym = done.stdout().lines().last().unwrap().split(' ').nth(2).unwrap().to_owned();
    let report = api.get("/api/v1/relatorios/horas?agrupar=usuario&de=2026-01-01&ate=2026-01-31").await.expect(200);
    let after = api.get("/api/v1/apontamentos").await.text;
    let dump = database.query(
        "SELECT string_agg(linha, ' ') FROM (SELECT e::text AS linha FROM api_aponta.apontamentos e
         UNION ALL SELECT a::text FROM api_aponta.atividades a) linhas",
    );
    for text in [&report.to_string(), &after, &dump] {
        assert!(text.contains(&pseudonym), "{text}");
        for name in [USUARIO, "Dev User", "dev@localhost"] {
            assert!(!text.contains(name), "{name}: {text}");
        }
    }
}

#[test]
fn privacidade_without_schema_or_with_a_missing_argument_names_it() {
    let database = Cluster::shared().create_database();

    let found = privacidade(&database, &["anonimizar", "--usuario", "ana"]);
    assert_fails(&found, "nothing was changed");
    for arguments in [&["exportar", "--usuario", "ana"][..], &["anonimizar"], &["apagar", "--usuario", "ana"]] {
        let finished = privacidade(&database, arguments);
        assert!(finished.code() == 2 && finished.stderr().contains("Usage"), "{}", finished.stderr());
    }
}
