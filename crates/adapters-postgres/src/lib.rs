//! The repositories of API Aponta on PostgreSQL.
//!
//! [`Config`] says where the database is, [`PostgresDatabase`] holds the connections and migrates the schema, and each
//! port of the domain has a struct that keeps its promises with as few statements as it can. The suite of the domain
//! holds them to it on a real server.

mod atividade_repository;
mod bulk;
mod config;
mod connection;
#[cfg_attr(not(test), expect(dead_code, reason = "the pool still connects by `target`"))]
#[expect(unused_imports, reason = "the pool still connects by `target`")]
mod conninfo;
mod database;
mod db_error;
mod diagnosis;
mod idempotency;
mod insertions;
mod listing;
mod metrics;
mod migration_steps;
mod migrations;
mod pool;
mod projeto_repository;
mod ranges;
mod readiness;
mod schema_name;
mod target;
mod tls;
mod url;

pub use atividade_repository::PostgresAtividadeRepository;
pub use config::{Address, Config};
pub use database::{ConnectError, PostgresDatabase};
pub use diagnosis::{Archive, Diagnosis};
pub use migrations::{MigrationError, MigrationState, MigrationStatus};
pub use projeto_repository::PostgresProjetoRepository;
pub use readiness::PostgresReadiness;
pub use schema_name::{InvalidSchemaName, SchemaName};
pub use url::InvalidUrl;
