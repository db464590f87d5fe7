//! Credentials of every kind, and the errors of a failed connection.

use std::fmt::Write;
use std::time::{Duration, Instant};

use adapters_postgres::{Config, PostgresDatabase};
use e2e::postgres::Cluster;

use crate::support::{connect, repositories, schema};

const PASSWORD: &str = "p%41@:/?#&= +\"'\\$ç";

fn config(scheme: &str, user: &str, password: &str, port: u16) -> Config {
    let (user, password) = (encoded(user), encoded(password));
    Config::from_url(&format!("{scheme}://{user}:{password}@127.0.0.1:{port}/postgres").into(), schema("s")).unwrap()
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        write!(encoded, "%{byte:02x}").unwrap();
        encoded
    })
}

#[tokio::test]
async fn password_with_every_kind_of_character_connects() {
    let user = "maria@x:/%";
    Cluster::shared().execute(&format!("CREATE ROLE \"{user}\" LOGIN PASSWORD '{}'", PASSWORD.replace('\'', "''")));

    for scheme in ["postgres", "postgresql+asyncpg"] {
        let database = connect(config(scheme, user, PASSWORD, Cluster::shared().port())).await;
        repositories(&database).readiness.check().await.unwrap();
    }
}

#[tokio::test]
async fn wrong_password_is_an_error_that_does_not_contain_it() {
    let config = config("postgres", Cluster::SUPERUSER, "segredo", Cluster::shared().port());

    let refused = PostgresDatabase::connect(config).await.unwrap_err().to_string();

    assert!(refused.contains("28P01") && refused.contains(&Cluster::shared().port().to_string()), "{refused}");
    assert!(!refused.contains("segredo") && !refused.contains('\n'), "{refused}");
}

#[tokio::test]
async fn closed_port_is_an_error_within_the_start_timeout() {
    // The port stays reserved because the socket is bound, and refuses connections because it does not listen.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    let config = config("postgres", "maria", "segredo", port).acquire_timeout(Duration::from_millis(300));

    let started = Instant::now();
    let refused = PostgresDatabase::connect(config).await.unwrap_err().to_string();

    assert!(started.elapsed() < Duration::from_secs(20));
    assert!(refused.contains(&format!("127.0.0.1:{port}")) && refused.contains("refused"), "{refused}");
}

#[tokio::test]
async fn connection_sets_the_application_name() {
    let database = Cluster::shared().create_database();
    let connected = connect(crate::support::config(&database)).await;

    let names = database.query(&format!(
        "SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()",
        database.name()
    ));

    assert_eq!(names, "aponta");
    connected.close().await;
}
