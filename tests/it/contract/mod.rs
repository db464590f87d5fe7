//! The HTTP contract, row by row, without authentication.

mod atividades;
mod atividades_projetos;
mod bulk;
mod errors;
mod habits;
mod lists;
mod projetos;
mod service;
mod validation;
