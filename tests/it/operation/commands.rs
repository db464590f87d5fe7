//! `migrate`, `config`, `healthcheck`, `openapi` and the command line itself.

use std::time::Duration;

use e2e::postgres::Cluster;
use e2e::server::{Finished, Program};

#[track_caller]
fn printed(finished: &Finished) -> String {
    assert_eq!(finished.code(), 0, "{}", finished.stderr());
    finished.stdout()
}

#[test]
fn migrate_runs_up_and_down_and_prints_its_status() {
    let database = Cluster::shared().create_database();
    let migrate = |arguments: &[&str]| {
        let arguments = [&["migrate"], arguments].concat();
        printed(&Program::new(&arguments).env("DATABASE_URL", database.url()).run())
    };
    let states = |text: &str| text.lines().map(|line| line.split_once("  ").unwrap().1.to_owned()).collect::<Vec<_>>();

    let steps = states(&migrate(&["status"])).len();
    assert!(steps >= 2);
    assert_eq!(states(&migrate(&["status"])), vec!["pending"; steps]);
    assert_eq!(states(&migrate(&["up", "--steps", "1"])), ["applied"]);
    assert_eq!(states(&migrate(&["up"])).len(), steps - 1);
    assert_eq!(migrate(&["up"]), "nothing to do\n");
    assert_eq!(states(&migrate(&["status"])), vec!["applied"; steps]);
    assert_eq!(states(&migrate(&["down"])), ["undone"]);
    assert_eq!(states(&migrate(&["down", "--steps", "99"])).len(), steps - 1);
    assert_eq!(migrate(&["down"]), "nothing to do\n");
    assert_eq!(database.query("SELECT count(*) FROM information_schema.tables WHERE table_name = 'atividades'"), "0");
}

#[test]
fn config_prints_every_setting_without_secrets() {
    let program = Program::new(&["config"])
        .env("DATABASE_URL", "postgresql://ana:segredo-1@db.exemplo/aponta")
        .env("AZURE_DEVOPS_PAT", "segredo-2")
        .env("AZURE_DEVOPS_ORG_URL", "https://dev.azure.com/exemplo")
        .env("CORS_ORIGINS", "https://dev.azure.com");
    std::fs::write(program.directory().join(".env"), "API_PORT=8123\nLOG=warn\n").unwrap();

    let said = printed(&program.run());

    for line in ["API_PORT=8123", "LOG=warn", "AUTH_ENABLED=true", "CORS_ORIGINS=https://dev.azure.com"] {
        assert!(said.lines().any(|said| said.starts_with(line) && said.contains('#')), "{line}: {said}");
    }
    assert!(said.ends_with("CORS_ORIGINS:\n#   https://dev.azure.com\n"), "{said}");
    assert!(said.contains("db.exemplo"), "{said}");
    assert!(!said.contains("segredo"), "{said}");
}

#[test]
fn healthcheck_exit_code_follows_readiness() {
    let cluster = Cluster::start();
    let database = cluster.create_database();
    let mut server = Program::serve(&database).start();
    let port = server.wait_for_address().rsplit_once(':').unwrap().1.to_owned();
    let check = || Program::new(&["healthcheck"]).env("API_PORT", &port).env("DATABASE_URL", database.url()).run();

    assert_eq!(printed(&check()), "healthy\n");
    cluster.stop();
    // The service returns the last result of its readiness check for a second.
    std::thread::sleep(Duration::from_secs(1));
    let unhealthy = check();
    assert_eq!((unhealthy.code(), unhealthy.stderr().contains("returned 503")), (1, true), "{}", unhealthy.stderr());
    server.kill();
    let gone = check();
    assert_eq!((gone.code(), gone.stderr().contains("no response from http://127.0.0.1:")), (1, true));
}

#[test]
fn openapi_prints_the_served_document() {
    let printed = printed(&Program::new(&["openapi"]).run());

    let document: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(document["openapi"], "3.0.3");
    assert!(document["paths"]["/api/v1/atividades/{atividade_id}"]["put"].is_object());
}

#[test]
fn help_and_unknown_commands_are_explained() {
    let help = printed(&Program::new(&["--help"]).run());
    for command in ["dev", "serve", "migrate", "config", "healthcheck", "openapi"] {
        assert!(help.contains(&format!("  {command}")), "{help}");
    }
    assert!(printed(&Program::new(&["--version"]).run()).starts_with("aponta "));
    for arguments in [&["nada"][..], &[], &["serve", "--nada"], &["migrate", "sideways"]] {
        assert_eq!(Program::new(arguments).run().code(), 2, "{arguments:?}");
    }
}
