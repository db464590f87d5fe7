//! Wrong and unsafe settings, and where settings come from.

use e2e::postgres::Cluster;
use e2e::server::Program;

#[test]
fn invalid_settings_are_named_without_secrets() {
    let finished = Program::new(&["serve"])
        .env("DATABASE_URL", "mysql://ana:segredo@db/aponta")
        .env("DATABASE_DIRECT_URL", "postgresql://ana:segredo@db:porta/aponta")
        .env("DATABASE_REPLICA_URLS", "postgresql://ana:segredo@r1/aponta,,ana:segredo@r2")
        .env("API_PORT", "porta")
        .env("AUTH_ENABLED", "talvez")
        .env("AUTH_CACHE_TTL", "-1")
        .env("CORS_ORIGINS", "*")
        .env("AZURE_DEVOPS_ORG_URL", "ftp://exemplo")
        .env("EXTENSION_APP_KEYS", "segredo-sem-audiencia")
        .env("LOG", "=x=")
        .env("DATABASE_SCHEMA", "a".repeat(64))
        .run();

    let said = finished.stderr();
    assert_eq!(finished.code(), 1);
    for name in [
        "DATABASE_URL",
        "DATABASE_DIRECT_URL",
        "DATABASE_REPLICA_URLS",
        "API_PORT",
        "AUTH_ENABLED",
        "AUTH_CACHE_TTL",
        "CORS_ORIGINS",
        "AZURE_DEVOPS_ORG_URL",
        "EXTENSION_APP_KEYS",
        "DATABASE_SCHEMA",
    ] {
        assert!(said.contains(name), "{name}: {said}");
    }
    assert!(said.contains("porta") && said.contains("talvez") && !said.contains("segredo"), "{said}");
}

#[test]
fn production_rejects_unsafe_settings() {
    let cases = [
        ("AUTH_ENABLED", "false"),
        ("API_DEBUG", "true"),
        ("AUTH_CACHE_TTL", "601"),
        ("TRUSTED_PROXIES", "0.0.0.0/0"),
        ("AZURE_DEVOPS_ORG_URL", ""),
    ];
    for (name, value) in cases {
        let finished = Program::new(&["serve"])
            .env("DATABASE_URL", "postgresql://a:b@127.0.0.1:1/c")
            .env("AZURE_DEVOPS_ORG_URL", "https://dev.azure.com/exemplo")
            .env(name, value)
            .run();

        assert_eq!(finished.code(), 1);
        let said = finished.stderr();
        assert!(said.lines().count() == 2 && said.contains(&format!("\n  {name}: ")), "{said}");
    }
}

#[tokio::test]
async fn sign_in_from_any_organisation_is_explicit_and_logged() {
    let database = Cluster::shared().create_database();
    let server = Program::new(&["serve"])
        .env("API_HOST", "127.0.0.1")
        .env("API_PORT", "0")
        .env("DATABASE_URL", database.url())
        .env("AUTH_ANY_ORGANISATION", "true")
        .start();

    assert_eq!(server.api().get("/health").await.expect(200)["environment"], "production");
    server.wait_for_log("AZURE_DEVOPS_ORG_URL: is unset: every Azure DevOps account of any organisation can sign in");
}

#[test]
fn empty_environment_names_missing_settings() {
    let finished = Program::new(&["serve"]).run();

    assert_eq!(finished.code(), 1);
    assert!(finished.stderr().contains("DATABASE_URL"), "{}", finished.stderr());
}

#[tokio::test]
async fn secret_files_and_database_parts_are_read() {
    let database = Cluster::shared().create_database();
    let program = Program::new(&["serve"]).development();
    let password = program.directory().join("senha");
    std::fs::write(&password, format!("{}\n", Cluster::shared().password())).unwrap();

    let server = program
        .env("DATABASE_HOST", Cluster::HOST)
        .env("DATABASE_PORT", Cluster::shared().port().to_string())
        .env("DATABASE_NAME", database.name())
        .env("DATABASE_USER", Cluster::SUPERUSER)
        .env("DATABASE_PASSWORD_FILE", password)
        .start();

    assert_eq!(server.api().get("/health").await.status, 200);
}

#[tokio::test]
async fn environment_wins_over_the_env_file() {
    let database = Cluster::shared().create_database();
    let program = Program::new(&["serve"]).env("API_HOST", "127.0.0.1").env("API_PORT", "0");
    let dotenv = "ENVIRONMENT=development\nAUTH_ENABLED=false\nAPI_PORT=1\nDATABASE_SCHEMA=do_arquivo\nDATABASE_URL=";
    std::fs::write(program.directory().join(".env"), dotenv.to_owned() + &database.url()).unwrap();

    let server = program.start();

    assert_eq!(server.api().get("/health").await.expect(200)["environment"], "development");
    assert_eq!(database.query("SELECT to_regclass('do_arquivo.atividades') IS NOT NULL"), "t");
}
