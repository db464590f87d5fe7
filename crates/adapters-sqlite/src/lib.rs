//! The repositories of API Aponta on bundled SQLite: the embedded database of `aponta dev`, simple rather than fast.
//!
//! [`SqliteDatabase`] is one file, and each port of the domain has a struct on it. The suite of the domain holds them
//! to its promises.

mod atividade_repository;
mod bulk;
mod database;
mod db_error;
mod idempotency;
mod listing;
mod projeto_repository;
mod readiness;
mod value;

pub use atividade_repository::SqliteAtividadeRepository;
pub use database::{OpenError, SqliteDatabase};
pub use projeto_repository::SqliteProjetoRepository;
pub use readiness::SqliteReadiness;
