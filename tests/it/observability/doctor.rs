//! `aponta doctor`: each line ok or what to do, and the exit code whether all is well.

use std::path::Path;

use e2e::azure::{APP_KEY, AUDIENCE, Organisation};
use e2e::postgres::{Cluster, Database};
use e2e::server::{Finished, Program};
use rcgen::{CertificateParams, KeyPair};
use time::{Duration, OffsetDateTime};

use super::TOKEN;

/// A doctor of a development set-up with an organisation.
fn doctor(database: &Database<'_>, organisation: &str, arguments: &[&str]) -> Program {
    Program::new(&[&["doctor"], arguments].concat())
        .development()
        .env("DATABASE_URL", database.url())
        .env("AZURE_DEVOPS_ORG_URL", organisation)
        .env("AZURE_DEVOPS_PAT", TOKEN)
        .env("CORS_ORIGINS", "https://*.gallerycdn.vsassets.io")
}

fn migrated() -> Database<'static> {
    let database = Cluster::shared().create_database();
    let migrated = Program::new(&["migrate", "up"]).development().env("DATABASE_URL", database.url()).run();
    assert_eq!(migrated.code(), 0, "{}", migrated.stderr());
    database
}

fn write_certificate(file: &Path, end: OffsetDateTime) {
    let mut params = CertificateParams::new(vec!["api.exemplo.br".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (end - Duration::days(365), end);
    let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    std::fs::write(file, certificate.pem()).unwrap();
}

fn write_backup(file: &Path, end: OffsetDateTime) {
    let metric = "aponta_backup_last_success_timestamp_seconds{type=\"full\"}";
    std::fs::write(file, format!("{metric} {}\n", end.unix_timestamp())).unwrap();
}

/// The lines that say what is wrong.
fn wrongs(finished: &Finished) -> Vec<String> {
    let said = finished.stdout();
    said.lines().filter(|line| line.starts_with("WRONG")).map(str::to_owned).collect()
}

#[tokio::test]
async fn each_check_has_a_line() {
    let organisation = Organisation::start().await;
    organisation.add_user(TOKEN, Some("rita.souza@exemplo.br"));
    let (files, database, now) = (e2e::server::Directory::new(), migrated(), OffsetDateTime::now_utc());
    let (certificate, backups) = (files.path().join("origin.pem"), files.path().join("backup.prom"));
    write_certificate(&certificate, now + Duration::days(90));
    write_backup(&backups, now - Duration::hours(3));
    let arguments = ["--certificate", certificate.to_str().unwrap(), "--backups", backups.to_str().unwrap()];

    let finished = doctor(&database, &organisation.url(), &arguments).run();

    let said = finished.stdout();
    assert_eq!(finished.code(), 0, "{said}{}", finished.stderr());
    for expected in [
        "ok     settings ",
        "ok     database      PostgreSQL 1",
        "ok     connections   --replicas 1 and DATABASE_POOL_SIZE=10 need up to 29, ",
        "ok     schema        has all ",
        "ms from the database's",
        "ok     Azure DevOps  http://127.0.0.1:",
        "ok     token         AZURE_DEVOPS_PAT is that of Ana Lima",
        "--     app tokens    EXTENSION_APP_KEYS is unset",
        "ok     CORS          1 origins: https://*.gallerycdn.vsassets.io",
        "ok     certificate   ends on ",
        "ok     backups       the last success was 3 h ago",
        "all is well",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in\n{said}");
    }
    assert!(!said.contains(TOKEN) && !said.contains("exemplo.br"), "{said}");
}

#[tokio::test]
async fn app_token_line_names_who_may_sign_in() {
    let organisation = Organisation::start().await;
    let service = organisation.add_user(TOKEN, None);
    let database = migrated();
    let said = |alone: &str| {
        let doctor = doctor(&database, &organisation.url(), &[]).env("APP_TOKEN_ALONE", alone);
        let finished = doctor.env("EXTENSION_APP_KEYS", format!("{APP_KEY}:{AUDIENCE}")).run();
        finished.stdout().lines().find(|line| line.contains("app tokens")).unwrap().to_owned()
    };

    assert_eq!(said("off"), "ok     app tokens    accepted with an access token of their user");
    assert_eq!(said("members"), "ok     app tokens    accepted alone from members of the organisation");

    organisation.remove_member(service);
    let wrong = said("members");
    assert!(wrong.starts_with("WRONG  app tokens    members cannot be read ("), "{wrong}");
    assert!(wrong.ends_with("AZURE_DEVOPS_PAT needs Member Entitlement Management (Read)"), "{wrong}");
}

#[tokio::test]
async fn failed_check_names_its_remedy() {
    let organisation = Organisation::start().await;
    let (files, database, now) =
        (e2e::server::Directory::new(), Cluster::shared().create_database(), OffsetDateTime::now_utc());
    let (certificate, backups) = (files.path().join("origin.pem"), files.path().join("backup.prom"));
    write_certificate(&certificate, now - Duration::days(2));
    write_backup(&backups, now - Duration::days(3));
    let arguments = ["--certificate", certificate.to_str().unwrap(), "--backups", backups.to_str().unwrap()];

    let finished = doctor(&database, &organisation.url(), &arguments).run();

    let wrongs = wrongs(&finished);
    let expected = [
        ("schema", "`aponta migrate up`"),
        ("token", "is rejected"),
        ("backups", "72 h ago"),
        ("certificate", "ended on"),
    ];
    assert_eq!(wrongs.len(), expected.len(), "{wrongs:#?}");
    for (line, (topic, what)) in wrongs.iter().zip(expected) {
        assert!(line.contains(topic) && line.contains(what), "{line}");
    }
    assert_eq!(finished.code(), 1);
    assert_eq!(finished.stderr(), "aponta: 4 of 15 checks failed\n");
}

#[test]
fn unreachable_service_does_not_skip_other_checks() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let finished = Program::new(&["doctor", "--certificate", "nenhum.pem", "--backups", "nenhum.prom"])
        .development()
        .env("DATABASE_URL", format!("postgresql://ana:segredo@{gone}/aponta"))
        .env("AZURE_DEVOPS_ORG_URL", format!("http://{gone}/exemplo"))
        .env("CORS_ORIGINS", "")
        .run();

    let wrongs = wrongs(&finished);
    let topics: Vec<_> = wrongs.iter().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(topics, ["database", "Azure", "backups", "certificate"], "{wrongs:#?}");
    assert!(finished.stdout().contains("--     CORS "), "{}", finished.stdout());
    assert!(!finished.stdout().contains("segredo"), "{}", finished.stdout());
    assert_eq!(finished.code(), 1);
}

#[tokio::test]
async fn replicas_beyond_the_connections_of_the_server_are_wrong() {
    let organisation = Organisation::start().await;
    organisation.add_user(TOKEN, None);
    let database = migrated();

    let finished = doctor(&database, &organisation.url(), &["--replicas", "999"]).run();

    let wrongs = wrongs(&finished);
    assert_eq!(wrongs.len(), 1, "{wrongs:#?}");
    let found = "--replicas 999 and DATABASE_POOL_SIZE=10 need up to 21985, ";
    let advice = "set the number of replicas lower, or max_connections of PostgreSQL to at least ";
    assert!(wrongs[0].contains(found) && wrongs[0].contains(advice), "{}", wrongs[0]);
    assert_eq!(finished.code(), 1);
}

#[tokio::test]
async fn direct_url_must_lead_to_the_same_database() {
    let organisation = Organisation::start().await;
    organisation.add_user(TOKEN, None);
    let (database, other) = (migrated(), Cluster::shared().create_database());
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let line = |url: &str| {
        let finished = doctor(&database, &organisation.url(), &[]).env("DATABASE_DIRECT_URL", url).run();
        finished.stdout().lines().find(|line| line.contains(" direct ")).unwrap().to_owned()
    };

    let same = line(&database.url());
    let wrong = [line(&other.url()), line(&format!("postgresql://ana:segredo@{gone}/aponta"))];

    assert_eq!(same, "ok     direct        DATABASE_DIRECT_URL leads to the same database");
    for (line, reason) in wrong.iter().zip(["leads to another database", "cannot connect to PostgreSQL at"]) {
        assert!(line.starts_with("WRONG  direct ") && line.contains(reason), "{line}");
        assert!(!line.contains("segredo"), "{line}");
    }
}

#[tokio::test]
async fn replica_must_have_the_database_of_the_primary() {
    let organisation = Organisation::start().await;
    organisation.add_user(TOKEN, None);
    let database = migrated();
    let standby = Cluster::shared().start_standby();
    let url = |port: u16, name: &str| format!("postgresql://{}@127.0.0.1:{port}/{name}", Cluster::SUPERUSER);
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // The password is that of the primary.
    let lines = |urls: &[String]| {
        let finished = doctor(&database, &organisation.url(), &[]).env("DATABASE_REPLICA_URLS", urls.join(",")).run();
        let said = finished.stdout();
        said.lines().filter(|line| line.contains(" replica ")).map(ToOwned::to_owned).collect::<Vec<_>>()
    };

    // After a failover the primary is one of them.
    let good = lines(&[url(standby.port(), database.name()), url(Cluster::shared().port(), database.name())]);
    let wrong = lines(&[url(standby.port(), "postgres"), format!("postgresql://ana:segredo@{gone}/aponta")]);

    assert!(good.len() == 2 && good.iter().all(|line| line.starts_with("ok     replica ")), "{good:#?}");
    assert!(good[1].contains("is the primary now"), "{good:#?}");
    let reasons = ["another database than the primary", "refused"];
    assert_eq!(wrong.len(), reasons.len(), "{wrong:#?}");
    for (line, reason) in wrong.iter().zip(reasons) {
        assert!(line.starts_with("WRONG  replica ") && line.contains(reason), "{line}");
        assert!(!line.contains("segredo"), "{line}");
    }
}

#[test]
fn invalid_settings_are_all_named() {
    let finished = Program::new(&["doctor"]).env("API_PORT", "sim").env("AUTH_ENABLED", "talvez").run();

    let wrongs = wrongs(&finished).join("\n");
    assert!(wrongs.contains("API_PORT") && wrongs.contains("AUTH_ENABLED"), "{wrongs}");
    assert_eq!(finished.code(), 1);
}
