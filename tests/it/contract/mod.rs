//! The HTTP contract, row by row, without authentication.

mod apontamentos;
mod atividades;
mod atividades_projetos;
mod bulk;
mod connection;
mod error_details;
mod lists;
mod projetos;
mod service;
