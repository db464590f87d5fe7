//! The options that [`Conninfo`] makes, on a real server and through sqlx.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails, in its tools as well"
)]

use std::fmt::Write as _;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use e2e::postgres::Cluster;
use pg_conninfo::Conninfo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Row};

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        write!(encoded, "%{byte:02x}").unwrap();
        encoded
    })
}

/// Connects to the first host and returns the one value that `sql` selects.
async fn select(url: &str, sql: &'static str) -> Result<String, String> {
    let conninfo = Conninfo::parse(url).map_err(|error| error.to_string())?;
    let options = conninfo.connect_options(&conninfo.hosts()[0]).map_err(|error| error.to_string())?;
    let mut connection = options.connect().await.map_err(|error| error.to_string())?;
    let row = sqlx::query(sql).fetch_one(&mut connection).await.map_err(|error| error.to_string())?;
    connection.close().await.unwrap();
    Ok(row.get(0))
}

fn create_role(user: &str, password: &str) {
    let (user, password) = (user.replace('"', "\"\""), password.replace('\'', "''"));
    Cluster::shared()
        .execute(&format!("DROP ROLE IF EXISTS \"{user}\"; CREATE ROLE \"{user}\" LOGIN PASSWORD '{password}'"));
}

#[tokio::test]
async fn accepted_credentials_log_in_by_scram() {
    let port = Cluster::shared().port();
    for (user, password) in [
        ("scram_a", " %@:/?#'\"\\,="),
        ("scram joão@x:/%", "ação"),
        ("scram=日本", "日本\u{a0}x"),
        ("scram_b", "שלום"),
        ("scram_c", "ª ﬁ a\u{ad}b ²"),
    ] {
        create_role(user, password);
        let url = format!("postgres://{}:{}@127.0.0.1:{port}/postgres", encoded(user), encoded(password));

        assert_eq!(select(&url, "SELECT current_user::text").await.as_deref(), Ok(user), "{password}");
    }
}

#[tokio::test]
async fn rejected_credentials_fail_in_sqlx() {
    let port = Cluster::shared().port();
    let longest = "\u{ad}".repeat(2);
    for (user, password) in [
        ("scram_d", "segredo😀"),
        ("scram_d", "segredo₽"),
        ("scram_d", "segredoẞ"),
        ("scram_d", "segredo\u{e000}"),
        ("scram_d", "segredo\u{1}"),
        ("scram_d", longest.as_str()),
        ("scram,d", "abc"),
        ("scram😀", "abc"),
        ("שלום", "abc"),
    ] {
        create_role(user, password);
        let url = format!("postgres://{}:{}@127.0.0.1:{port}/postgres", encoded(user), encoded(password));
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port).database("postgres");

        assert!(options.username(user).password(password).connect().await.is_err(), "{user} {password:?}");
        let refused = select(&url, "SELECT 'x'").await.unwrap_err();
        assert!(refused.contains("SCRAM") && !refused.contains("segredo"), "{refused}");
        assert!(refused.is_ascii(), "{refused}");
    }
}

#[tokio::test]
async fn server_receives_only_the_settings_of_the_url() {
    let database = Cluster::shared().create_database();
    for (parameters, sql, expected) in [
        ("", "SELECT current_setting('application_name')", "aponta"),
        ("application_name=outra", "SELECT current_setting('application_name')", "outra"),
        ("options=-c%20geqo=off%20--statement-timeout=5s", "SELECT current_setting('geqo')", "off"),
        ("options=-c geqo=off&options=--statement-timeout=5s", "SELECT current_setting('statement_timeout')", "5s"),
        ("options=-c%20role=pg_monitor", "SELECT current_user::text", "pg_monitor"),
        ("options=-c%20application_name=a%5C%20b&application_name=", "SELECT current_setting('application_name')", ""),
        ("", "SELECT current_setting('search_path')", "\"$user\", public"),
        ("connect_timeout=3&keepalives=1&pgbouncer=true", "SELECT current_database()::text", database.name()),
    ] {
        let url = format!("{}?{parameters}", database.url());
        assert_eq!(select(&url, sql).await.as_deref(), Ok(expected), "{parameters}");
    }
    // The text arrives as it is: this is for Neon's proxy, and PostgreSQL itself rejects it.
    let rejected = select(&format!("{}?options=endpoint%3Dep-x", database.url()), "SELECT 'x'").await.unwrap_err();
    assert!(rejected.contains("endpoint=ep-x") && !rejected.contains("-c"), "{rejected}");
}

