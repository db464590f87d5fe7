//! The repositories of API Aponta on PostgreSQL.
//!
//! [`Config`] has the settings of the database. [`PostgresDatabase`] holds the connections and migrates the schema. Each port
//! of the domain has a struct that implements it; the suite of the domain tests them on a real server.

mod apontamento_insert;
mod apontamento_query;
mod apontamento_report_row;
mod apontamento_repository;
mod apontamento_row;
mod atividade_batches;
mod atividade_page;
mod atividade_repository;
mod atividade_row;
mod atividade_update;
mod bulk;
mod config;
mod connector;
mod database;
mod db_error;
mod diagnosis;
mod entity;
mod fastapi;
mod idempotency;
mod job_leases;
mod lease;
mod listing;
mod maintenance;
mod metrics;
mod migration_error;
mod migrations;
mod operation;
mod personal_data;
mod projeto_repository;
mod projeto_sync;
mod readiness;
mod replicas;
mod schema_name;
mod write_back_queue;

pub use apontamento_repository::PostgresApontamentoRepository;
pub use atividade_repository::PostgresAtividadeRepository;
pub use config::{Config, InvalidReplica};
pub use database::{ConnectError, PostgresDatabase};
pub use diagnosis::{Archive, Diagnosis};
pub use fastapi::{
    ChangeCount, Decision, DecisionCount, FastApiImport, ImportError, ImportOutcome, ImportReport, ImportRequest, Sum,
    Undone,
};
pub use job_leases::PostgresJobLeases;
pub use migration_error::{MigrationError, MigrationFailure};
pub use migrations::{MigrationState, MigrationStatus};
pub use personal_data::{Person, PersonalData, PersonalDataError, PersonalRecord, Pseudonym};
pub use pg_conninfo::InvalidUrl;
pub use projeto_repository::PostgresProjetoRepository;
pub use readiness::PostgresReadiness;
pub use replicas::ReplicaDiagnosis;
pub use schema_name::{InvalidSchemaName, SchemaName};
pub use write_back_queue::PostgresWriteBackQueue;
