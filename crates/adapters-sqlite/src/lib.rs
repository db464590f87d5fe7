//! The repositories of API Aponta on bundled SQLite, the embedded database of `aponta dev`. Simple rather than fast.
//!
//! [`SqliteDatabase`] is one file. Each port of the domain has an implementation on it, tested by
//! `domain::testing::suite`.

mod apontamento_insert;
mod apontamento_query;
mod apontamento_report_row;
mod apontamento_repository;
mod apontamento_row;
mod atividade_repository;
mod atividade_row;
mod atividade_update;
mod bulk_insert;
mod database;
mod db_error;
mod idempotency;
mod listing;
mod projeto_repository;
mod projeto_row;
mod readiness;
mod sample_hours;
mod value;
mod write_back_queue;

pub use apontamento_repository::SqliteApontamentoRepository;
pub use atividade_repository::SqliteAtividadeRepository;
pub use database::{OpenError, SqliteDatabase};
pub use projeto_repository::SqliteProjetoRepository;
pub use readiness::SqliteReadiness;
pub use sample_hours::{HoursRevision, SqliteSampleHours};
pub use write_back_queue::SqliteWriteBackQueue;
