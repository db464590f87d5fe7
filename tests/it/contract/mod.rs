//! The HTTP contract, row by row, without authentication.

mod atividades;
mod bulk;
mod error_details;
mod errors;
mod habits;
mod lists;
mod projetos;
mod service;
mod validation;
