//! Passwords of every kind, and what is said when there is no connection.

use std::fmt::Write;
use std::time::{Duration, Instant};

use adapters_postgres::{Address, Config, PostgresDatabase};
use e2e::postgres::Cluster;
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
