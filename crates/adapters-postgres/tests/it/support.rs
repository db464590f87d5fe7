//! Databases for the tests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use adapters_postgres::{
    Config, PostgresApontamentoRepository, PostgresAtividadeRepository, PostgresDatabase, PostgresProjetoRepository,
    PostgresReadiness, PostgresWriteBackQueue, SchemaName,
};
use domain::testing::suite::Repositories;
use domain::{Error, Service};
use e2e::postgres::{Cluster, Database};
use sea_orm::sqlx::{self, AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::OnceCell;

pub fn schema(name: &str) -> SchemaName {
    SchemaName::parse(name).unwrap()
}

pub fn config(database: &Database<'_>) -> Config {
    Config::from_url(&database.url().into(), schema("api_aponta")).unwrap()
}

pub async fn connect(config: Config) -> PostgresDatabase {
    PostgresDatabase::connect(config).await.unwrap()
}

pub fn repositories(database: &PostgresDatabase) -> Repositories {
    Repositories {
        atividades: Arc::new(PostgresAtividadeRepository::new(database)),
        apontamentos: Arc::new(PostgresApontamentoRepository::new(database)),
        apontamentos_escritos: Arc::new(PostgresApontamentoRepository::new(database).with_write_back()),
        escritas: Arc::new(PostgresWriteBackQueue::new(database, "exemplo")),
        projetos: Arc::new(PostgresProjetoRepository::new(database)),
        readiness: Arc::new(PostgresReadiness::new(database)),
    }
}

/// A database with the tables and nothing in them. It is a copy, because migrating takes ten times as long.
pub async fn migrated() -> Database<'static> {
    static TEMPLATE: OnceCell<Database<'static>> = OnceCell::const_new();
    let template = TEMPLATE.get_or_init(|| async {
        let template = Cluster::shared().create_database();
        let database = connect(config(&template)).await;
        database.migrate_up(None).await.unwrap();
        database.close().await;
        template
    });
    Cluster::shared().create_database_from(template.await)
}

/// What [`domain::repository_suite`] asks for.
pub async fn fresh() -> (Repositories, Database<'static>) {
    let database = migrated().await;
    (repositories(&connect(config(&database)).await), database)
}

/// Another client, in a transaction. When it is dropped, its connection closes and the transaction is rolled back.
pub struct OtherClient(PgConnection);

impl OtherClient {
    /// Ends the transaction by `sql`.
    pub async fn end(mut self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&mut self.0).await.unwrap();
    }
}

/// Another client of `database`, with a transaction open in which `sql` has been run.
pub async fn transaction(database: &Database<'_>, sql: &str) -> OtherClient {
    let mut client = PgConnection::connect(&database.url()).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("BEGIN; {sql}"))).execute(&mut client).await.unwrap();
    OtherClient(client)
}

/// `result` is `Unavailable` for want of the database.
pub fn assert_unavailable<T: std::fmt::Debug>(result: &Result<T, Error>) {
    assert!(matches!(result, Err(Error::Unavailable { service: Service::Database, .. })), "{result:?}");
}

/// Waits until so many connections to `database` have waited for a lock for longer than `moment`.
pub async fn until_blocked(database: &Database<'_>, connections: u32, moment: &str) {
    let blocked = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
         AND interval '{moment}' < clock_timestamp() - query_start"
    );
    let started = Instant::now();
    while database.query(&blocked) != connections.to_string() {
        assert!(started.elapsed() < Duration::from_mins(1), "never were {connections} connections blocked");
        // The query blocks the runtime, so each sleep must give the connections time for several round trips.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
