//! The tables, as sea-orm knows them.

pub(crate) mod atividade;
pub(crate) mod atividade_projeto;
pub(crate) mod idempotencia;
pub(crate) mod projeto;
