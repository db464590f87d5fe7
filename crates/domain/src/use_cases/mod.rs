//! What the system does: one struct per noun, one method per verb of the API.

mod atividades;
mod projetos;

pub use atividades::Atividades;
pub use projetos::Projetos;
