//! What the system does: one struct per noun, one method per verb of the API.

mod atividades;
mod batches;
mod projetos;

pub use atividades::Atividades;
pub use batches::{AtividadeBatches, Batches, ProjetoBatches};
pub use projetos::Projetos;