/// A cluster that encrypts, with a certificate for `localhost` alone, and the file of the authority that signed it.
fn encrypting() -> (Cluster, PathBuf) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(vec![]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();

    let cluster = Cluster::start();
    let home = PathBuf::from(cluster.create_database().query("SHOW data_directory"));
    let owner = std::fs::metadata(&home).unwrap();
    let write = |name: &str, text: &str| {
        let file = home.join(name);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
        file
    };
    write("server.crt", &certificate.pem());
    write("server.key", &key.serialize_pem());
    let root = write("authority.pem", &authority_pem);
    cluster.execute("ALTER SYSTEM SET ssl = on");
    cluster.execute("SELECT pg_reload_conf()");
    (cluster, root)
}

#[tokio::test]
async fn connection_is_encrypted_as_sslmode_requires() {
    let (cluster, root) = encrypting();
    let database = cluster.create_database();
    let root = root.display();
    let ssl = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let on = async |host: &str, parameters: &str| {
        select(&format!("{}?{parameters}", database.url().replace(Cluster::HOST, host)), ssl).await
    };

    for (host, parameters, expected) in [
        (Cluster::HOST, "sslmode=disable".to_owned(), "false"),
        (Cluster::HOST, "sslmode=allow".to_owned(), "true"),
        (Cluster::HOST, String::new(), "true"),
        (Cluster::HOST, "sslmode=require".to_owned(), "true"),
        (Cluster::HOST, "ssl=true".to_owned(), "true"),
        ("localhost", format!("sslmode=require&sslrootcert={root}"), "true"),
        ("localhost", format!("sslmode=verify-ca&sslrootcert={root}"), "true"),
        ("localhost", format!("sslmode=verify-full&sslrootcert={root}"), "true"),
        ("localhost", format!("sslrootcert={root}"), "true"),
    ] {
        assert_eq!(on(host, &parameters).await.as_deref(), Ok(expected), "{host} {parameters}");
    }
    for (host, parameters) in [
        // A host that the certificate does not name, and an authority that is not trusted.
        (Cluster::HOST, format!("sslmode=verify-full&sslrootcert={root}")),
        (Cluster::HOST, format!("sslmode=verify-ca&sslrootcert={root}")),
        (Cluster::HOST, format!("sslmode=require&sslrootcert={root}")),
        ("localhost", "sslmode=verify-full".to_owned()),
        ("localhost", "sslmode=verify-ca".to_owned()),
        ("localhost", "sslrootcert=system".to_owned()),
    ] {
        let refused = on(host, &parameters).await.unwrap_err();
        assert!(refused.contains("certificate"), "{host} {parameters}: {refused}");
    }
}

#[tokio::test]
async fn server_without_tls_is_used_only_if_sslmode_allows() {
    let database = Cluster::shared().create_database();
    let ssl = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    for (parameters, is_accepted) in
        [("", true), ("sslmode=allow", true), ("sslmode=require", false), ("sslrootcert=system", false)]
    {
        let selected = select(&format!("{}?{parameters}", database.url()), ssl).await;
        assert_eq!(selected.is_ok(), is_accepted, "{parameters}: {selected:?}");
    }
}

#[tokio::test]
async fn socket_directory_connects_without_tls() {
    let port = Cluster::shared().port();
    let directory = std::env::temp_dir().join(format!("conninfo-{port}"));
    std::fs::create_dir_all(&directory).unwrap();
    // The tests' servers have no socket of their own.
    let socket = tokio::net::UnixListener::bind(directory.join(".s.PGSQL.6543")).unwrap();
    let forward = async {
        let (mut client, _) = socket.accept().await.unwrap();
        let mut server = tokio::net::TcpStream::connect((Cluster::HOST, port)).await.unwrap();
        tokio::io::copy_bidirectional(&mut client, &mut server).await.unwrap();
    };
    let (user, password) = (Cluster::SUPERUSER, Cluster::shared().password());
    let encoded = encoded(directory.to_str().unwrap());
    let url = format!("postgres://{user}:{password}@{encoded}:6543/postgres?sslmode=verify-full");

    let (selected, ()) = tokio::join!(select(&url, "SELECT current_database()::text"), forward);

    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(selected.as_deref(), Ok("postgres"));
}
