//! Passwords of every kind, and what is said when there is no connection.

use std::fmt::Write;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use adapters_postgres::{Address, Config, PostgresDatabase};
use e2e::postgres::Cluster;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use secrecy::SecretString;

use crate::support::{connect, repositories, schema};

const PASSWORD: &str = "p%41@:/?#&= +\"'\\$ç";

fn address(user: &str, password: &str) -> Address {
    Address {
        host: Cluster::HOST.to_owned(),
        port: Cluster::shared().port(),
        database: "postgres".to_owned(),
        user: user.to_owned(),
        password: Some(password.into()),
    }
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        write!(encoded, "%{byte:02x}").unwrap();
        encoded
    })
}

#[tokio::test]
async fn a_password_may_have_every_character() {
    let user = "maria@x:/%";
    Cluster::shared().execute(&format!("CREATE ROLE \"{user}\" LOGIN PASSWORD '{}'", PASSWORD.replace('\'', "''")));
    let port = Cluster::shared().port();
    let url = |scheme| format!("{scheme}://{}:{}@127.0.0.1:{port}/postgres", encoded(user), encoded(PASSWORD));

    let configs = [
        Config::from_parts(&address(user, PASSWORD), schema("s")),
        Config::from_url(&SecretString::from(url("postgres")), schema("s")).unwrap(),
        Config::from_url(&SecretString::from(url("postgresql+asyncpg")), schema("s")).unwrap(),
    ];
    for config in configs {
        repositories(&connect(config).await).readiness.check().await.unwrap();
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_without_showing_it() {
    let config = Config::from_parts(&address(Cluster::SUPERUSER, "segredo"), schema("s"));

    let refused = PostgresDatabase::connect(config).await.unwrap_err().to_string();

    assert!(refused.contains("28P01") && refused.contains(&Cluster::shared().port().to_string()), "{refused}");
    assert!(!refused.contains("segredo") && !refused.contains('\n'), "{refused}");
}

#[tokio::test]
async fn where_nobody_listens_the_reason_comes_in_time() {
    // A port that is free as long as the listener is not listening is still ours.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    let address = Address { port, ..address("maria", "segredo") };
    let config = Config::from_parts(&address, schema("s")).acquire_timeout(Duration::from_millis(300));

    let started = Instant::now();
    let refused = PostgresDatabase::connect(config).await.unwrap_err().to_string();

    assert!(started.elapsed() < Duration::from_secs(20));
    assert!(refused.contains(&format!("127.0.0.1:{port}")) && refused.contains("refused"), "{refused}");
}

#[tokio::test]
async fn connections_carry_the_name_of_the_service() {
    let database = Cluster::shared().create_database();
    let connected = connect(crate::support::config(&database)).await;

    let names = database.query(&format!(
        "SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()",
        database.name()
    ));

    assert_eq!(names, "aponta");
    connected.close().await;
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
async fn a_connection_is_as_encrypted_as_it_was_asked_for() {
    let (cluster, root) = encrypting();
    let database = cluster.create_database();
    let connected = async |host: &str, parameters: &str| {
        let url = database.url().replace(Cluster::HOST, host) + "?" + parameters;
        PostgresDatabase::connect(Config::from_url(&url.into(), schema("s")).unwrap()).await
    };
    let encrypted = || {
        database.query(&format!(
            "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
             WHERE datname = '{}' AND pid <> pg_backend_pid()",
            database.name()
        ))
    };
    let root = root.display();

    for (host, parameters, expected) in [
        (Cluster::HOST, "sslmode=disable".to_owned(), "f"),
        (Cluster::HOST, "sslmode=prefer".to_owned(), "t"),
        (Cluster::HOST, "sslmode=require".to_owned(), "t"),
        // The driver trusts public authorities as well, so these check the name too.
        ("localhost", format!("sslmode=require&sslrootcert={root}"), "t"),
        ("localhost", format!("sslmode=verify-ca&sslrootcert={root}"), "t"),
        ("localhost", format!("sslmode=verify-full&sslrootcert={root}"), "t"),
    ] {
        let tenant = connected(host, &parameters).await.unwrap();
        assert_eq!(encrypted(), expected, "{parameters}");
        // Steps are taken on a connection of another kind, which has to be encrypted as well.
        tenant.migrate_up(Some(1)).await.unwrap();
        tenant.migrate_down(None).await.unwrap();
        tenant.close().await;
    }
    for (host, parameters) in [
        // Another name, and an authority that nobody knows.
        (Cluster::HOST, format!("sslmode=verify-full&sslrootcert={root}")),
        ("localhost", "sslmode=verify-full".to_owned()),
        ("localhost", "sslmode=verify-ca".to_owned()),
        ("localhost", "sslmode=verify-full&sslrootcert=/nenhum.pem".to_owned()),
    ] {
        assert!(connected(host, &parameters).await.is_err(), "{parameters}");
    }
}
