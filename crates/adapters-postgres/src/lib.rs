//! The repositories of API Aponta on PostgreSQL.
//!
//! [`Config`] says where the database is, [`PostgresDatabase`] holds the connections and migrates the schema, and each
//! port of the domain has a struct that keeps its promises with as few statements as it can. The suite of the domain
//! holds them to it on a real server.

mod atividade_repository;
mod bulk;
mod coalescer;
mod config;
mod connector;
mod database;
mod db_error;
mod diagnosis;
mod entity;
mod idempotency;
mod job_leases;
mod lease;
mod listing;
mod metrics;
mod migration_steps;
mod migrations;
mod operation;
mod pooler;
mod projeto_repository;
mod readiness;
mod schema_name;

pub use atividade_repository::PostgresAtividadeRepository;
pub use config::Config;
pub use database::{ConnectError, PostgresDatabase};
pub use diagnosis::{Archive, Diagnosis};
pub use job_leases::PostgresJobLeases;
pub use migrations::{MigrationError, MigrationState, MigrationStatus};
pub use pg_conninfo::InvalidUrl;
pub use projeto_repository::PostgresProjetoRepository;
pub use readiness::PostgresReadiness;
pub use schema_name::{InvalidSchemaName, SchemaName};
